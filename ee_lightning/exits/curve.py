"""The exact accuracy-speed curve of a criterion on stored exits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ee_lightning.errors import DataError, OptionError
from ee_lightning.exits.criterion import Criterion
from ee_lightning.exits.replay import replay
from ee_lightning.exits.stored import StoredExits
from ee_lightning.functional import CLASSIFICATION_METRICS, area, classification_counts, operating_points, score_at


@dataclass(frozen=True, eq=False)
class Curve:
    """Every operating point of a criterion, from slow to fast.

    Attributes:
        criterion: The criterion's name.
        num_exits: Number of exits M.
        thresholds: Descending, starting with infinity, in float64, of shape [points].
        mean_exit: Mean number of executed layers, in float64, of shape [points].
        scores: Each metric at every point, in float64, of shape [points].
    """

    criterion: str
    num_exits: int
    thresholds: Tensor
    mean_exit: Tensor
    scores: Mapping[str, Tensor]

    @property
    def speedup(self) -> Tensor:
        """All layers over mean executed layers, ascending, of shape [points]."""
        return self.num_exits / self.mean_exit

    def index_at(self, threshold: float) -> int:
        """Find the operating point at which a threshold leaves the samples.

        Args:
            threshold: Any number.

        Returns:
            The position along the points.
        """
        return int((self.thresholds >= threshold).sum()) - 1

    def score_at(self, speedup: float, metric: str) -> float:
        """Read a metric at a speed-up, between two operating points linearly in mean executed layers.

        Args:
            speedup: All layers over mean executed layers, from 1.
            metric: One of `scores`.

        Returns:
            The score, or NaN at a speed-up that the criterion cannot reach.
        """
        return score_at(self.mean_exit, self.scores[metric], self.num_exits / speedup)

    def area(self, metric: str) -> float:
        """Give the mean of a metric over all relative costs between one layer and all.

        Args:
            metric: One of `scores`.
        """
        return area(self.mean_exit, self.scores[metric], self.num_exits)


def trace_curve(criterion: Criterion, exits: StoredExits, metrics: Sequence[str]) -> Curve:
    """Trace the exact curve of a criterion.

    Args:
        criterion: Any criterion.
        exits: The stored outputs of all exits, with labels.
        metrics: Keys of `CLASSIFICATION_METRICS`.

    Returns:
        The curve, with one point per threshold that changes an outcome.

    Raises:
        DataError: If labels are missing or are no class numbers.
        OptionError: If a metric is unknown or does not suit the number of classes.
    """
    if unknown := [metric for metric in metrics if metric not in CLASSIFICATION_METRICS]:
        raise OptionError(
            f"Unknown metrics {unknown}", where="metrics", mend=f"choose among {list(CLASSIFICATION_METRICS)}"
        )
    labels = _class_numbers(exits)

    def count(predictions: Tensor, samples: Tensor) -> Tensor:
        return classification_counts(predictions, labels[samples], exits.num_classes)  # [events, 2 * classes]

    replayed = replay(criterion, exits)
    points = operating_points(replayed.scores, replayed.labels, replayed.fallback, count)
    actual = labels.bincount(minlength=exits.num_classes)  # [classes]
    try:
        scores = {metric: CLASSIFICATION_METRICS[metric](points.counts, actual) for metric in metrics}
    except ValueError as error:
        raise OptionError(str(error), where="metrics", mend="leave this metric out for this task") from error
    return Curve(criterion.name, exits.num_exits, points.thresholds, points.mean_exit, scores)


def _class_numbers(exits: StoredExits) -> Tensor:
    labels, num_classes = exits.labels, exits.num_classes
    if labels is None:
        raise DataError("A curve needs labels, and these stored exits have none", mend="use a split with labels")
    if labels.is_floating_point() or labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(
            f"Labels must be whole numbers from 0 to {num_classes - 1}, but these are {labels.dtype} "
            f"from {labels.min().item()} to {labels.max().item()}",
            mend="use a split with labels, and heads with one output per class",
        )
    return labels
