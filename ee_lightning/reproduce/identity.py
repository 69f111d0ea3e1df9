"""The identity of a training: a digest of all that determines it, its options, rows and weights, and nothing else."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from logging import ERROR
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.utils import logging

from ee_lightning import __version__, packaged
from ee_lightning.data.custom import CustomTask
from ee_lightning.data.encoding import load_tokenizer
from ee_lightning.errors import BackboneError, EarlyExitError
from ee_lightning.files import found_in, typed
from ee_lightning.fit.command import FitOptionsParser
from ee_lightning.models.backbones.loading import backbone_config, load_backbone
from ee_lightning.reproduce.suite import FitOptions, fit_arguments
from ee_lightning.runs.run_options import digest_of, options_digest
from ee_lightning.training.data_module import SPLITS_OF_STAGE, TaskDataModule

_WEIGHT_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json")
_TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "*.model")
_ROWS_AT_ONCE = 10_000


def data_fingerprint(options: Mapping[str, Any], tokenizer: str, *, test: bool) -> str:
    """Read the rows that a training needs as it reads them, by the resolved options of ``data``; return their digest.

    Raises:
        DataError: The task is not known, or some of its rows are missing or wrong.
        BackboneError: The tokenizer is not available.
        OptionError: An option makes no sense.
    """
    own = None if options.get("own") is None else typed(CustomTask, options["own"])
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
    """Load pretrained weights and their tokenizer, and return the digest of their files.

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
    """Silence the hub's client, which reports every attempt; the error of the last one is raised."""
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
            f"the files of the backbone can't be found: {error}", where=backbone, hint="give a local folder"
        ) from error


class Identifier:
    """Finds the identity of trainings; what several share is looked up once."""

    def __init__(self) -> None:
        self._found: dict[str, str | EarlyExitError] = {}

    def digest(self, fit: FitOptions) -> str:
        """Return the digest of all that determines a training, in eight characters; its data and weights are read.

        Raises:
            OptionError: The options can't be parsed, or keep more layers than there are.
            DataError: The rows are missing or wrong.
            BackboneError: The weights are missing or wrong.
        """
        options = self.resolve(fit)
        data, backbone, num_layers = options["data"], options["model"]["backbone"], options["model"]["num_layers"]
        test = bool(options["run"]["test"])
        weights = self._once(("weights", backbone), lambda: weights_fingerprint(backbone))
        self._once(("layers", backbone, num_layers), lambda: str(backbone_config(backbone, num_layers)))
        rows = self._once(("data", data, backbone, test), lambda: data_fingerprint(data, backbone, test=test))
        return digest_of([options_digest(options), rows, weights, __version__])[:8]

    def resolve(self, fit: FitOptions) -> dict[str, Any]:
        """Return all options of a training; those of trainings that differ in the seed alone are parsed once."""
        others = dict(fit.options)
        seed = {name: others.pop(name) for name in ("seed_everything",) if name in others}
        return _resolved(tuple(fit_arguments(FitOptions(fit.configs, others)))) | seed

    def _once(self, about: tuple[object, ...], find: Callable[[], str]) -> str:
        if (key := json.dumps(about)) not in self._found:
            try:
                self._found[key] = find()
            except EarlyExitError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, EarlyExitError):
            raise found
        return found


@cache
def _parser() -> FitOptionsParser:
    return FitOptionsParser()


@cache
def _resolved(arguments: tuple[str, ...]) -> dict[str, Any]:
    return _parser().resolve(arguments)
