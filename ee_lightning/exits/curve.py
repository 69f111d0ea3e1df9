"""Every decision of a criterion on stored exits, and its exact accuracy-speed curve."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ee_lightning.errors import counted
from ee_lightning.exits.criterion import Criterion, reaches
from ee_lightning.exits.stored import StoredExits
from ee_lightning.exits.threshold import Threshold, at_exits
from ee_lightning.functional import (
    Kind,
    area,
    check_metrics,
    counting_of,
    operating_points,
    score_at,
    separators,
    telling_points,
    where_rows,
)
from ee_lightning.functional.metrics import Metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BAND_ENDS = ("low", "high")
Count = Callable[[Tensor, Tensor], Tensor]


class Statistics(NamedTuple):
    """What is added up over samples, so that a metric can be computed for any predictions for them.

    Attributes:
        tally: Returns, for predictions [events] or [events, labels] of samples [events], what to add up, of shape
            [events, statistics].
        of_labels: What is to be added up of the labels themselves, of shape [samples, actual statistics].
        metric: Returns, for a name, what returns the metric of summed statistics [..., statistics], given `actual`.
    """

    tally: Count
    of_labels: Tensor
    metric: Callable[[str], Metric]

    @property
    def actual(self) -> Tensor:
        """The sums over the labels themselves."""
        return self.of_labels.sum(0)


def statistics_of(exits: StoredExits) -> Statistics:
    """Return the statistics of a task; raise a DataError for labels that are missing, or no class numbers."""
    counting, middle = counting_of(exits.target), None
    if exits.target.kind is Kind.REGRESSION:
        values, middle = exits.known_labels().double(), exits.logits.double().nanmedian()
        labels = values - values.mean()  # [samples]
    else:
        labels = exits.label_sets() if exits.multi_label else exits.class_numbers()  # [samples] or [samples, labels]

    def tally(predictions: Tensor, samples: Tensor) -> Tensor:
        return counting.tally(predictions if middle is None else predictions - middle, labels[samples])

    return Statistics(tally, counting.tally_actual(labels), counting.metric)


@dataclass(frozen=True, eq=False)
class Replay:
    """All decisions of a criterion, before any threshold.

    Attributes:
        scores: Of shape [exits, samples].
        labels: Class or value predicted for a sample that leaves at that exit, of shape [exits, samples]; of several
            labels whether each one is, of shape [exits, samples, labels].
        fallback: The same for a sample that no exit lets leave, of shape [samples] or [samples, labels].
    """

    scores: Tensor
    labels: Tensor
    fallback: Tensor

    def __repr__(self) -> str:
        exits, samples = self.scores.shape
        known = self.scores[self.scores.isfinite()]
        between = f", scores from {known.min():.3g} to {known.max():.3g}" if len(known) else ""
        return f"Replay({counted(exits, 'exit')}, {counted(samples, 'sample')}{between})"

    def at(self, threshold: Threshold) -> tuple[Tensor, Tensor]:
        """Apply a threshold, or one for each exit, in the criterion's own unit; with infinity no sample leaves.

        Returns:
            The number of the exit, from 1, at which each sample leaves, of shape [samples], and what is predicted, of
            shape [samples] or [samples, labels]. Who never reaches the threshold leaves at the last exit with the
            fallback.
        """
        thresholds = at_exits(threshold, len(self.scores))
        leaves = torch.stack([*map(reaches, self.scores, thresholds)])  # [exits, samples]
        first = leaves.int().argmax(0)  # [samples]
        leaves_early = leaves.any(0)
        label = self.labels[first, torch.arange(len(first), device=first.device)]  # [samples] or [samples, labels]
        return (
            torch.where(leaves_early, first + 1, len(self.scores)),
            where_rows(leaves_early, label, self.fallback),
        )


def replay(criterion: Criterion, exits: StoredExits) -> Replay:
    """Let a criterion, fitted beforehand if it is one that has to be, judge all samples after every exit.

    Raises:
        OptionError: If the criterion can't judge these exits.
    """
    state = criterion.start(exits.num_samples, exits.target, exits.logits.device)
    decisions = []
    for exit_layer in range(1, exits.num_exits + 1):
        output = exits.output(exit_layer)
        decision, state = criterion.checked_step(output, state)
        decisions.append(decision)
    return Replay(
        scores=torch.stack([decision.score for decision in decisions]),  # [exits, samples]
        labels=torch.stack([decision.label for decision in decisions]),  # [exits, samples], or with [..., labels]
        fallback=criterion.checked_fallback(output, state),
    )


@dataclass(frozen=True, eq=False)
class Curve:
    """Every operating point of a criterion, from slow to fast.

    Attributes:
        criterion: The criterion's name.
        num_layers: Number of layers of the model.
        attained: Infinity, then the scores at which an outcome changes, descending, in float64, of shape [points]; of a
            curve that was read from a file its `thresholds`.
        thresholds: For use and for files: each half-way between an attained score and the next lower one, written with
            few decimals, in float64, of shape [points]; see `ee_lightning.functional.curves`. With infinity no sample
            leaves early; at the last all leave at the first exit that scores them.
        mean_exit: Mean number of executed layers, in float64, of shape [points].
        scores: Each metric at every point, in float64, of shape [points].
        bands: By metric the ends of its 95 % interval at every point, each of shape [points]; see
            `ee_lightning.exits.bands`. Empty where they were not worked out.
    """

    criterion: str
    num_layers: int
    attained: Tensor
    thresholds: Tensor
    mean_exit: Tensor
    scores: Mapping[str, Tensor]
    bands: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __repr__(self) -> str:
        reached = [f"{self.speedup.min():.2f}x to {self.speedup.max():.2f}x"]
        reached += [f"{name} {score.min():.3f} to {score.max():.3f}" for name, score in self.scores.items()]
        return f"Curve({self.criterion}: {counted(len(self.thresholds), 'point')}, {', '.join(reached)})"

    def to_frame(self) -> "pd.DataFrame":
        """Return the operating points as a data frame, one a row, from slow to fast.

        Its columns are ``threshold``, ``speedup``, ``mean_exit``, every metric and, where they were worked out, the
        ends of its band as ``<metric>_low`` and ``<metric>_high``.
        """
        import pandas as pd  # which deployed models do without

        columns = {"threshold": self.thresholds, "speedup": self.speedup, "mean_exit": self.mean_exit, **self.scores}
        for name, ends in self.bands.items():
            columns |= {f"{name}_{end}": values for end, values in zip(BAND_ENDS, ends, strict=True)}
        return pd.DataFrame({name: values.numpy() for name, values in columns.items()})

    def plot(self, metric: str | None = None, axes: "Axes | None" = None, **of_line: Any) -> "Axes":
        """Draw a metric, the first one unless another is named, against speed-up, with its band.

        Args:
            metric: The metric.
            axes: Those of matplotlib to draw on, beside what is there; new ones if there are none.
            **of_line: Of ``matplotlib.axes.Axes.plot``, such as ``color``.
        """
        from matplotlib.figure import Figure  # the extra `plot`

        from ee_lightning.exits.drawing import draw_curve, lay_out

        name = metric or next(iter(self.scores))
        if axes is None:
            axes = Figure(figsize=(7, 4), layout="constrained").subplots()
        draw_curve(axes, self, name, **{"label": self.criterion, **of_line})
        lay_out(axes, self.num_layers, name)
        axes.legend(loc="lower left", fontsize="small")
        return axes

    @property
    def speedup(self) -> Tensor:
        """All layers over mean executed layers, ascending, of shape [points]."""
        return self.num_layers / self.mean_exit

    @property
    def is_all_or_nothing(self) -> bool:
        """Whether no threshold lets some samples leave early and others later."""
        return len(self.thresholds) <= 2

    def telling(self) -> "Curve":
        """Return the curve of those points that a plot or a choice can tell apart, see `telling_points`."""
        points = telling_points(self.mean_exit, list(self.scores.values()))
        columns = {name: getattr(self, name)[points] for name in ("attained", "thresholds", "mean_exit")}
        scores = {name: score[points] for name, score in self.scores.items()}
        bands = {name: (low[points], high[points]) for name, (low, high) in self.bands.items()}
        return replace(self, **columns, scores=scores, bands=bands)

    def index_at(self, threshold: float) -> int:
        """Return the position of the operating point at which a threshold leaves the samples."""
        return int((self.attained >= threshold).sum()) - 1

    def threshold_near(self, speedup: float) -> float:
        """Return the threshold of the operating point whose speed-up is nearest to a named one."""
        return self.thresholds[(self.speedup - speedup).abs().argmin()].item()

    def score_at(self, speedup: float, metric: str) -> float:
        """Read a metric at a speed-up, between two operating points linearly in mean executed layers.

        The score is NaN at a speed-up that the criterion cannot reach.
        """
        return score_at(self.mean_exit, self.scores[metric], self.num_layers / speedup)

    def area(self, metric: str, fixed: "Curve") -> float:
        """Return the mean of a metric over all costs that the exits alone, `fixed`, span; they continue the curve."""
        return area(self.mean_exit, self.scores[metric], fixed.mean_exit, fixed.scores[metric])


def trace_curve(
    criterion: Criterion, exits: StoredExits, metrics: Sequence[str], counts: Mapping[str, Count] = MappingProxyType({})
) -> Curve:
    """Trace the exact curve of a criterion, with one point per threshold that changes an outcome.

    Args:
        criterion: Any criterion, fitted beforehand, on other samples, if it is one that has to be.
        exits: The stored outputs of all exits, with labels.
        metrics: Some of the task's, such as "accuracy"; see `ee_lightning.functional.metrics`.
        counts: By name what else is added up over the samples at every point, to stand among the `scores`: takes
            predictions and the samples [events] that they are made for, and returns whole numbers [events].

    Raises:
        DataError: If labels are missing or are no class numbers where these are needed.
        OptionError: If the criterion can't judge these exits, or a metric is unknown or does not suit the task.
    """
    statistics = statistics_of(exits)
    names = [name for metric in metrics for name in check_metrics([metric], exits.target, "metrics")]
    replayed = replay(criterion, exits)

    def tally(predictions: Tensor, samples: Tensor) -> Tensor:
        more = [count(predictions, samples).unsqueeze(-1) for count in counts.values()]
        return torch.cat([*more, statistics.tally(predictions, samples)], dim=-1)  # [events, statistics]

    points = operating_points(replayed.scores, replayed.labels, replayed.fallback, tally, exits.layers_of_exits)
    of_task = points.counts[:, len(counts) :]  # [points, statistics of the task]
    actual = statistics.actual
    scores = {name: statistics.metric(name)(of_task, actual) for name in names}
    scores |= dict(zip(counts, points.counts.T, strict=False))
    num_layers = exits.layers_of_exits[-1]
    return Curve(criterion.name, num_layers, points.attained, separators(points.attained), points.mean_exit, scores)
