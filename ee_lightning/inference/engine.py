"""The inference engine: samples leave early for real, at any batch size."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import chain, islice
from math import inf
from typing import Literal, get_args

import torch
from torch import Tensor

from ee_lightning.errors import DataError, require_at_least_one, require_one_of
from ee_lightning.exits import GATE, Criterion, ExitOutput, as_threshold, at_exits, reaches
from ee_lightning.exits.criterion import State
from ee_lightning.functional import where_rows
from ee_lightning.inference.batches import Cohort, Departed, Packing, Predictions, Sample, in_order, join, pad_samples
from ee_lightning.models import MultiExitModel
from ee_lightning.models.backbones.backbone import Backbone

Batch = Mapping[str, Tensor]
Precision = Literal["fp32", "bf16"]
Schedule = Literal["auto", "depth_first", "breadth_first"]
BATCHES_IN_A_POOL = 16
_TRAIL = "trail"
_FINITE = "finite"


class EarlyExitEngine:
    """Runs a model layer by layer and lets every sample leave where the criterion says so.

    Predictions are those of batch size 1: samples that left are dropped from hidden states, masks and the criterion's
    memory, together with padding that no other sample needs. Logits differ only by rounding, as they do between any
    two batch sizes: in float32 the tests allow 1e-5. A score can fall on the other side of the threshold only if it is
    that close. Exits and labels are those of `ee_lightning.exits.curve` on stored exits.

    Samples go through a layer in batches of similar length; those that stay are packed again before the next layer.
    The schedule ``depth_first`` finishes ``batch_size`` samples before it takes the next ones, for latency.
    ``breadth_first`` takes a pool of many batches from layer to layer, for throughput. ``auto`` takes the first for up
    to ``batch_size`` samples, and the second for more.

    Args:
        model: The model; it is put into evaluation mode.
        criterion: When to leave; already fitted if it needs to be.
        threshold: In the criterion's unit, one for all exits or one for each; infinity lets nobody leave early.
        schedule: ``auto``, ``depth_first`` or ``breadth_first``.
        batch_size: Samples on their way at a time by ``depth_first``.
        max_tokens: Tokens a batch in a layer, padding included; a pool of ``breadth_first`` has 16 times as many. None
            takes 512 on the CPU and 32,768 elsewhere.
        precision: ``fp32``, or ``bf16`` for matrix products in bfloat16.
        keep_trail: Whether to return the logits of all exits that a sample passed.
        pad_token_id: What fills ``input_ids``.
        pad_token_type_id: What fills ``token_type_ids``.

    Raises:
        OptionError: An option makes no sense, or the criterion can't judge the model's exits.
    """

    def __init__(
        self,
        model: MultiExitModel,
        criterion: Criterion,
        threshold: float | Sequence[float],
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
        self.model, self.criterion, self.threshold = model.eval(), criterion, as_threshold(threshold)
        self._thresholds = at_exits(self.threshold, model.num_exits)
        self.schedule, self.batch_size, self.precision, self._keeps_trail = schedule, batch_size, precision, keep_trail
        self.device = next(model.parameters()).device
        self.packing = Packing.on(self.device, max_tokens)
        self._fills = {"input_ids": pad_token_id, "token_type_ids": pad_token_type_id}
        criterion.rehearse(model.target, model.num_exits, () if model.heads.gate is None else (GATE,), torch.zeros(0))

    def predict(self, samples: Iterable[Sample]) -> Iterator[Predictions]:
        """Predict a stream of samples of any length, in memory that does not grow with it, batch by batch or pool.

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
        """Predict a padded batch of a data loader: ``map(engine.predict_batch, loader)`` predicts all.

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

        return self._run(lengths, take)

    def pad(self, samples: Sequence[Sample]) -> Batch:
        """Make a batch of samples, padded on the right to the longest."""
        return pad_samples(samples, self._fills)

    def _predict(self, samples: Sequence[Sample]) -> Predictions:
        lengths = torch.tensor([len(sample.input_ids) for sample in samples])  # [samples]
        if lengths.min() == 0:
            raise DataError("a sample has no tokens", where="input_ids", hint="leave it out")
        return self._run(lengths, lambda rows: self.pad([samples[row] for row in rows.tolist()]))

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

    def _run(self, lengths: Tensor, take: Callable[[Tensor], Batch]) -> Predictions:
        """Predict samples, of so many tokens each, ``[samples]`` on the host; `take` makes a batch of some of them."""
        if self.model.training:
            self.model.eval()
        is_lower = self.precision == "bf16"
        # Entered once for all layers, because the weights are cast again each time.
        lower = torch.autocast(self.device.type, dtype=torch.bfloat16) if is_lower else nullcontext()
        with torch.inference_mode(), lower:
            return self._descend(lengths, take)

    def _descend(self, lengths: Tensor, take: Callable[[Tensor], Batch]) -> Predictions:
        """Take all samples through a layer, then those that stay through the next, in batches of similar length.

        One exit judges all of them together, and the device is waited for at most once per layer.
        """
        backbone, departed = self.model.backbone, list[Departed]()
        rows = lengths.argsort(descending=True, stable=True)  # [samples]; longest first, as in all that follows
        packs = self.packing([(1, length) for length in lengths[rows].tolist()])
        cohorts = [self._embed(take(some), lengths[some]) for some in (rows[pack.start : pack.stop] for pack in packs)]
        memory = self._remember(len(rows))
        for layer in range(backbone.num_layers):
            packs, waiting = self.packing([cohort.size for cohort in cohorts]), deque(cohorts)
            cohorts.clear()  # so that each batch is freed once it went through the layer
            for pack in packs:
                joined = join([waiting.popleft() for _ in pack], backbone)
                cohorts.append(Cohort(joined.lengths, backbone.layer(layer, joined.state)))
            exit_layer = self.model.exit_behind(layer + 1)
            if exit_layer < 1:
                continue
            judged, memory, leaves = self._judge(exit_layer, rows, cohorts, memory)
            leaves = leaves.cpu()  # [samples still there]
            gone, kept = leaves.nonzero().squeeze(1), (~leaves).nonzero().squeeze(1)  # [gone], [kept]
            if len(kept) == 0:
                departed.append(judged)
                break
            if len(gone) > 0:
                departed.append(judged.select(gone))
                there = kept.to(self.device, non_blocking=True)
                rows, memory = rows[kept], {name: tensor.index_select(0, there) for name, tensor in memory.items()}
                cohorts = [*_staying(cohorts, leaves, backbone)]
        return in_order(departed)

    def _embed(self, batch: Batch, lengths: Tensor) -> Cohort:
        there = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        is_padded = int(lengths.min()) < there["input_ids"].shape[1]
        return Cohort(lengths, self.model.backbone.embed(**there, is_padded=is_padded))

    def _remember(self, num_samples: int) -> State:
        target, device = self.model.target, self.device
        finite = torch.ones(num_samples, dtype=torch.bool, device=device)
        memory = {**self.criterion.start(num_samples, target, device), _FINITE: finite}
        if self._keeps_trail:
            memory[_TRAIL] = torch.zeros(num_samples, 0, target.num_classes, device=device)
        return memory

    def _judge(
        self, exit_layer: int, rows: Tensor, cohorts: Sequence[Cohort], memory: State
    ) -> tuple[Departed, State, Tensor]:
        """Run an exit on all samples together, without waiting for the device.

        Returns:
            All samples as if they left here, what the criterion remembers now, and who does leave, ``[samples]``; on
            the host where that is known without looking.
        """
        heads, num_exits, criterion = self.model.heads, self.model.num_exits, self.criterion
        threshold = self._thresholds[exit_layer - 1]
        pooled = [heads.pool(cohort.state) for cohort in cohorts]  # [batch, width] each
        said = heads.classify(exit_layer, pooled[0] if len(pooled) == 1 else torch.cat(pooled))
        logits = said.logits.float()  # [samples, classes]
        extras = {} if said.gate is None else {GATE: said.gate.float()}  # [samples]
        output = ExitOutput(exit_layer, num_exits, logits, extras, kind=self.model.target.kind)
        (score, label), following = criterion.step(output, memory)
        following = {**following, _FINITE: memory[_FINITE] & logits.isfinite().all(-1)}  # [samples]
        if self._keeps_trail:
            following[_TRAIL] = torch.cat([memory[_TRAIL], logits.unsqueeze(1)], dim=1)  # [samples, exits, classes]
        if exit_layer == num_exits:
            fallback = criterion.fallback(output, following)  # [samples] or [samples, labels]
            label = where_rows(reaches(score, threshold), label, fallback)  # like fallback
            leaves = torch.ones(len(rows), dtype=torch.bool)
        elif threshold == inf or criterion.highest_score(exit_layer) < threshold:
            leaves = torch.zeros(len(rows), dtype=torch.bool)
        else:
            leaves = reaches(score, threshold)  # [samples]
        judged = Departed(rows, exit_layer, label, score, logits, following[_FINITE], following.get(_TRAIL))
        return judged, following, leaves


def _staying(cohorts: Sequence[Cohort], leaves: Tensor, backbone: Backbone) -> Iterator[Cohort]:
    """Yield the cohorts without who leaves, ``[samples]``."""
    for cohort, leave in zip(cohorts, torch.split(leaves, [cohort.size[0] for cohort in cohorts]), strict=True):
        kept = (~leave).nonzero().squeeze(1)  # [kept]
        if len(kept) == len(leave):
            yield cohort
        elif len(kept) > 0:
            yield cohort.keep(kept, backbone)
