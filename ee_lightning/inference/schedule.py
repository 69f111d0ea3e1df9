"""In which order a stream of samples is predicted; importing it loads no torch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Literal, get_args

import numpy as np

from ee_lightning.errors import DataError, require_at_least_one, require_one_of
from ee_lightning.exits import Criterion, as_threshold, at_exits
from ee_lightning.inference.batches import Batch, Packing, Predictions, Sample, pad_samples
from ee_lightning.inference.descent import Backend, Descent, Places, Wave

Schedule = Literal["auto", "depth_first", "breadth_first"]
Precision = Literal["fp32", "bf16"]
"""Of matrix products in torch."""
BATCHES_IN_A_POOL = 16


class Engine:
    """Lets samples leave early, whatever runs the model; see `ee_lightning.inference.EarlyExitEngine`.

    Args:
        backend: Runs the model.
        criterion: When to leave; already fitted if it needs to be.
        threshold: In the criterion's unit, one for all exits or one for each; with infinity no sample leaves early.
        schedule: ``auto``, ``depth_first`` or ``breadth_first``.
        batch_size: Samples on their way at a time by ``depth_first``.
        max_tokens: Tokens a batch in a layer, padding included; None takes what suits the device.
        keep_trail: Whether to return the logits of all exits that a sample passed.
        pad_token_id: What fills ``input_ids``.
        pad_token_type_id: What fills ``token_type_ids``.

    Raises:
        OptionError: An option makes no sense, or the criterion can't judge the model's exits.
    """

    def __init__(
        self,
        backend: Backend,
        criterion: Criterion,
        threshold: float | Sequence[float],
        *,
        schedule: Schedule = "auto",
        batch_size: int = 32,
        max_tokens: int | None = None,
        keep_trail: bool = False,
        pad_token_id: int = 0,
        pad_token_type_id: int = 0,
    ) -> None:
        require_one_of(schedule, get_args(Schedule), "schedule")
        require_at_least_one(batch_size=batch_size, max_tokens=1 if max_tokens is None else max_tokens)
        self.criterion, self.threshold = criterion, as_threshold(threshold)
        self.schedule, self.batch_size = schedule, batch_size
        self.packing = Packing.on(backend.device, max_tokens)
        self.fills = {"input_ids": pad_token_id, "token_type_ids": pad_token_type_id}
        criterion.rehearse(backend.target, backend.num_exits, backend.extras, backend.like)
        self.thresholds = at_exits(self.threshold, backend.num_exits)
        self.descent = Descent(backend, criterion, self.packing, keeps_trail=keep_trail)

    def change_threshold(self, threshold: float | Sequence[float]) -> None:
        """Take another threshold for all samples that are not on their way yet.

        Raises:
            OptionError: It is no number, or there are not as many as exits.
        """
        self.threshold = as_threshold(threshold)
        self.thresholds = at_exits(self.threshold, self.descent.backend.num_exits)

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

    @property
    def has_single(self) -> bool:
        """Whether `alone` predicts, faster than a batch of one does."""
        return False

    def alone(self, sample: Sample) -> Predictions | None:
        """Predict a sample in a way that is faster for a single one; None where there is no such way."""
        return None

    def begin(self, samples: Sequence[Sample], first: int = 0) -> Wave:
        """Return samples, at least one, before the first layer, as `Descent.begin` does, numbered from `first`.

        Raises:
            DataError: A sample has no tokens.
        """
        return self.descent.begin(*self._of(samples), self.thresholds, first)

    def _predict(self, samples: Sequence[Sample]) -> Predictions:
        predicted = self.alone(samples[0]) if len(samples) == 1 else None
        return self.descent(*self._of(samples), self.thresholds) if predicted is None else predicted

    def _of(self, samples: Sequence[Sample]) -> tuple[Places, Callable[[Places], Batch]]:
        """Return the numbers of tokens of samples, ``[samples]``, and what makes batches of some of them."""
        lengths = np.array([len(sample.input_ids) for sample in samples])  # [samples]
        if lengths.min() == 0:
            raise DataError("a sample has no tokens", where="input_ids", hint="leave it out")

        def take(rows: Places) -> Batch:
            return pad_samples([samples[row] for row in rows], self.fills)  # type: ignore[return-value]

        return lengths, take

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
