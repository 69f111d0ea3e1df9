"""The operating points that a budget chooses among, and what is proven of each."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ee_lightning.analysis.row_losses import OF_SHARES, highest, in_blocks, losses_by_exit, totals
from ee_lightning.exits import Criterion, Curve, StoredExits, replay, trace_curve
from ee_lightning.exits.curve import statistics_of
from ee_lightning.functional import (
    betting_p_values,
    binomial_p_values,
    fixed_sequence,
    kept_in_expectation,
    same_rows,
)
from ee_lightning.runs.operating_point import Costs


@dataclass(frozen=True, eq=False)
class Candidates:
    """The operating points to choose among, from slow to fast, on the samples to choose on.

    Attributes:
        curve: The curve of the criterion.
        metric: The score that counts, one of the curve's.
        full_score: The full model's.
        num_samples: Number of samples.
        differing: Number of samples whose label or set of labels is not the full model's, in int64, of shape [points].
        mean_cost: What a sample costs in the mean, in layers, or in milliseconds on the clock, of shape [points].
        full_cost: What it costs the full model.
        criterion: Whose curve it is.
        exits: The stored exits of the samples.
    """

    curve: Curve
    metric: str
    full_score: float
    num_samples: int
    differing: Tensor
    mean_cost: Tensor
    full_cost: float
    criterion: Criterion
    exits: StoredExits

    @property
    def score(self) -> Tensor:
        """The metric at every point, of shape [points]."""
        return self.curve.scores[self.metric]

    def figure(self, name: str) -> Tensor:
        """Return what every point reaches of a budget's figure, of shape [points]."""
        match name:
            case "loss":
                return self.full_score - self.score
            case "speedup":
                return self.full_cost / self.mean_cost
            case "consistency":
                return 1 - self.differing.double() / self.num_samples
            case _:
                return self.mean_loss(name)

    def mean_loss(self, loss: str) -> Tensor:
        """Return the mean of a loss of `row_losses` at every point, of shape [points]."""
        return totals(*self._losses(loss)) / self.num_samples

    def proven(self, loss: str, risk: float, error: float) -> Tensor:
        """Return at which points the expected loss is proven to be `risk` at most, from the slowest on, [points].

        Losses of 0 or 1 are tested by exact binomial tests, all others by betting.
        """
        by_exit, scores = self._losses(loss)
        if loss in OF_SHARES:
            failures = totals(by_exit, scores).long()
            return fixed_sequence(binomial_p_values(failures, self.num_samples, risk), error)
        order = torch.randperm(self.num_samples, generator=torch.Generator().manual_seed(0))  # which no loss decides
        found = torch.zeros_like(self.is_early)
        for block in in_blocks(by_exit[:, order], scores[:, order], self.curve.attained):
            rejected, done = fixed_sequence(betting_p_values(block, risk, error), error), int(found.sum())
            found[done : done + len(rejected)] = rejected
            if not rejected.all():
                break
        return found

    def kept_in_expectation(self, loss: str, risk: float) -> Tensor:
        """Return at which points conformal risk control keeps the expected loss at `risk` or below, [points].

        What a sample counts for is its highest loss at this point or any slower one, which only grows.
        """
        by_exit, scores = self._losses(loss)
        return kept_in_expectation(totals(highest(by_exit, scores), scores), self.num_samples, risk)

    def _losses(self, loss: str) -> tuple[Tensor, Tensor]:
        """Return what every sample loses by each exit, [exits + 1, samples], and the scores, [exits, samples]."""
        replayed = replay(self.criterion, self.exits)
        return losses_by_exit(loss, replayed, self.exits), replayed.scores

    @property
    def is_early(self) -> Tensor:
        """Where some sample leaves before the last exit, of shape [points]."""
        return self.curve.mean_exit < self.curve.num_layers


def list_candidates(criterion: Criterion, exits: StoredExits, metric: str, costs: Costs | None = None) -> Candidates:
    """Trace a criterion's curve by a metric, and compare every point with the full model; with costs on the clock.

    Raises:
        DataError: Labels are missing or are no class numbers.
        OptionError: The metric is unknown or does not suit the task.
    """
    statistics, full = statistics_of(exits), exits.predictions[-1]  # full: [samples] or [samples, labels]

    def differing(predictions: Tensor, samples: Tensor) -> Tensor:
        return (~same_rows(predictions, full[samples])).long()  # [events]

    curve = trace_curve(criterion, exits, [metric], {"differing": differing})
    everyone = torch.arange(exits.num_samples)
    full_score = statistics.metric(metric)(statistics.tally(full, everyone).sum(0), statistics.actual).item()
    mean_cost, full_cost = curve.mean_exit, float(curve.num_layers)
    if costs is not None:
        numbers = trace_curve(criterion, replace(exits, layers_of_exits=()), [metric]).mean_exit  # [points]
        mean_cost, full_cost = costs.start + costs.layer * curve.mean_exit + costs.exit * numbers, costs.full
    compared = curve.scores["differing"], mean_cost, full_cost
    return Candidates(curve, metric, full_score, exits.num_samples, *compared, criterion, exits)
