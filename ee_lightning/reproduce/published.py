"""Figures that others have published, in types of their own, so that they are never taken for measured ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml

from ee_lightning.errors import require_one_of
from ee_lightning.files import typed

_HALF_A_DIGIT = 0.05 + 1e-9
_SAME_SPEED = 0.05


@dataclass(frozen=True)
class Source:
    """Where figures were published (authors, year and title), and how, and how surely, they were read."""

    title: str
    arxiv: str
    read: str
    confidence: Literal["high", "medium", "low"]

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.title} (arXiv {self.arxiv}), {self.read}, confidence {self.confidence}"


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table.

    Attributes:
        label: What the method is called.
        source: Where the row is from.
        speedup: The speed-up that was stated, or that was reached where none was, as by an oracle.
        scores: In percent, by column; what was not recovered is absent.
        average: As it was printed, in percent; None where none was.
        note: What a reader should know.
        is_stated: Whether the speed-up was stated.
    """

    label: str
    source: Source
    speedup: float
    scores: Mapping[str, float]
    average: float | None = None
    note: str | None = None
    is_stated: bool = True

    @property
    def stated(self) -> float:
        """The speed-up that was stated; 1, any, where none was."""
        return self.speedup if self.is_stated else 1.0

    def average_over(self, columns: Sequence[str]) -> float | None:
        """Return the plain mean over some columns, as the paper averages; None unless all of them are there."""
        if not columns or any(column not in self.scores for column in columns):
            return None
        return sum(self.scores[column] for column in columns) / len(columns)


@dataclass(frozen=True)
class PublishedTable:
    """A published table, or the points of a figure.

    Attributes:
        title: What it shows.
        split: The part of the data.
        backbone: The model.
        where: Its place in the paper.
        columns: The tasks.
        rows: From top to bottom; those of a curve have the same label at several speed-ups.
        metrics: The metric of a column, by the names of `ee_lightning`; absent where it is not known.

    Raises:
        ValueError: A row has a column that the table lacks, a score is no percentage, or a printed average is not the
            mean of the scores.
    """

    title: str
    split: Literal["dev", "test"]
    backbone: str
    where: str
    columns: Sequence[str]
    rows: Sequence[PublishedRow]
    metrics: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the rows."""
        for row in self.rows:
            if unknown := row.scores.keys() - set(self.columns):
                raise ValueError(f"{row.label} in {self.title!r} has unknown columns {sorted(unknown)}.")
            if not all(-100 <= score <= 100 for score in row.scores.values()):
                raise ValueError(f"{row.label} in {self.title!r} has a score that is no percentage: {row.scores}.")
            mean = row.average_over(self.columns)
            if row.average is not None and mean is not None and abs(mean - row.average) > _HALF_A_DIGIT:
                raise ValueError(f"{row.label} in {self.title!r} averages {mean:.3f}, and {row.average} is printed.")

    def find(self, label: str, speedup: float) -> PublishedRow | None:
        """Find a row by its label and its stated speed-up; of several the one whose speed-up is nearest."""
        rows = [row for row in self.rows if row.label == label and abs(row.stated - speedup) <= _SAME_SPEED]
        return min(rows, key=lambda row: abs(row.stated - speedup), default=None)


@cache
def published_tables() -> dict[str, PublishedTable]:
    """Read all published tables, by name.

    Raises:
        ValueError: The package's file of them makes no sense.
    """
    content = yaml.safe_load(files(__package__).joinpath("published.yaml").read_text(encoding="utf-8"))
    return typed(dict[str, PublishedTable], content["tables"])


def published_table(name: str) -> PublishedTable:
    """Return a published table, such as ``glue_dev``; an `OptionError` for an unknown name."""
    require_one_of(name, published_tables(), "published")
    return published_tables()[name]
