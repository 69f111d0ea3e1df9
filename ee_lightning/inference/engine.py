"""The inference engine: samples leave early for real, at any batch size."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from math import inf
from typing import Literal, get_args

import torch
from torch import Tensor

from ee_lightning.errors import DataError, OptionError, require_at_least_one, require_one_of
from ee_lightning.exits import GATE, Criterion, ExitOutput, reaches
from ee_lightning.exits.criterion import Decision, State
from ee_lightning.functional import where_rows
from ee_lightning.inference.batches import Cohort, Departed, Packing, Predictions, Sample, in_order, join, pad_samples
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
        """Return those that leave.

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
        """Raise an error for a criterion that can't judge the model's exits, before there is anything to judge.

        Raises:
            OptionError: It needs labels, a gate, classes or to be fitted, or it is of another number of exits.
        """
        model, num_exits = self.model, self.model.num_exits
        memory = self.criterion.start(1, model.target, torch.device("cpu"))
        extras = {} if model.heads.gate is None else {GATE: torch.zeros(1)}
        for exit_layer in range(1, num_exits + 1):
            logits = torch.zeros(1, model.target.num_classes)
            output = ExitOutput(exit_layer, num_exits, logits, extras, kind=model.target.kind)
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
        """Return the criterion's memory of samples that no exit has seen."""
        memory = self.criterion.start(num_samples, self.model.target, self.device)
        memory = {**memory, _FINITE: torch.ones(num_samples, dtype=torch.bool, device=self.device)}
        if self.keep_trail:
            memory = {**memory, _TRAIL: torch.zeros(num_samples, 0, self.model.target.num_classes, device=self.device)}
        return memory

    def recall(self, memory: State, kept: Tensor) -> State:
        """Return what is remembered of the samples at some places, ``[kept]`` on the host."""
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
        output = ExitOutput(exit_layer, self.model.num_exits, said.logits.float(), extras, kind=self.model.target.kind)
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
        """Return the context in which all this happens."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


Batch = Mapping[str, Tensor]


def descend(stepper: Stepper, lengths: Tensor, take: Callable[[Tensor], Batch], packing: Packing) -> Predictions:
    """Let samples go through one layer, then those that stay through the next, each time in batches of like lengths.

    One exit judges all of them together, and the device is waited for at most once a layer.

    Args:
        stepper: Model, criterion and threshold.
        lengths: Numbers of tokens, ``[samples]``, at least one, on the host.
        take: Makes a batch of the samples at some places, ``[batch]`` on the host, as `Stepper.start` takes it.
        packing: How full batches are.
    """
    if stepper.model.training:
        stepper.model.eval()
    with torch.inference_mode(), stepper.lower_precision():  # once, for the weights are cast anew each time
        return _descend(stepper, lengths, take, packing)


def _descend(stepper: Stepper, lengths: Tensor, take: Callable[[Tensor], Batch], packing: Packing) -> Predictions:
    rows = lengths.argsort(descending=True, stable=True)  # [samples]; longest first, as in all that follows
    packs = packing([(1, length) for length in lengths[rows].tolist()])
    together = [rows[pack.start : pack.stop] for pack in packs]  # [batch] each
    cohorts = [stepper.start(take(some), lengths[some]) for some in together]
    memory = stepper.remember(len(rows))
    departed: list[Departed] = []
    for layer in range(1, stepper.num_layers + 1):
        packs = packing([cohort.size for cohort in cohorts])
        waiting = deque(cohorts)
        cohorts.clear()  # so that what went through the layer is given up batch by batch
        for pack in packs:
            joined = join([waiting.popleft() for _ in pack], stepper.model.backbone)
            cohorts.append(stepper.advance(layer, joined))
        judged = stepper.judge(layer, cohorts, memory)
        if judged is None:
            continue
        memory, leaves = judged.memory, judged.leaves.cpu()  # leaves: [samples still there]
        leaving = int(leaves.count_nonzero())
        if leaving == len(rows):
            departed.append(judged.departed(rows))
            break
        if leaving > 0:
            gone, kept = leaves.nonzero().squeeze(1), (~leaves).nonzero().squeeze(1)  # [gone], [kept]
            departed.append(judged.departed(rows, gone))
            rows, memory = rows[kept], stepper.recall(memory, kept)
            cohorts = _staying(stepper, cohorts, leaves)
    return in_order(departed)


def _staying(stepper: Stepper, cohorts: Sequence[Cohort], leaves: Tensor) -> list[Cohort]:
    """Drop who leaves, ``[samples]``, from the cohorts."""
    staying = []
    for cohort, leave in zip(cohorts, torch.split(leaves, [cohort.size[0] for cohort in cohorts]), strict=True):
        kept = (~leave).nonzero().squeeze(1)  # [kept]
        if len(kept) == len(leave):
            staying.append(cohort)
        elif len(kept) > 0:
            staying.append(cohort.keep(kept, stepper.model.backbone))
    return staying


Schedule = Literal["auto", "depth_first", "breadth_first"]
BATCHES_IN_A_POOL = 16


class EarlyExitEngine:
    """Runs a model layer by layer and lets every sample leave where the criterion says so.

    What is predicted is what batch size 1 predicts: who left is dropped from hidden states, masks and what the
    criterion remembers, and with them the padding that no other sample needs. Logits differ by rounding alone, as they
    do between any two batch sizes: in float32 the tests allow 1e-5. A score may fall on the other side of the threshold
    only where it is that close. Exits and labels are those of `ee_lightning.exits.curve` on stored exits.

    Samples go through a layer in batches of similar length, which are repacked before the next layer from those that
    stay. Two schedules differ in how many are on their way at a time: ``depth_first`` takes ``batch_size`` samples down
    to the last of them before the next, for latency; ``breadth_first`` takes a pool of many batches, for throughput.
    ``auto`` takes the first for up to ``batch_size`` samples, and the second for more.

    Args:
        model: The model; it is put into evaluation mode.
        criterion: When to leave; fitted beforehand if it is one that has to be.
        threshold: In the criterion's unit; infinity lets nobody leave early.
        schedule: ``auto``, ``depth_first`` or ``breadth_first``.
        batch_size: Samples on their way at a time by ``depth_first``.
        max_tokens: Tokens a batch in a layer, padding included; a pool of ``breadth_first`` has 16 times as many. None
            takes 512 on the CPU and 32,768 elsewhere.
        precision: ``fp32``, or ``bf16`` for matrix products in bfloat16.
        keep_trail: Whether to give the logits of all exits that a sample passed.
        pad_token_id: What fills ``input_ids``.
        pad_token_type_id: What fills ``token_type_ids``.

    Raises:
        OptionError: An option makes no sense, or the criterion can't judge the model's exits.
    """

    def __init__(
        self,
        model: MultiExitModel,
        criterion: Criterion,
        threshold: float,
        *,
        schedule: Schedule = "auto",
        batch_size: int = 32,
        max_tokens: int | None = None,
        precision: Precision = "fp32",
        keep_trail: bool = False,
        pad_token_id: int = 0,
        pad_token_type_id: int = 0,
    ) -> None:
        require_one_of(schedule, get_args(Schedule), "schedule")
        require_one_of(precision, get_args(Precision), "precision")
        require_at_least_one(batch_size=batch_size, max_tokens=1 if max_tokens is None else max_tokens)
        if threshold != threshold:
            raise OptionError("the threshold is no number", where="threshold", hint="infinity lets nobody leave early")
        self.stepper = Stepper(model.eval(), criterion, float(threshold), precision, keep_trail=keep_trail)
        self.stepper.rehearse()
        self.schedule, self.batch_size = schedule, batch_size
        self.packing = Packing.on(self.stepper.device, max_tokens)
        self._fills = {"input_ids": pad_token_id, "token_type_ids": pad_token_type_id}

    def predict(self, samples: Iterable[Sample]) -> Iterator[Predictions]:
        """Predict a stream of samples of any length, in memory that does not grow with it.

        Args:
            samples: Tokenised samples; no more of them are taken than are needed next.

        Yields:
            The predictions of the next samples, in their order: of a batch, or of a pool.

        Raises:
            DataError: A sample has no tokens.
        """
        stream = iter(samples)
        schedule = self.schedule
        if schedule == "auto":
            first = list(islice(stream, self.batch_size + 1))
            stream = chain(first, stream)
            schedule = "depth_first" if len(first) <= self.batch_size else "breadth_first"
        for pool in self._pools(stream) if schedule == "breadth_first" else self._batches(stream):
            yield self._predict(pool)

    def predict_batch(self, batch: Batch) -> Predictions:
        """Predict a padded batch, such as a data loader gives: ``map(engine.predict_batch, loader)`` predicts all.

        Args:
            batch: ``input_ids``, ``attention_mask`` and, where the backbone has them, ``token_type_ids``, each
                ``[batch, length]``; other entries are ignored.

        Raises:
            DataError: There is no row, a row has no tokens, or tokens of a row don't all stand before its padding.
        """
        mask = batch["attention_mask"].cpu()
        names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in batch]
        lengths = mask.sum(1)  # [batch]
        if (mask[:, 1:] > mask[:, :-1]).any():
            raise DataError("tokens stand behind padding", where="attention_mask", hint="pad on the right")
        if lengths.numel() == 0 or lengths.min() == 0:
            raise DataError("there is nothing to predict", where="attention_mask", hint="leave out what has no tokens")

        def take(rows: Tensor) -> Batch:
            longest = int(lengths[rows].max())
            return {name: batch[name][rows.to(batch[name].device), :longest] for name in names}

        return descend(self.stepper, lengths, take, self.packing)

    def pad(self, samples: Sequence[Sample]) -> Batch:
        """Make a batch of samples, padded on the right to the longest."""
        return pad_samples(samples, self._fills)

    def _predict(self, samples: Sequence[Sample]) -> Predictions:
        lengths = torch.tensor([len(sample.input_ids) for sample in samples])  # [samples]
        if lengths.min() == 0:
            raise DataError("a sample has no tokens", where="input_ids", hint="leave it out")
        return descend(
            self.stepper, lengths, lambda rows: self.pad([samples[row] for row in rows.tolist()]), self.packing
        )

    def _batches(self, samples: Iterator[Sample]) -> Iterator[list[Sample]]:
        while batch := list(islice(samples, self.batch_size)):
            yield batch

    def _pools(self, samples: Iterable[Sample]) -> Iterator[list[Sample]]:
        pool: list[Sample] = []
        tokens = 0
        for sample in samples:
            pool.append(sample)
            tokens += len(sample.input_ids)
            if tokens >= BATCHES_IN_A_POOL * self.packing.max_tokens:
                yield pool
                pool, tokens = [], 0
        if pool:
            yield pool
