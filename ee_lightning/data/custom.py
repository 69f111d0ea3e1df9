"""Custom tasks, described by options alone."""

import logging
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ee_lightning.data.tasks import LABEL_SEPARATOR, SPLITS, TASKS, Task, get_task, number_in
from ee_lightning.errors import DataError, OptionError, listed
from ee_lightning.functional import Kind, Target, check_metrics
from ee_lightning.packaged import PREFIX

if TYPE_CHECKING:
    from datasets import DatasetDict  # which takes a second to import

USUAL_METRICS = {
    Kind.SINGLE_LABEL: ["accuracy"],
    Kind.MULTI_LABEL: ["micro_f1", "macro_f1", "exact_match"],
    Kind.REGRESSION: ["pearson", "spearman"],
}
MOST_LABELS = 1_000
"""More different labels than these, most in one row alone, are found in free text or in values sooner than in classes.
"""
ANY_NUMBER = (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))
MODULE_CONTRACT = (
    "in its __init__ a data module sets num_classes, and where they differ metrics, label_names, text_columns, "
    "multi_label and max_length; examples/own_data.py is a whole one"
)
log = logging.getLogger(__name__)
Root: TypeAlias = "str | Path | DatasetDict | None"
_Mistake = tuple[bool, str, str, str]
"""Whether something is wrong, the option, what to say and how to fix it."""


