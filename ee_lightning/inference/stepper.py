"""One step of early exit: a layer, its exit, and who leaves there."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ee_lightning.exits import GATE, Criterion, ExitOutput, reaches
from ee_lightning.exits.criterion import Decision
from ee_lightning.inference.cohort import Cohort
from ee_lightning.inference.predictions import Departed
from ee_lightning.models import MultiExitModel

Precision = Literal["fp32", "bf16"]
_TRAIL = "trail"


@dataclass(frozen=True, eq=False)
class Judged:
    """A cohort behind a layer, before it is known on the host who leaves.

    Attributes:
        cohort: The samples behind the layer, with what the criterion remembers now.
        exit_layer: The number of the exit behind the layer; below 1 where there is none.
        decision: The criterion's; None where there is no exit.
        logits: The exit's, ``[batch, classes]``; None where there is no exit.
        leaves: Who leaves, ``[batch]``; None where that is known: all at the last exit, and nobody without an exit or
            where no score can reach the threshold.
    """

    cohort: Cohort
    exit_layer: int
    decision: Decision | None
    logits: Tensor | None
    leaves: Tensor | None


class Stepper:
    """Steps cohorts through a model and lets samples leave by a criterion at a threshold.

    Args:
        model: The model, in evaluation mode.
        criterion: When to leave.
        threshold: A sample leaves at the first exit where its score is at least this; infinity lets nobody leave early.
        precision: ``fp32``, or ``bf16`` to run matrix products in bfloat16; criteria judge in float32 in any case.
        keep_trail: Whether to keep the logits of all exits of a sample.
    """

    def __init__(
        self,
        model: MultiExitModel,
        criterion: Criterion,
        threshold: float,
        precision: Precision = "fp32",
        *,
        keep_trail: bool = False,
    ) -> None:
        self.model, self.criterion, self.threshold = model, criterion, threshold
        self.precision, self.keep_trail = precision, keep_trail
        self.device = next(model.parameters()).device

    @property
    def num_layers(self) -> int:
        """Number of layers of the model."""
        return self.model.backbone.num_layers

    def start(self, batch: Mapping[str, Tensor], rows: Tensor, lengths: Tensor) -> Cohort:
        """Embed samples.

        Args:
            batch: ``input_ids``, ``attention_mask`` and, where the backbone has them, ``token_type_ids``, each
                ``[batch, length]``, padded on the right.
            rows: Which samples these are, ``[batch]``, on the host.
            lengths: Their numbers of tokens, ``[batch]``, on the host.
        """
        there = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        is_padded = int(lengths.min()) < there["input_ids"].shape[1]
        with self._precision():
            state = self.model.backbone.embed(
                there["input_ids"], there["attention_mask"], there.get("token_type_ids"), is_padded=is_padded
            )
        num_classes = self.model.num_classes
        memory = self.criterion.start(len(rows), num_classes, self.device)
        if self.keep_trail:
            memory = {**memory, _TRAIL: torch.zeros(len(rows), 0, num_classes, device=self.device)}
        return Cohort(rows, lengths, state, memory)

    def advance(self, layer: int, cohort: Cohort) -> Judged:
        """Run a layer and its exit, without waiting for the device.

        Args:
            layer: The number of the layer, from 1.
            cohort: Samples behind the layer before.
        """
        exit_layer = self.model.exit_behind(layer)
        with self._precision():
            state = self.model.backbone.layer(layer - 1, cohort.state)
            said = self.model.heads(exit_layer, state) if exit_layer > 0 else None
        if said is None:
            return Judged(cohort.with_state(state), exit_layer, None, None, None)
        extras = {} if said.gate is None else {GATE: said.gate.float()}  # [batch]
        output = ExitOutput(exit_layer, self.model.num_exits, said.logits.float(), extras)
        decision, memory = self.criterion.step(output, cohort.memory)
        if self.keep_trail:
            latest = output.logits.unsqueeze(1)  # [batch, 1, classes]
            memory = {**memory, _TRAIL: torch.cat([cohort.memory[_TRAIL], latest], dim=1)}  # [batch, exits, classes]
        leaves = None
        if exit_layer == self.model.num_exits:
            label = torch.where(
                reaches(decision.score, self.threshold), decision.label, self.criterion.fallback(output, memory)
            )  # [batch]
            decision = Decision(decision.score, label)
        elif self.criterion.highest_score(exit_layer) >= self.threshold:
            leaves = reaches(decision.score, self.threshold)  # [batch]
        return Judged(replace(cohort, state=state, memory=memory), exit_layer, decision, output.logits, leaves)

    def part(self, judged: Judged, leaves: Tensor | None) -> tuple[Departed | None, Cohort | None]:
        """Part who leaves from who stays.

        Args:
            judged: A cohort behind a layer.
            leaves: Its ``leaves``, on the host.

        Returns:
            Who left and who stays; None where that is nobody.
        """
        cohort = judged.cohort
        if judged.exit_layer == self.model.num_exits or (leaves is not None and leaves.all()):
            return _departed(judged), None
        if leaves is None or not leaves.any():
            return None, cohort
        gone, kept = leaves.nonzero().squeeze(1), (~leaves).nonzero().squeeze(1)  # [gone], [kept]
        return _departed(judged, gone), cohort.keep(kept, self.model.backbone)

    def _precision(self) -> AbstractContextManager[object]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def _departed(judged: Judged, gone: Tensor | None = None) -> Departed:
    """Give those at some places, ``[gone]`` on the host, or all."""
    assert judged.decision is not None
    assert judged.logits is not None
    cohort, trail = judged.cohort, judged.cohort.memory.get(_TRAIL)
    all_of_them = Departed(
        cohort.rows, judged.exit_layer, judged.decision.label, judged.decision.score, judged.logits, trail
    )
    return all_of_them if gone is None else all_of_them.select(gone)
