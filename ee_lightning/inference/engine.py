"""The inference engine: samples leave early for real, at any batch size."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Literal, get_args

import torch
from torch import Tensor

from ee_lightning.errors import DataError, OptionError, require_at_least_one, require_one_of
from ee_lightning.exits import Criterion
from ee_lightning.inference.descent import Batch, descend
from ee_lightning.inference.packing import Packing
from ee_lightning.inference.predictions import Predictions
from ee_lightning.inference.samples import Sample, pad_samples
from ee_lightning.inference.stepper import Precision, Stepper
from ee_lightning.models import MultiExitModel

Schedule = Literal["auto", "depth_first", "breadth_first"]
BATCHES_IN_A_POOL = 16


class EarlyExitEngine:
    """Runs a model layer by layer and lets every sample leave where the criterion says so.

    What is predicted is what batch size 1 predicts: who left is dropped from hidden states, masks and what the
    criterion remembers, and with them the padding that no other sample needs. Logits differ by rounding alone, as they
    do between any two batch sizes: in float32 the tests allow 1e-5. A score may fall on the other side of the threshold
    only where it is that close. Exits and labels are those of `ee_lightning.exits.replay` on stored exits.

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
            raise OptionError("the threshold is no number", where="threshold", mend="infinity lets nobody leave early")
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
            raise DataError("tokens stand behind padding", where="attention_mask", mend="pad on the right")
        if lengths.numel() == 0 or lengths.min() == 0:
            raise DataError("there is nothing to predict", where="attention_mask", mend="leave out what has no tokens")

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
            raise DataError("a sample has no tokens", where="input_ids", mend="leave it out")
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
