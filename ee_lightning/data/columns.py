"""Which columns of a file hold the texts and the labels of its rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from ee_lightning.data.tasks import Task
from ee_lightning.errors import DataError

USUAL_TEXTS = {
    1: (("sentence",), ("text",)),
    2: (("sentence1", "sentence2"), ("premise", "hypothesis")),
}
USUAL_LABELS = ("label", "gold_label")


@dataclass(frozen=True)
class Columns:
    """What to read of a file.

    Args:
        texts: The columns with text, one or two.
        label: The column with the label; None where rows have none.
        label_columns: The columns of 0 and 1 in its place, one for each label.
    """

    texts: tuple[str, ...]
    label: str | None = None
    label_columns: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, the texts first."""
        return (*self.texts, *self.label_columns) if self.label is None else (*self.texts, self.label)


@dataclass(frozen=True)
class Chooser:
    """Picks the columns to read from those that a file has; of several names the first that are there count.

    Args:
        texts: What its text, or its two texts, may be called.
        labels: What its label may be called, or its columns of 0 and 1, one for each label; none where no labels are
            read.
        needs_label: Whether a file without any label column is an error.
        advice: What to do where a column is missing.
    """

    texts: Sequence[tuple[str, ...]]
    labels: Sequence[tuple[str, ...]] = ()
    needs_label: bool = True
    advice: str = ""

    def __call__(self, header: Sequence[str], where: object) -> Columns:
        """Pick the columns.

        Raises:
            DataError: One is not there, or there are two of its name.
        """
        texts = self._found(self.texts, header, where)
        has_any = any(name in header for names in self.labels for name in names)
        if not (self.labels and (self.needs_label or has_any)):
            return Columns(texts)
        label = self._found(self.labels, header, where)
        return Columns(texts, label[0]) if len(label) == 1 else Columns(texts, None, label)

    def _found(self, choices: Sequence[tuple[str, ...]], header: Sequence[str], where: object) -> tuple[str, ...]:
        names = next((names for names in choices if {*names} <= {*header}), None)
        if names is None:
            missing = next(name for name in choices[0] if name not in header)
            is_torn = len(header) == 1 and any(separator in header[0] for separator in "\t;,|")
            torn = ", which looks like several: a .csv has commas between its cells, and a .tsv tabs" if is_torn else ""
            raise DataError(
                f"no column {missing!r}",
                where=where,
                hint=f"it has the columns {', '.join(header)}{torn}; {self.advice}",
            )
        if double := next((name for name in names if header.count(name) > 1), None):
            raise DataError(
                f"there are two columns {double!r}",
                where=where,
                hint=f"it has the columns {', '.join(header)}; give each another name",
            )
        return names


def choose_columns(task: Task, split: str) -> Chooser:
    """Return what picks the columns of a local file.

    A task of the table is read by its official columns, by those on the hub, or by the usual names of texts and labels;
    a custom task by the columns that were given. Only a test split may lack the label.
    """
    texts, labels = [task.text_columns], [task.label_columns or (task.label_column,)]
    if task.glue is not None:
        texts, labels = [task.glue.text_columns or task.text_columns, *texts], [(task.glue.label_column,), *labels]
    if task.hub_path is not None:
        texts, labels = [*texts, *USUAL_TEXTS[len(task.text_columns)]], [*labels, *((name,) for name in USUAL_LABELS)]
    known = [" or ".join(dict.fromkeys("+".join(names) for names in choices)) for choices in (texts, labels)]
    option = f"--data.own.{'label_columns' if task.label_columns else 'label_column'}"
    others = "" if task.hub_path else f"; name others with --data.own.text_columns and {option}"
    advice = f"task {task.name} reads {' with '.join(known)}{others}"
    return Chooser(texts, labels, needs_label=split != "test", advice=advice)
