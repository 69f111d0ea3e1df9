"""One step of early exit: a layer, its exit, and who leaves there."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import inf
from typing import Literal

import torch
from torch import Tensor

from ee_lightning.exits import GATE, Criterion, ExitOutput, reaches
from ee_lightning.exits.criterion import Decision, State
from ee_lightning.functional import where_rows
from ee_lightning.inference.cohort import Cohort
from ee_lightning.inference.predictions import Departed
from ee_lightning.models import MultiExitModel

Precision = Literal["fp32", "bf16"]
_TRAIL = "trail"
_FINITE = "finite"


@dataclass(frozen=True, eq=False)
class Judged:
    """What an exit and the criterion say of samples.

    Attributes:
        exit_layer: The number of the exit.
        decision: The criterion's.
        logits: The exit's, ``[samples, classes]``.
        memory: What the criterion remembers now.
        leaves: Who leaves, ``[samples]``; on the host where that is known without looking.
    """

    exit_layer: int
    decision: Decision
    logits: Tensor
    memory: State
    leaves: Tensor

    def departed(self, rows: Tensor, gone: Tensor | None = None) -> Departed:
        """Give those that leave.

        Args:
            rows: Which samples were judged, ``[samples]``, on the host.
            gone: The places of those that leave, ``[gone]``, on the host; None if all do.
        """
        label, score, finite = self.decision.label, self.decision.score, self.memory[_FINITE]
        all_of_them = Departed(rows, self.exit_layer, label, score, self.logits, finite, self.memory.get(_TRAIL))
        return all_of_them if gone is None else all_of_them.select(gone)


class Stepper:
    """Takes samples through a model's layers and judges them at its exits, by a criterion at a threshold.

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

    def rehearse(self) -> None:
        """Refuse a criterion that can't judge the model's exits, before there is anything to judge.

        Raises:
            OptionError: It needs labels, a gate, classes or to be fitted, or it is of another number of exits.
        """
        model, num_exits = self.model, self.model.num_exits
        memory = self.criterion.start(1, model.num_classes, torch.device("cpu"), multi_label=model.multi_label)
        extras = {} if model.heads.gate is None else {GATE: torch.zeros(1)}
        for exit_layer in range(1, num_exits + 1):
            logits = torch.zeros(1, model.num_classes)
            output = ExitOutput(exit_layer, num_exits, logits, extras, multi_label=model.multi_label)
            _, memory = self.criterion.step(output, memory)

    def start(self, batch: Mapping[str, Tensor], lengths: Tensor) -> Cohort:
        """Embed samples.

        Args:
            batch: ``input_ids``, ``attention_mask`` and, where the backbone has them, ``token_type_ids``, each
                ``[batch, length]``, padded on the right.
            lengths: Numbers of tokens, ``[batch]``, on the host.
        """
        there = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        is_padded = int(lengths.min()) < there["input_ids"].shape[1]
        return Cohort(lengths, self.model.backbone.embed(**there, is_padded=is_padded))

    def advance(self, layer: int, cohort: Cohort) -> Cohort:
        """Run a layer.

        Args:
            layer: The number of the layer, from 1.
            cohort: Samples behind the layer before.
        """
        return Cohort(cohort.lengths, self.model.backbone.layer(layer - 1, cohort.state))

    def remember(self, num_samples: int) -> State:
        """Give the criterion's memory of samples that no exit has seen."""
        num_classes = self.model.num_classes
        memory = self.criterion.start(num_samples, num_classes, self.device, multi_label=self.model.multi_label)
        memory = {**memory, _FINITE: torch.ones(num_samples, dtype=torch.bool, device=self.device)}
        if self.keep_trail:
            memory = {**memory, _TRAIL: torch.zeros(num_samples, 0, num_classes, device=self.device)}
        return memory

    def recall(self, memory: State, kept: Tensor) -> State:
        """Give what is remembered of the samples at some places, ``[kept]`` on the host."""
        there = kept.to(self.device, non_blocking=True)
        return {name: tensor.index_select(0, there) for name, tensor in memory.items()}

    def judge(self, layer: int, cohorts: Sequence[Cohort], memory: State) -> Judged | None:
        """Run the exit behind a layer on all samples together, without waiting for the device.

        Args:
            layer: The number of the layer, from 1.
            cohorts: The samples behind it.
            memory: What the criterion remembers of them, in their order.

        Returns:
            None where there is no exit.
        """
        exit_layer = self.model.exit_behind(layer)
        if exit_layer < 1:
            return None
        heads = self.model.heads
        pooled = [heads.pool(cohort.state) for cohort in cohorts]  # [batch, width] each
        said = heads.classify(exit_layer, pooled[0] if len(pooled) == 1 else torch.cat(pooled))
        extras = {} if said.gate is None else {GATE: said.gate.float()}  # [samples]
        output = ExitOutput(
            exit_layer, self.model.num_exits, said.logits.float(), extras, multi_label=self.model.multi_label
        )
        decision, following = self.criterion.step(output, memory)
        following = {**following, _FINITE: memory[_FINITE] & output.logits.isfinite().all(-1)}  # [samples]
        if self.keep_trail:
            latest = output.logits.unsqueeze(1)  # [samples, 1, classes]
            following = {**following, _TRAIL: torch.cat([memory[_TRAIL], latest], dim=1)}  # [samples, exits, classes]
        if exit_layer == self.model.num_exits:
            fallback = self.criterion.fallback(output, following)  # [samples] or [samples, labels]
            label = where_rows(reaches(decision.score, self.threshold), decision.label, fallback)  # like fallback
            decision, leaves = Decision(decision.score, label), torch.ones(len(label), dtype=torch.bool)
        elif self.threshold == inf or self.criterion.highest_score(exit_layer) < self.threshold:
            leaves = torch.zeros(len(decision.score), dtype=torch.bool)  # [samples]
        else:
            leaves = reaches(decision.score, self.threshold)  # [samples]
        return Judged(exit_layer, decision, output.logits, following, leaves)

    def lower_precision(self) -> AbstractContextManager[object]:
        """Give the context in which all this happens."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)
