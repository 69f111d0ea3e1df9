"""What the engine says of samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ee_lightning.models import check_finite_logits


class Prediction(NamedTuple):
    """What is predicted for a sample.

    Attributes:
        label: A class number, or for regression a value; of several labels whether each one is there.
        score: The criterion's score at the exit where the sample left; below the threshold where none let it leave.
        exit_layer: The number of that exit, from 1.
        logits: That exit's, ``[classes]``; for regression the predicted value, ``[1]``.
        trail: The logits of all exits up to there, ``[exit_layer, classes]``; None unless asked for.
    """

    label: int | float | list[bool]
    score: float
    exit_layer: int
    logits: Tensor
    trail: Tensor | None


@dataclass(frozen=True, eq=False)
class Predictions:
    """What is predicted for some samples, in their order, on the host.

    Attributes:
        labels: ``[samples]``, class numbers, or for regression values; of several labels ``[samples, labels]``, whether
            each one is there.
        scores: ``[samples]``, the criterion's scores where the samples left.
        exit_layers: ``[samples]``, from 1.
        logits: ``[samples, classes]``, of the exit where each sample left.
        trails: Of each sample the logits of all exits up to there, ``[exit_layer, classes]``; None unless asked for.
    """

    labels: Tensor
    scores: Tensor
    exit_layers: Tensor
    logits: Tensor
    trails: Sequence[Tensor] | None = None

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.labels)

    def __iter__(self) -> Iterator[Prediction]:
        """Give the prediction for each sample."""
        trails = self.trails if self.trails is not None else [None] * len(self)
        columns = (self.labels.tolist(), self.scores.tolist(), self.exit_layers.tolist(), self.logits, trails)
        return (Prediction(*fields) for fields in zip(*columns, strict=True))


@dataclass(frozen=True, eq=False)
class Departed:
    """Samples that left together.

    Attributes:
        rows: Which samples these are, ``[batch]``, on the host.
        exit_layer: The number of the exit, from 1.
        labels: ``[batch]``, or of several a sample ``[batch, labels]``.
        scores: ``[batch]``.
        logits: ``[batch, classes]``.
        finite: Whether the logits of all exits passed are finite, ``[batch]``.
        trail: ``[batch, exit_layer, classes]``; None unless asked for.
    """

    rows: Tensor
    exit_layer: int
    labels: Tensor
    scores: Tensor
    logits: Tensor
    finite: Tensor
    trail: Tensor | None

    def select(self, places: Tensor) -> "Departed":
        """Give those at some places, ``[selected]`` on the host."""
        there = places.to(self.logits.device, non_blocking=True)
        return Departed(
            rows=self.rows[places],  # [selected]
            exit_layer=self.exit_layer,
            labels=self.labels.index_select(0, there),  # [selected], or [selected, labels]
            scores=self.scores.index_select(0, there),  # [selected]
            logits=self.logits.index_select(0, there),  # [selected, classes]
            finite=self.finite.index_select(0, there),  # [selected]
            trail=None if self.trail is None else self.trail.index_select(0, there),  # [selected, exit_layer, classes]
        )


def in_order(departed: Sequence[Departed]) -> Predictions:
    """Put together who left, in the order of their rows.

    Args:
        departed: All samples, each once; at least one.

    Raises:
        BackboneError: An exit that a sample passed has logits that are not finite.
    """
    check_finite_logits(torch.cat([each.finite for each in departed]))
    rows = torch.cat([each.rows for each in departed])  # [samples]
    order = rows.argsort()  # [samples]
    exit_layers = torch.cat([torch.full((len(each.rows),), each.exit_layer) for each in departed])  # [samples]
    trails = [trail for each in departed if each.trail is not None for trail in each.trail.cpu()]
    return Predictions(
        labels=torch.cat([each.labels for each in departed]).cpu()[order],  # [samples], or [samples, labels]
        scores=torch.cat([each.scores for each in departed]).cpu()[order],  # [samples]
        exit_layers=exit_layers[order],
        logits=torch.cat([each.logits for each in departed]).cpu()[order],  # [samples, classes]
        trails=[trails[place] for place in order.tolist()] if trails else None,
    )
