"""Digests of what a training reads: of the content, wherever it lies. To find them shows that it is there and sound."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging import ERROR
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.utils import logging

from ee_lightning import packaged
from ee_lightning.data import TaskDataModule
from ee_lightning.data.module import SPLITS_OF_STAGE
from ee_lightning.data.own import OwnTask
from ee_lightning.data.tokenizer import load_tokenizer
from ee_lightning.errors import BackboneError
from ee_lightning.files import found_in
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.typed import typed

_WEIGHT_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json")
_TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "*.model")
_ROWS_AT_ONCE = 10_000


def data_fingerprint(options: Mapping[str, Any], tokenizer: str, *, test: bool) -> str:
    """Read the rows that a training needs as it reads them, and give their digest.

    Args:
        options: All of ``data``, resolved.
        tokenizer: The backbone's.
        test: Whether the test split is evaluated at the end; then its labels are needed too.

    Raises:
        DataError: The task is not known, or some of its rows are missing or wrong.
        BackboneError: The tokenizer is not to be had.
        OptionError: An option makes no sense.
    """
    own = None if options.get("own") is None else typed(OwnTask, options["own"])
    data = TaskDataModule(**{**options, "own": own}, tokenizer=tokenizer)
    stages = ("fit", "test") if test else ("fit",)
    digest = hashlib.sha256()
    with _quiet_hub():
        for stage in stages:
            data.setup(stage)
    for split in (split for stage in stages for split in SPLITS_OF_STAGE[stage]):
        for batch in data.rows(split).iter(batch_size=_ROWS_AT_ONCE):
            digest.update(json.dumps([split, batch], sort_keys=True).encode())
    return digest.hexdigest()


def weights_fingerprint(backbone: str) -> str:
    """Load pretrained weights and their tokenizer, and give the digest of their files.

    Args:
        backbone: A hub name, a local folder, or ``packaged:NAME``.

    Raises:
        BackboneError: They can't be found or loaded, or the family is not known.
        DataError: The tokenizer can't be used.
    """
    with _quiet_hub():
        load_tokenizer(backbone)
        load_backbone(backbone)
    folder = _folder_of(backbone)
    digest = hashlib.sha256()
    for file in sorted({file for pattern in (*_WEIGHT_FILES, *_TOKENIZER_FILES) for file in found_in(folder, pattern)}):
        with file.open("rb") as content:
            digest.update(file.name.encode() + hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keep the hub's client from telling of every attempt: the last one's error is told."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _folder_of(backbone: str) -> Path:
    if backbone.startswith(packaged.PREFIX):
        return packaged.resolve(backbone)
    if Path(backbone).is_dir():
        return Path(backbone)
    try:
        return Path(snapshot_download(backbone, local_files_only=True))  # where loading it has put it
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"the files of the backbone can't be found: {error}", where=backbone, mend="give a local folder"
        ) from error