@dataclass(frozen=True)
class CustomTask:
    """A custom task, on local files.

    Args:
        text_columns: The column with the text, or the two with a pair of texts.
        label_column: The column with the label, or with several: a list of them, or a text with a separator.
        label_names: The words for the labels, in the order of their numbers; left out, those of the training rows,
            sorted, or those of a `ClassLabel` of `datasets`, all of them in its order, or the names of the label
            columns.
        regression: Whether labels are values to be predicted, not classes.
        multi_label: Whether a row has any number of labels.
        label_separator: What stands between several labels in a text.
        label_columns: The columns of 0 and 1, one for each label, where the labels are not in one column.
        metrics: The first is that of curves and checkpoints; left out, `accuracy`, or `pearson` and `spearman` for
            regression, or `micro_f1`, `macro_f1` and `exact_match` for several labels.
        files: The file of each split (`train`, `validation`, `test`), below `data.root` where that is given; left out,
            `data.root` is a folder with files called like the splits, or one file with all rows.
        validation_share: The share of training rows that is held out for validation if there is no validation file.
        test_share: The share of training rows that is held out for testing if there is no test file.
    """

    text_columns: list[str]
    label_column: str = "label"
    label_names: tuple[str, ...] | None = None
    regression: bool = False
    multi_label: bool = False
    label_separator: str = LABEL_SEPARATOR
    label_columns: list[str] | None = None
    metrics: list[str] | None = None
    files: dict[str, str] = field(default_factory=dict)
    validation_share: float = 0.1
    test_share: float = 0.0

    def as_task(self, name: str, root: Root) -> Task:
        """Return the task as if it stood in the table; label names that were left out are looked up in the rows.

        Raises:
            OptionError: An option makes no sense.
            DataError: The label names can't be found.
        """
        shares = {"validation": self.validation_share, "test": self.test_share}
        task = Task(
            name=name,
            text_columns=tuple(self.text_columns),
            label_column=self.label_column,
            label_names=tuple(self.label_names or ()),
            files=self.files,
            score_range=ANY_NUMBER if self.regression else None,
            held_out={split: share for split, share in shares.items() if share},
            multi_label=self.multi_label,
            label_separator=self.label_separator,
            label_columns=tuple(self.label_columns or ()),
        )
        if not self.regression and self.label_names is None:
            self._refuse(self._mistakes(name, root, None))
            task = replace(task, label_names=_inferred_labels(task, root))
        self._refuse(self._mistakes(name, root, task.label_names))
        asked = self.metrics or USUAL_METRICS[self._kind]
        return replace(task, metrics=tuple(check_metrics(asked, task.target, "--data.own.metrics")))

    @property
    def _kind(self) -> Kind:
        return Target.of(1 if self.regression else 2, multi_label=self.multi_label).kind

    def _refuse(self, mistakes: Iterator[_Mistake]) -> None:
        for is_wrong, option, what, hint in mistakes:
            if is_wrong:
                raise OptionError(what, where=f"--data.{option}", hint=hint)

    def _mistakes(self, name: str, root: Root, names: Sequence[str] | None) -> Iterator[_Mistake]:
        yield name in TASKS, "task", f"{name!r} is a task of the table", "give your own another name"
        yield str(root).startswith(PREFIX), "root", f"{root} holds no rows of your own", "name a folder or a file"
        yield root is None and not self.files, "root", "the rows of your own have no place", "name a folder or a file"
        count = len(self.text_columns)
        yield count not in (1, 2), "own.text_columns", f"{count} columns have texts", "name one, or two for pairs"
        columns = [*self.text_columns, *(self.label_columns or [self.label_column])]
        double = next((column for column in columns if columns.count(column) > 1), None)
        option = "own.text_columns" if double in self.text_columns else "own.label_columns"
        yield double is not None, option, f"the column {double!r} is named twice", "name another: each has one use"
        others = ", ".join(self.files.keys() - set(SPLITS))
        yield bool(others), "own.files", f"{others} is no split", f"name files of {', '.join(SPLITS)}"
        yield bool(self.files) and "train" not in self.files, "own.files", "no file trains", "name a file for train"
        total = self.validation_share + self.test_share
        is_share = min(self.validation_share, self.test_share) >= 0 and total < 1
        what = f"validation_share and test_share hold {total:g} of the rows out"
        yield not is_share, "own.validation_share", what, "give none below 0, and less than 1 together"
        if names is not None and not self.regression:
            yield len({*names}) < len(names), "own.label_names", "a label is named twice", "name each label once"
            yield len(names) < 2, "own.label_names", f"{len(names)} label is named", "name two labels or more"
        named, what = self.regression and bool(self.label_names), "labels are values (own.regression) and have no names"
        yield named, "own.label_names", what, "leave one of the two out"
        blank = next((name for name in self.label_names or () if not name or name != name.strip()), None)
        what = f"the label {blank!r} is empty, or has outer blanks"
        yield blank is not None, "own.label_names", what, "leave outer blanks out; they do not count in a file either"
        yield from self._mistakes_of_several(names)

    def _mistakes_of_several(self, names: Sequence[str] | None) -> Iterator[_Mistake]:
        both = self.regression and self.multi_label
        yield both, "own.multi_label", "labels are values too (own.regression)", "choose one of the two"
        columns, needed = self.label_columns, "label columns are for several labels a row"
        yield columns is not None and not self.multi_label, "own.label_columns", needed, "set own.multi_label to true"
        separator = self.label_separator
        if not self.multi_label:
            needed = "a separator is for several labels a row"
            yield separator != LABEL_SEPARATOR, "own.label_separator", needed, "set own.multi_label to true"
            return
        yield not separator, "own.label_separator", "labels without a separator run together", "give one, such as '|'"
        unlike = columns is not None and names is not None and len(columns) != len(names)
        what = f"{len(columns or ())} columns are of {len(names or ())} labels"
        yield unlike, "own.label_columns", what, "name a column for each label, in their order"
        torn = next((name for name in names or () if separator in name or name != name.strip()), None)
        what = f"the label {torn!r} holds what stands between labels"
        yield torn is not None, "own.label_separator", what, "give another separator, and names without outer blanks"


