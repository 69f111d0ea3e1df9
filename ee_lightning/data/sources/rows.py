"""What every source hands over: rows of one or two texts and a label."""

from collections.abc import Sequence
from typing import Protocol

from datasets import Dataset, Features, Value

SPLITS = ("train", "validation", "test")
UNLABELLED = -1
TEXT_COLUMNS = ("text_a", "text_b")


class Source(Protocol):
    """A place that the rows of one task can be read from."""

    def has(self, split: str) -> bool:
        """Whether a split, one of `SPLITS`, is there."""

    def load(self, split: str) -> Dataset:
        """Read a split, one of `SPLITS`, in its own order.

        Returns:
            A data set with the columns `text_a`, `text_b` for pairs only, and `label`, -1 where a row has none.

        Raises:
            DataError: The split is missing, or something in it is wrong.
        """


def build_rows(texts: Sequence[Sequence[str]], labels: Sequence[float], label_type: str = "int64") -> Dataset:
    """Put texts and labels together.

    Args:
        texts: One or two columns, each of one text a row.
        labels: One label a row, -1 where it has none.
        label_type: The task's `Task.label_type`.

    Returns:
        A data set with the columns `text_a`, `text_b` where two text columns were given, and `label`.
    """
    columns = dict(zip(TEXT_COLUMNS, texts, strict=False))
    features = Features({**{name: Value("string") for name in columns}, "label": Value(label_type)})
    return Dataset.from_dict({**columns, "label": labels}, features=features)
