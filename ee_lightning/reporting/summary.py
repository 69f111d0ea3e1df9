"""The figures by which runs are compared."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from ee_lightning.exits import Curve, Fixed, Oracle

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


def summarise(curves: Sequence[Curve], metrics: Sequence[str]) -> dict[str, Any]:
    """Reduce curves to the figures of ``summary.json``.

    Args:
        curves: The curves of a split, that of the fixed exits and but for regression that of the oracle among them.
        metrics: Metric names, the primary one first.

    Returns:
        ``metrics``, ``num_exits``; ``exits``, the scores of all exits by metric; ``full_model``, the scores of the
        last; ``oracle``, its speed-up and scores, None for regression; ``criteria``, by name and metric the ``area``
        and the scores at the named speed-ups, None where a curve does not reach.
    """
    by_name = {curve.criterion: curve for curve in curves}
    fixed, oracle = by_name.pop(Fixed.name), by_name.pop(Oracle.name, None)
    every_exit = [fixed.index_at(exit_layer) for exit_layer in range(1, fixed.num_exits + 1)]
    exits = {metric: [float(fixed.scores[metric][index]) for index in every_exit] for metric in metrics}
    return {
        "metrics": list(metrics),
        "num_exits": fixed.num_exits,
        "exits": exits,
        "full_model": {metric: scores[-1] for metric, scores in exits.items()},
        "oracle": None if oracle is None else _at_its_own_point(oracle, metrics),
        "criteria": {name: {metric: _figures(curve, metric) for metric in metrics} for name, curve in by_name.items()},
    }


def _at_its_own_point(oracle: Curve, metrics: Sequence[str]) -> dict[str, float]:
    point = oracle.index_at(Oracle.THRESHOLD)
    return {"speedup": float(oracle.speedup[point]), **{name: float(oracle.scores[name][point]) for name in metrics}}


def _figures(curve: Curve, metric: str) -> dict[str, float | None]:
    figures = {"area": curve.area(metric)}
    figures |= {f"score_at_{speedup:g}x": curve.score_at(speedup, metric) for speedup in NAMED_SPEEDUPS}
    return {name: None if isnan(value) else value for name, value in figures.items()}


def scalars(summary: Mapping[str, Any], stage: str) -> dict[str, float]:
    """Flatten the primary metric's figures for loggers.

    The names are stable: ``<stage>/<criterion>/area``, ``<stage>/<criterion>/score_at_<speed-up>x``,
    ``<stage>/full_model/score``, ``<stage>/oracle/score`` and ``<stage>/oracle/speedup``.
    """
    metric = summary["metrics"][0]
    flat = {
        f"{stage}/{criterion}/{name}": value
        for criterion, by_metric in summary["criteria"].items()
        for name, value in by_metric[metric].items()
        if value is not None
    }
    flat[f"{stage}/full_model/score"] = summary["full_model"][metric]
    if (oracle := summary["oracle"]) is not None:
        flat |= {f"{stage}/oracle/score": oracle[metric], f"{stage}/oracle/speedup": oracle["speedup"]}
    return flat