@dataclass(frozen=True)
class ModuleTask:
    """The task of your own data module, by the attributes of the module; only `num_classes` has to be there.

    Attributes:
        name: The name of the module's class.
        num_classes: The number of labels; 1 for regression.
        metrics: Left out, those that a `CustomTask` has.
        label_names: A word for each label, none for regression; left out, their numbers.
        text_columns: What its one text, or its two, are called in files that are predicted.
        multi_label: Whether a row has any number of labels.
        max_length: The most tokens that a row may have, special ones included.
    """

    name: str
    num_classes: int
    metrics: tuple[str, ...]
    label_names: tuple[str, ...]
    text_columns: tuple[str, ...] = ("text",)
    multi_label: bool = False
    max_length: int = 128

    @classmethod
    def of(cls, data: object) -> "ModuleTask":
        """Read the attributes of a data module; raise an `OptionError` for what is missing or makes no sense."""
        name, given = type(data).__name__, {each.name: getattr(data, each.name, None) for each in fields(cls)[1:]}
        count, mistake = given["num_classes"], ""
        if not isinstance(count, int) or count < 1:
            raise OptionError(f"{name}.num_classes is {count!r}", where=name, hint=MODULE_CONTRACT)
        target = Target.of(count, multi_label=bool(given["multi_label"]))
        given["metrics"] = check_metrics(given["metrics"] or USUAL_METRICS[target.kind], target, f"{name}.metrics")
        numbers = () if target.kind is Kind.REGRESSION else map(str, range(count))
        given["label_names"] = numbers if given["label_names"] is None else given["label_names"]
        task = cls(name, **{key: _frozen(value) for key, value in given.items() if value is not None})
        if len(task.label_names) != (0 if target.kind is Kind.REGRESSION else count):
            mistake = f"label_names holds {len(task.label_names)} words, and num_classes is {count}"
        elif len(task.text_columns) not in (1, 2):
            mistake = f"text_columns holds {len(task.text_columns)} names, and neither one nor two"
        if mistake:
            raise OptionError(f"{name}.{mistake}", where=name, hint=MODULE_CONTRACT)
        return task

    def as_task(self) -> Task:
        """Return it as if it stood in the table."""
        score_range = ANY_NUMBER if self.num_classes == 1 and not self.multi_label else None
        shared = {key: getattr(self, key) for key in ("text_columns", "label_names", "metrics", "multi_label")}
        return Task(self.name, score_range=score_range, **shared)


def _frozen(value: Any) -> Any:
    return value if isinstance(value, str | int) else tuple(value)


def resolve_task(name: str, own: CustomTask | None, root: Root) -> Task:
    """Return the task of the table, or the one that was described.

    Raises:
        DataError: The task is unknown, or label names that were left out can't be found.
        OptionError: An option of the custom task makes no sense.
    """
    return get_task(name) if own is None else own.as_task(name, root)


def _inferred_labels(task: Task, root: Root) -> tuple[str, ...]:
    """Return the labels of the training rows, in the data set's own order if it has one, and warn of what is odd."""
    from ee_lightning.data.label_sets import found_labels  # these take a second to import
    from ee_lightning.data.labels import found_words
    from ee_lightning.data.local_files import LocalSource
    from ee_lightning.data.sources import DataSetSource, open_source

    source = open_source(root, replace(task, held_out={}))
    assert isinstance(source, DataSetSource | LocalSource)
    table = source.table("train")
    found, num_rows = found_labels(table, task) if task.multi_label else found_words(table), len(table.rows)
    place = f"column {task.label_column!r} of {source.where}"
    if len(found) < 2:
        raise DataError(
            f"all training rows have the label {found[0]!r}" if found else "no training row has a label",
            where=place,
            hint="give rows of two labels or more, or name another column with --data.own.label_column",
        )
    are_numbers = all(number_in(word) is not None for word in found)
    have_fractions = are_numbers and not all(float(word).is_integer() for word in found)
    if len(found) > MOST_LABELS and (have_fractions or num_rows < 2 * len(found)):
        names = "give each label two rows or more, or list all labels in a file of options (--config), under "
        names += "data.own.label_names"
        values = f"for values to be predicted give --data.own.regression true; for classes {names}"
        raise DataError(
            f"the {num_rows} training rows have {len(found)} different labels",
            where=place,
            hint=f"{values if are_numbers else names}; or name another column with --data.own.label_column",
        )
    if not _is_first_process():
        return tuple(found)
    if alike := _alike(found):
        log.warning("%s: labels that are written alike are classes of their own: %s", place, listed(alike))
    if have_fractions or (are_numbers and len(found) > MOST_LABELS):
        kind = "numbers with fractions" if have_fractions else "different numbers"
        hint = "for values to be predicted give --data.own.regression true"
        log.warning("%s: %d %s are taken as classes; %s", place, len(found), kind, hint)
    return tuple(found)


def _is_first_process() -> bool:
    """Whether this is the first of the processes that train together, by the names of torchrun, Lightning and SLURM."""
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return next((int(rank) for rank in ranks if rank), 0) == 0


def _alike(names: Sequence[str]) -> list[str]:
    """Return the names that differ from an earlier one in case, in the form of their characters or numbers alone."""
    first: dict[str | float, str] = {}
    alike = []
    for name in names:
        number = number_in(name)
        known = first.setdefault(unicodedata.normalize("NFKC", name).casefold() if number is None else number, name)
        if known != name:
            alike.append(f"{known!r} and {name!r}")
    return alike
