"""The figures of a split, as ``summary.json`` holds them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from ee_lightning.exits import Curve

NAMED_SPEEDUPS = (1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Figures:
    """The figures of a split, as ``summary.json`` holds them; see `summarise`.

    Attributes:
        task: The name of the task.
        samples: Number of samples.
        metrics: The primary one first.
        num_exits: Number of exits.
        exits: By metric, exit by exit.
        full_model: By metric.
        oracle: Its speed-up, and its score by metric; None for regression.
        criteria: By name and metric.
        checkpoint: The file of the weights; None where that is not known.

    Raises:
        ValueError: A metric has no figures, or not of every exit.
    """

    task: str
    samples: PositiveInt
    metrics: Annotated[list[str], Field(min_length=1)]
    num_exits: PositiveInt
    exits: dict[str, list[float]]
    full_model: dict[str, float]
    oracle: dict[str, float] | None
    criteria: dict[str, dict[str, dict[str, float | None]]]
    checkpoint: str | None = None

    def __post_init__(self) -> None:
        """Check that every metric has its figures."""
        named = {"area", *(f"score_at_{speedup:g}x" for speedup in NAMED_SPEEDUPS)}
        needed: dict[str, tuple[Collection[str] | None, Collection[str]]] = {
            "exits": (self.exits, self.metrics),
            "full_model": (self.full_model, self.metrics),
            "oracle": (self.oracle, ["speedup", *self.metrics]),
            **{f"criteria.{name}": (by_metric, self.metrics) for name, by_metric in self.criteria.items()},
            **{
                f"criteria.{name}.{metric}": (figures, named)
                for name, by_metric in self.criteria.items()
                for metric, figures in by_metric.items()
            },
        }
        for where, (figures, names) in needed.items():
            if lacking := [name for name in sorted(names) if figures is not None and name not in figures]:
                raise ValueError(f"{where}.{lacking[0]} is missing")
        if any(len(scores) != self.num_exits for scores in self.exits.values()):
            raise ValueError(f"exits has not a score of each of {self.num_exits} exits")


@dataclass(frozen=True, eq=False)
class Results:
    """What a run folder has of some criteria on a split.

    Attributes:
        curves: Their curves.
        figures: Their figures, by name, as in ``summary.json``.
        histograms: At which exits samples leave, by name, as in ``diagnostics.json``.
        fitted: What those that fit something learnt, by name.
    """

    curves: Sequence[Curve] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    histograms: Mapping[str, Any] = field(default_factory=dict)
    fitted: Mapping[str, Any] = field(default_factory=dict)
