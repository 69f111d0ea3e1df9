"""A criterion's decisions on stored exits, the same to the last bit as those it takes live."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ee_lightning.exits.criterion import Criterion, reaches
from ee_lightning.exits.stored import StoredExits


@dataclass(frozen=True, eq=False)
class Replay:
    """All decisions of a criterion, before any threshold.

    Attributes:
        scores: Of shape [exits, samples].
        labels: Class or value predicted for a sample that leaves at that exit, of shape [exits, samples].
        fallback: Class or value predicted for a sample that no exit lets leave, of shape [samples].
    """

    scores: Tensor
    labels: Tensor
    fallback: Tensor

    def at(self, threshold: float) -> tuple[Tensor, Tensor]:
        """Apply a threshold.

        Args:
            threshold: In the criterion's own unit; infinity lets nobody leave.

        Returns:
            The number of the exit, from 1, at which each sample leaves, and what is predicted for it, each of shape
            [samples]. Who never reaches the threshold leaves at the last exit with the fallback.
        """
        leaves = reaches(self.scores, threshold)  # [exits, samples]
        first = leaves.int().argmax(0)  # [samples]
        leaves_early = leaves.any(0)
        label = self.labels.gather(0, first.unsqueeze(0)).squeeze(0)  # [samples]
        return (
            torch.where(leaves_early, first + 1, len(self.scores)),
            torch.where(leaves_early, label, self.fallback),
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
    state = criterion.start(exits.num_samples, exits.num_classes, exits.logits.device)
    decisions = []
    for exit_layer in range(1, exits.num_exits + 1):
        output = exits.output(exit_layer)
        decision, state = criterion.step(output, state)
        decisions.append(decision)
    return Replay(
        scores=torch.stack([decision.score for decision in decisions]),  # [exits, samples]
        labels=torch.stack([decision.label for decision in decisions]),  # [exits, samples]
        fallback=criterion.fallback(output, state),
    )
