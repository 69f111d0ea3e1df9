"""A criterion's decisions on stored exits, the same to the last bit as those it takes live."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ee_lightning.exits.criterion import Criterion, reaches
from ee_lightning.exits.stored import StoredExits
from ee_lightning.functional import where_rows


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

    def at(self, threshold: float) -> tuple[Tensor, Tensor]:
        """Apply a threshold.

        Args:
            threshold: In the criterion's own unit; infinity lets nobody leave.

        Returns:
            The number of the exit, from 1, at which each sample leaves, of shape [samples], and what is predicted for
            it, of shape [samples] or [samples, labels]. Who never reaches the threshold leaves at the last exit with
            the fallback.
        """
        leaves = reaches(self.scores, threshold)  # [exits, samples]
        first = leaves.int().argmax(0)  # [samples]
        leaves_early = leaves.any(0)
        label = self.labels[first, torch.arange(len(first), device=first.device)]  # [samples] or [samples, labels]
        return (
            torch.where(leaves_early, first + 1, len(self.scores)),
            where_rows(leaves_early, label, self.fallback),
        )


def replay(criterion: Criterion, exits: StoredExits) -> Replay:
    """Let a criterion judge all samples after every exit.

    Args:
        criterion: Any criterion, fitted beforehand if it is one that has to be.
        exits: The stored outputs of all exits.

    Returns:
        Its scores and labels after every exit, and its fallback.

    Raises:
        OptionError: If the criterion can't judge these exits.
    """
    device = exits.logits.device
    state = criterion.start(exits.num_samples, exits.num_classes, device, multi_label=exits.multi_label)
    decisions = []
    for exit_layer in range(1, exits.num_exits + 1):
        output = exits.output(exit_layer)
        decision, state = criterion.step(output, state)
        decisions.append(decision)
    return Replay(
        scores=torch.stack([decision.score for decision in decisions]),  # [exits, samples]
        labels=torch.stack([decision.label for decision in decisions]),  # [exits, samples], or with [..., labels]
        fallback=criterion.fallback(output, state),
    )
