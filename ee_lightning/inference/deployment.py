"""What the folder of a deployed model holds besides its weights and its tokenizer."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import PositiveInt

from ee_lightning import __version__
from ee_lightning.data.row_files import USUAL_TEXTS
from ee_lightning.data.tasks import LABEL_SEPARATOR
from ee_lightning.errors import OptionError, RunFolderError, counted
from ee_lightning.files import check_format, found_in, read_json, reading, typed
from ee_lightning.functional import Kind, Target
from ee_lightning.inference.policy import ExitPolicy
from ee_lightning.inference.together import current
from ee_lightning.models.head_options import HeadOptions
from ee_lightning.runs.operating_point import with_layers

if TYPE_CHECKING:
    from ee_lightning.data import Task

EARLY_EXIT = "early_exit.json"
RUN_CONFIG = "config.yaml"
"""The file that makes a folder that of a run."""
GRAPHS = "*.onnx"
"""The files that make a folder that of an exported model."""
FORMAT = 3
"""Rises with every change of the folder that older releases would misread; formats 1 and 2 are read too."""


@dataclass(frozen=True)
class Deployment:
    """What a model predicts, of what, and when it lets a sample leave.

    Attributes:
        task: The task's name.
        text_columns: What its one text, or its two, are called.
        label_names: A word for each label; none for regression.
        num_classes: Number of classes or labels; 1 for regression.
        num_exits: Number of exits of the model.
        max_length: The most tokens a row may have, special ones included; longer rows are cut.
        heads: Options of the internal classifiers.
        rule: When a sample leaves.
        multi_label: Whether a sample has any number of labels.
        label_separator: What stands between several labels where they are written as a text.

    Raises:
        ValueError: There are not one or two texts, or not as many words as classes.
    """

    task: str
    text_columns: tuple[str, ...]
    label_names: tuple[str, ...]
    num_classes: PositiveInt
    num_exits: PositiveInt
    max_length: PositiveInt
    heads: HeadOptions
    rule: ExitPolicy
    multi_label: bool = False
    label_separator: str = LABEL_SEPARATOR

    def __post_init__(self) -> None:
        if len(self.text_columns) not in (1, 2):
            raise ValueError(f"Expected one or two of `text_columns`, but got {len(self.text_columns)}.")
        if len(self.label_names) != (0 if self.target.kind is Kind.REGRESSION else self.num_classes):
            raise ValueError(f"Expected as many `label_names` as classes, but got {len(self.label_names)}.")

    @classmethod
    def of_task(
        cls, task: "Task", num_exits: int, max_length: int, heads: HeadOptions, rule: ExitPolicy
    ) -> "Deployment":
        """Deploy a model of a task; the other arguments are the attributes."""
        of_task = ("text_columns", "label_names", "num_classes", "multi_label", "label_separator")
        return cls(
            task=task.name,
            num_exits=num_exits,
            max_length=max_length,
            heads=heads,
            rule=rule,
            **{name: getattr(task, name) for name in of_task},
        )

    @property
    def target(self) -> Target:
        """What is predicted of a sample."""
        return Target.of(self.num_classes, multi_label=self.multi_label)

    @property
    def takes_pairs(self) -> bool:
        """Whether a row has two texts."""
        return len(self.text_columns) == 2

    @property
    def text_choices(self) -> list[tuple[str, ...]]:
        """What the texts may be called in a table: as in the task, or as usual; the first that are there count."""
        return [self.text_columns, *USUAL_TEXTS[len(self.text_columns)]]

    def choices(self, text_columns: Sequence[str] | None) -> list[tuple[str, ...]]:
        """Return what the texts may be called in a table: as the user names them, or else `text_choices`.

        Raises:
            OptionError: Their number is not that of the texts, or a text is given in place of a list.
        """
        if text_columns is None:
            return self.text_choices
        if isinstance(text_columns, str):
            what = f"text_columns is {text_columns!r}, where a list is needed"
            raise OptionError(what, where="text_columns", hint=f"give [{text_columns!r}]")
        if len(text_columns) != len(self.text_columns):
            raise OptionError(
                f"{counted(len(text_columns), 'column')} named, and {self.task} takes "
                f"{counted(len(self.text_columns), 'text')}",
                where=f"--text-columns {','.join(text_columns)}",
                hint="name a column for each text, separated by commas",
            )
        return [tuple(text_columns)]

    def write(self, file: Path) -> None:
        """Write it as JSON; numbers come back to the last bit, and infinity stands as Python's JSON has it."""
        fields = {"format": FORMAT, "version": __version__, **asdict(self)}
        file.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> "Deployment":
        """Read an ``early_exit.json``, or raise a RunFolderError if it is missing, damaged or of another format."""
        again = "save the model again: ee-lightning save"
        with reading(file, hint=again):
            fields = read_json(file)
            known = fields["format"] if fields.get("format") in (1, 2) else FORMAT
            check_format(fields, known, file, hint=again)
            del fields["version"]
            if known < FORMAT and (point := fields["rule"]["operating_point"]) is not None:
                fields["rule"]["operating_point"] = with_layers(point)
            return typed(cls, fields)


def check_place(folder: Path, *, exported: bool) -> None:
    """Raise a `RunFolderError` where a model would be written into a run, or over a model of the other kind."""
    place = current(folder)
    has_graphs = bool(found_in(place, GRAPHS))
    if (folder / RUN_CONFIG).is_file():
        what = "the folder is that of a run"
    elif exported and (place / EARLY_EXIT).exists() and not has_graphs:
        what = "the folder holds a saved model, which is no exported one"
    elif not exported and has_graphs:
        what = "the folder holds an exported model, which is no saved one"
    else:
        return
    raise RunFolderError(what, where=folder, hint="name another folder, or one that does not exist yet")
