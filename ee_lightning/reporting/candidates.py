"""The operating points of a criterion, compared with the full model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ee_lightning.exits import Criterion, Curve, StoredExits, replay, trace_curve
from ee_lightning.exits.statistics import statistics_of
from ee_lightning.functional import operating_points, same_rows


@dataclass(frozen=True, eq=False)
class Candidates:
    """The operating points to choose among, from slow to fast, on the samples to choose on.

    Attributes:
        curve: The curve of the criterion.
        metric: The score that counts, one of the curve's.
        full_score: The full model's.
        num_samples: Number of samples.
        differing: Number of samples whose label or set of labels is not the full model's, in int64, of shape [points].
        spoilt: Number of samples that the full model gets right and this point wrong, in int64, of shape [points].
    """

    curve: Curve
    metric: str
    full_score: float
    num_samples: int
    differing: Tensor
    spoilt: Tensor

    @property
    def score(self) -> Tensor:
        """The metric at every point, of shape [points]."""
        return self.curve.scores[self.metric]

    @property
    def is_early(self) -> Tensor:
        """Where some sample leaves before the last exit, of shape [points]."""
        return self.curve.mean_exit < self.curve.num_exits


def list_candidates(criterion: Criterion, exits: StoredExits, metric: str) -> Candidates:
    """Trace a criterion's curve, and compare every point with the full model.

    Args:
        criterion: Any criterion.
        exits: The stored exits of the samples to choose on, with labels.
        metric: A key of `CLASSIFICATION_METRICS`, or for several labels of `MULTI_LABEL_METRICS`.

    Raises:
        DataError: Labels are missing or are no class numbers.
        OptionError: The metric is unknown or does not suit the task.
    """
    curve = trace_curve(criterion, exits, [metric])
    statistics, full = statistics_of(exits), exits.predictions[-1]  # full: [samples] or [samples, labels]
    full_is_right = same_rows(full, exits.known_labels())  # [samples]

    def count(predictions: Tensor, samples: Tensor) -> Tensor:
        differs = ~same_rows(predictions, full[samples])  # [events]
        return torch.stack([differs, differs & full_is_right[samples]], dim=-1).long()  # [events, 2]

    replayed = replay(criterion, exits)
    counts = operating_points(replayed.scores, replayed.labels, replayed.fallback, count).counts  # [points, 2]
    everyone = torch.arange(exits.num_samples)
    full_score = statistics.metrics[metric](statistics.tally(full, everyone).sum(0), statistics.actual).item()
    return Candidates(curve, metric, full_score, exits.num_samples, differing=counts[:, 0], spoilt=counts[:, 1])
