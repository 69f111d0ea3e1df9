"""What the folder of an exported model says of its files."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ee_lightning import __version__
from ee_lightning.errors import RunFolderError
from ee_lightning.exits.placement import numbers_of
from ee_lightning.files import check_format, read_json, reading, typed

MANIFEST = "manifest.json"
WEIGHTS = "weights.bin"
FORMAT = 1
"""Rises with every change of the folder that older releases would misread."""
AGAIN = "export the model again: ee-lightning export"


@dataclass(frozen=True)
class Graphs:
    """The names of the files of a model's stages.

    Attributes:
        embed: From tokens to hidden states.
        layers: Of each layer in its order; layers that are alike share a file.
        exits: Of each exit in its order.
    """

    embed: str
    layers: tuple[str, ...]
    exits: tuple[str, ...]


@dataclass(frozen=True)
class Single:
    """A graph for one row, that holds a criterion.

    Attributes:
        class_path: The criterion's class.
        init_args: Its options.
        fitted: What it has learnt.
        file: The graph's file.
    """

    class_path: str
    init_args: dict[str, Any]
    fitted: dict[str, Any]
    file: str


@dataclass(frozen=True)
class Manifest:
    """An exported model's files.

    Attributes:
        model_type: The backbone's family.
        precision: ``fp32``, or ``int8`` for products in whole numbers.
        width: Of the hidden states.
        depth: Number of layers of the model that was exported.
        exit_layers: The layers that exits are after, from 1, in rising order.
        inputs: What the embedding takes: ``input_ids``, ``attention_mask`` and perhaps ``token_type_ids``.
        extras: What else the exits give beside their logits, such as ``gate``.
        fills: What fills padding of ``input_ids`` and ``token_type_ids``.
        graphs: The files of the stages.
        single: The files for single rows.
        files: The SHA-256 of every other file.
        versions: Of the packages that made them.
    """

    model_type: str
    precision: Literal["fp32", "int8"]
    width: int
    depth: int
    exit_layers: tuple[int, ...]
    inputs: tuple[str, ...]
    extras: tuple[str, ...]
    fills: dict[str, int]
    graphs: Graphs
    single: tuple[Single, ...]
    files: dict[str, str]
    versions: dict[str, str]

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        fields = {"format": FORMAT, "version": __version__, **asdict(self)}
        file.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the manifest of a folder, or raise a RunFolderError if it is missing, damaged or of another format."""
        file = folder / MANIFEST
        with reading(file, hint=AGAIN):
            fields = read_json(file)
            check_format(fields, FORMAT, file, hint=AGAIN)
            del fields["version"]
            return typed(cls, fields)

    def asking(self, layers: Sequence[int]) -> "Manifest":
        """Return what a model has that asks the exits after some layers only.

        Graphs for single rows ask all exits, so there is none then.

        Raises:
            OptionError: The model lacks such an exit, or the last one is not asked.
        """
        if (asked := tuple(layers)) == self.exit_layers:
            return self
        exits = tuple(self.graphs.exits[number - 1] for number in numbers_of(asked, self.exit_layers, "--exits"))
        return replace(self, exit_layers=asked, graphs=replace(self.graphs, exits=exits), single=())

    def check(self, folder: Path) -> None:
        """Raise a RunFolderError where a file of a folder is missing or is not the one that was written."""
        for name, expected in self.files.items():
            file = folder / name
            if not file.is_file():
                raise RunFolderError("a file of the exported model is missing", where=file, hint=AGAIN)
            if digest(file) != expected:
                what = "a file of the exported model is damaged, or another's: its SHA-256 is not the manifest's"
                raise RunFolderError(what, where=file, hint=f"copy it again whole, or {AGAIN}")


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digests(folder: Path) -> Mapping[str, str]:
    """Return the SHA-256 of every file of a folder."""
    return {file.name: digest(file) for file in sorted(folder.iterdir())}
