"""Samples that teach the one exit where a policy lets them leave."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from ee_lightning.errors import OptionError, require_within
from ee_lightning.exits import GATE
from ee_lightning.functional import exit_losses, halting_log_probabilities, linear_weights, sample_losses
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.optimization import EVERYTHING, Progress, Stage

_WHERE = "model.objective.init_args."


class ConsistentEEObjective(Objective):
    r"""A policy learns where samples leave, and each teaches the exit where it does (ConsistentEE, Zeng et al. 2024).

    .. math:: L_1 = \sum_m m \, \ell_m \Big/ \sum_m m, \qquad
        L_2 = -\frac{1}{K} \sum_{k=1}^{K} (R_k - \bar{R}) \log p_{e_k}, \qquad
        L_3 = \frac{1}{K} \sum_{k=1}^{K} \ell_{e_k} + L_2

    .. math:: R_k = -\ell_{e_k} - \alpha \, e_k (1 - s / M), \qquad p_m = (1 - u_m) \prod_{j<m} u_j

    with M exits, :math:`\ell_m` the cross entropy of exit m with a sample's label, and :math:`u_m` the policy: the
    probability, by the gate of exit m, of going on. All who reach the last exit leave there. For each sample K exits
    :math:`e_k` are drawn from p, and :math:`\bar{R}` is its mean reward, a constant for the gradient like all rewards.
    A sample is hard if it is memorised late, and is then hurried less: s is the first exit from which on all are right,
    M if there is none.

    In three stages backbone and exits are trained by :math:`L_1`, the gates alone by :math:`L_2`, and everything by
    :math:`L_3`, all of them means over the batch. Each has a warm-up and a decay of its own. The authors leave where
    the policy finds it more likely than not: the criterion `ee_lightning.exits.Gate` at the threshold -0.5.

    The authors know s from a pass over the training rows after the first stage; here it is that of the exits as they
    are. Their code takes the likelier action in place of a draw, with dropout alone to tell the K copies apart.

    Args:
        acceleration: α ≥ 0; the larger, the earlier samples leave.
        first_stage: The share of all steps that the first stage takes, in (0, 1).
        second_stage: The same of the second stage; the third takes the rest.
        num_draws: K, from 2.
    """

    handles_regression = False
    trains_gates = True

    def __init__(
        self, acceleration: float = 0.05, first_stage: float = 0.4, second_stage: float = 0.3, num_draws: int = 8
    ) -> None:
        super().__init__()
        require_within(acceleration, "[0, inf)", f"{_WHERE}acceleration", "it is α: 0.01 to 0.09 are usual values")
        require_within(num_draws, "[2, inf)", f"{_WHERE}num_draws", "it is K: the authors take 8")
        for name, share in (("first_stage", first_stage), ("second_stage", second_stage)):
            require_within(share, "(0, 1)", f"{_WHERE}{name}", "it is a share of all steps")
        if first_stage + second_stage >= 1:
            raise OptionError(
                f"the first two stages take {first_stage:g} and {second_stage:g} of all steps, and leave nothing",
                where=f"{_WHERE}first_stage, {_WHERE}second_stage",
                hint="give shares whose sum is below 1, such as 0.4 and 0.3",
            )
        self.acceleration, self.num_draws = acceleration, num_draws
        self.first_stage, self.second_stage = first_stage, second_stage

    @override
    def stages(self) -> Sequence[Stage]:
        return (
            Stage(self.first_stage, EVERYTHING - {"gates"}),
            Stage(self.second_stage, frozenset({"gates"})),
            Stage(1 - self.first_stage - self.second_stage),
        )

    @override
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """The parts are ``accuracy_term``, and from the second stage ``policy_term``, ``reward`` and ``mean_exit``."""
        if progress.stage == 0:
            weights = linear_weights(len(output.logits)).to(output.logits)  # [exits]
            loss = (weights * exit_losses(output.logits, labels)).sum() / weights.sum()
            return ObjectiveTerms(loss, {"accuracy_term": loss.detach()})
        gate = output.extras[GATE]  # [exits, batch]
        losses = sample_losses(output.logits, labels).view(*gate.shape, -1).mean(-1)  # [exits, batch]
        places = self._drawn(gate.detach(), progress)  # [draws, batch]
        taken, logarithms = losses.gather(0, places), halting_log_probabilities(gate).gather(0, places)  # as places
        ease = 1 - _memorised(output, labels) / len(gate)  # [batch]
        reward = -taken.detach() - self.acceleration * (places + 1) * ease  # [draws, batch]
        policy = -((reward - reward.mean(0)) * logarithms).mean()
        parts = {"accuracy_term": taken.mean(), "policy_term": policy, "reward": reward.mean()}
        parts["mean_exit"] = (places + 1).to(gate).mean()
        loss = policy if progress.stage == 1 else parts["accuracy_term"] + policy
        return ObjectiveTerms(loss, {name: part.detach() for name, part in parts.items()})

    def _drawn(self, gate: Tensor, progress: Progress) -> Tensor:
        """Draw exits, counted from 0, for each sample by the gate's probabilities."""
        generator = torch.Generator().manual_seed(progress.step)  # so that all processes draw the same
        drawn = torch.rand(self.num_draws, *gate.shape, generator=generator, dtype=gate.dtype).to(gate.device)
        leaves = drawn >= gate  # [draws, exits, batch]
        leaves[:, -1] = True
        return leaves.int().argmax(1)  # [draws, batch]


def _memorised(output: MultiExitOutput, labels: Tensor) -> Tensor:
    """Return the first exit, counted from 1, from which on all are right, and the last where none is, ``[batch]``."""
    num_exits, num_samples = output.extras[GATE].shape
    numbers = labels.argmax(-1) if labels.ndim == 2 else labels  # [batch], or of several labels [batch * labels]
    is_right = (output.logits.argmax(-1) == numbers).view(num_exits, num_samples, -1).all(-1)  # [exits, batch]
    num_right = is_right.flip(0).cumprod(0).sum(0)  # [batch]; exits in a row that are right, from the last
    return (num_exits + 1 - num_right).clamp_max(num_exits)
