"""The exact accuracy-speed curve of a criterion on stored exits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ee_lightning.errors import OptionError
from ee_lightning.exits.criterion import Criterion
from ee_lightning.exits.replay import replay
from ee_lightning.exits.statistics import statistics_of
from ee_lightning.exits.stored import StoredExits
from ee_lightning.functional import area, operating_points, score_at, separators


@dataclass(frozen=True, eq=False)
class Curve:
    """Every operating point of a criterion, from slow to fast.

    Attributes:
        criterion: The criterion's name.
        num_exits: Number of exits M.
        attained: Infinity, then the scores at which an outcome changes, descending, in float64, of shape [points]; of a
            curve that was read from a file its `thresholds`.
        thresholds: For use and for files: each half-way between an attained score and the next lower one, written with
            few decimals, in float64, of shape [points]; see `ee_lightning.functional.separators`. Infinity lets nobody
            leave early; at the last all leave at the first exit that scores them.
        mean_exit: Mean number of executed layers, in float64, of shape [points].
        scores: Each metric at every point, in float64, of shape [points].
    """

    criterion: str
    num_exits: int
    attained: Tensor
    thresholds: Tensor
    mean_exit: Tensor
    scores: Mapping[str, Tensor]

    @property
    def speedup(self) -> Tensor:
        """All layers over mean executed layers, ascending, of shape [points]."""
        return self.num_exits / self.mean_exit

    @property
    def is_all_or_nothing(self) -> bool:
        """Whether no threshold lets some samples leave early and others later."""
        return len(self.thresholds) <= 2

    def index_at(self, threshold: float) -> int:
        """Find the operating point at which a threshold leaves the samples.

        Args:
            threshold: Any number.

        Returns:
            The position along the points.
        """
        return int((self.attained >= threshold).sum()) - 1

    def threshold_near(self, speedup: float) -> float:
        """Give the threshold of the operating point whose speed-up is nearest to a named one.

        Args:
            speedup: All layers over mean executed layers, from 1.
        """
        return self.thresholds[(self.speedup - speedup).abs().argmin()].item()

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
        criterion: Any criterion, fitted beforehand, on other samples, if it is one that has to be.
        exits: The stored outputs of all exits, with labels.
        metrics: Keys of `CLASSIFICATION_METRICS`, for regression of `REGRESSION_METRICS`, for several labels of
            `MULTI_LABEL_METRICS`.

    Returns:
        The curve, with one point per threshold that changes an outcome.

    Raises:
        DataError: If labels are missing or are no class numbers where these are needed.
        OptionError: If the criterion can't judge these exits, or a metric is unknown or does not suit the task.
    """
    statistics = statistics_of(exits)
    if unknown := [metric for metric in metrics if metric not in statistics.metrics]:
        raise OptionError(
            f"Unknown metrics {unknown}", where="metrics", mend=f"choose among {list(statistics.metrics)} for this task"
        )
    replayed = replay(criterion, exits)
    points = operating_points(replayed.scores, replayed.labels, replayed.fallback, statistics.tally)
    try:
        scores = {metric: statistics.metrics[metric](points.counts, statistics.actual) for metric in metrics}
    except ValueError as error:
        raise OptionError(str(error), where="metrics", mend="leave this metric out for this task") from error
    return Curve(
        criterion.name, exits.num_exits, points.attained, separators(points.attained), points.mean_exit, scores
    )
