"""Early exit beside the full model, on the clock, taking turns; and what bfloat16 does to the scores of both."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import inf
from time import perf_counter
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ee_lightning.errors import DataError, require_at_least_one, require_one_of
from ee_lightning.exits import Criterion, Fixed, Threshold
from ee_lightning.exits.placement import Layers
from ee_lightning.functional import Array, host
from ee_lightning.inference.batches import Sample, pad_samples
from ee_lightning.inference.descent import Backend, check_finite
from ee_lightning.inference.engine import EarlyExitEngine
from ee_lightning.inference.flops import FlopCounter
from ee_lightning.inference.schedule import Engine, Precision
from ee_lightning.inference.torch_backend import TorchBackend
from ee_lightning.models import MultiExitModel
from ee_lightning.runs.figures import MeasuredSpeed

NO_TOKENS = MappingProxyType({"input_ids": 0, "token_type_ids": 0})
Work = Callable[[], object]
Clock = Callable[[], float]


def stopwatch(device: torch.device, clock: Clock = perf_counter) -> Callable[[Work], float]:
    """Return a function that does some work to its end on a device and returns the seconds that it took."""

    def time() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock()

    def timed(work: Work) -> float:
        start = time()
        work()
        return time() - start

    return timed


def time_alternately(turns: Sequence[Sequence[Work]], repeats: int, timed: Callable[[Work], float]) -> Tensor:
    """Time several contestants turn by turn; who comes first changes with every turn and repeat.

    Args:
        turns: What each contestant does in each turn, ``[turns, contestants]``; warmed up beforehand.
        repeats: How often all turns are taken.
        timed: Does work and returns its seconds.

    Returns:
        Seconds, of shape ``[contestants, repeats, turns]``, in float64.
    """
    seconds = torch.zeros(len(turns[0]), repeats, len(turns), dtype=torch.float64)
    for repeat in range(repeats):
        for turn, work in enumerate(turns):
            in_order = range(len(work))
            for contestant in in_order if (repeat + turn) % 2 == 0 else reversed(in_order):
                seconds[contestant, repeat, turn] = timed(work[contestant])
    return seconds


class Ratio(NamedTuple):
    """A ratio of times over repeats: the median, and the first and third quartiles."""

    median: float
    low: float
    high: float


def paired_ratio(slower: Tensor, faster: Tensor) -> Ratio:
    """Compare the totals of each repeat of two contestants that took turns; seconds of both, ``[repeats, turns]``.

    Example:
        >>> paired_ratio(torch.tensor([[1.0, 1.0], [2.0, 4.0]]), torch.tensor([[0.5, 0.5], [1.0, 1.0]]))
        Ratio(median=2.5, low=2.25, high=2.75)
    """
    low, median, high = _quantiles(slower.sum(1) / faster.sum(1), 0.25, 0.5, 0.75)
    return Ratio(median, low, high)


def latencies(seconds: Tensor) -> tuple[float, float]:
    """Return the median and the 95th percentile of seconds, ``[repeats, turns]``."""
    median, p95 = _quantiles(seconds.flatten(), 0.5, 0.95)
    return median, p95


def _quantiles(values: Tensor, *levels: float) -> list[float]:
    found: list[float] = values.quantile(torch.tensor(levels, dtype=values.dtype)).tolist()
    return found


@contextmanager
def pinned_threads(threads: int) -> Iterator[None]:
    """Set the number of threads that share an operation on the processor, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class FullModel:
    """Runs all layers and only the last exit of a model, as the plain fine-tuned model would.

    Args:
        backend: Runs the model.
        fills: What fills ``input_ids`` and ``token_type_ids``, of which nothing takes notice.
    """

    def __init__(self, backend: Backend, fills: Mapping[str, int] = NO_TOKENS) -> None:
        self.backend, self._fills = backend, fills

    def predict(self, batches: Iterable[Sequence[Sample]]) -> NDArray[Any]:
        """Pad batches, at least one, and return the last exit's logits, ``[samples, classes]`` in float32, on the host.

        Raises:
            BackboneError: Logits are not finite.
        """
        logits = np.concatenate([*map(host, [self._logits(batch) for batch in batches])])  # [samples, classes]
        check_finite(logits)
        return logits

    def _logits(self, samples: Sequence[Sample]) -> Array:
        lengths = [len(sample.input_ids) for sample in samples]
        batch: Any = pad_samples(samples, self._fills)
        backend = self.backend
        with backend.running():
            state = backend.embed(batch, is_padded=min(lengths) < max(lengths))
            for layer in range(1, backend.num_layers + 1):
                state = backend.layer(layer, state)
            logits, _ = backend.exit(backend.num_exits, [state])  # [batch, classes]
        return logits


BATCH_SIZES = (1, 8, 32, 128)
POOL = "pool"


class Contest(NamedTuple):
    """A model that is measured: by early exit, and at its full depth.

    Attributes:
        engine: Makes an engine of a criterion, a threshold, a schedule and a batch size.
        full: The full model.
        full_layers: Its number of layers.
        layers_of_exits: The layer after which each exit stands.
        flops: Returns the speed-up by floating-point operations of samples of so many tokens each that leave at some
            exits, numbered from 1; None where these can't be counted.
        device: Where it runs.
        conditions: The precision and the version of what runs it, as `MeasuredSpeed` has them.
    """

    engine: Callable[..., Engine]
    full: FullModel
    full_layers: int
    layers_of_exits: Layers
    flops: Callable[[Sequence[int], Sequence[int]], float] | None
    device: torch.device
    conditions: Mapping[str, Any]


class Meter:
    """Measures operating points beside the full model, which runs all layers and only the last head.

    At every batch size both get the same batches in the same order, tokenised in advance and padded while timed. They
    take turns batch by batch, after a warm-up. The engine's schedule is ``depth_first``. Its other schedule,
    ``breadth_first``, forms its own batches from all samples, and takes turns with the full model on the samples
    sorted by length, at the full model's fastest batch size. A point at which no sample leaves early shows what the
    engine gains by batching samples of similar length, and loses by judging them.

    Speed-ups on the clock are medians and quartiles over repeats, each the ratio of the two totals of one repeat.
    Operations on padding are not counted.

    Args:
        contest: The model, where it is to be measured.
        samples: Tokenised samples.
        batch_sizes: Samples a batch; the last batch may have fewer.
        repeats: How often everything is timed.
        threads: Number of threads that share an operation on the processor.
        max_samples: At most this many samples are taken, spread evenly over all.
        pool: Whether ``breadth_first`` is measured too.
        clock: Returns the time in seconds.

    Attributes:
        places: Which of the samples are measured.

    Raises:
        OptionError: An option makes no sense.
        DataError: There are no samples.
    """

    def __init__(
        self,
        contest: Contest,
        samples: Sequence[Sample],
        batch_sizes: Sequence[int] = BATCH_SIZES,
        repeats: int = 5,
        threads: int = 1,
        max_samples: int = 256,
        pool: bool = True,
        clock: Clock = perf_counter,
    ) -> None:
        require_at_least_one(
            batch_sizes=min(batch_sizes, default=0), repeats=repeats, threads=threads, max_samples=max_samples
        )
        if not samples:
            raise DataError("there are no samples to measure the speed on", hint="take a split that is not empty")
        self._contest, self.batch_sizes = contest, batch_sizes
        self.repeats, self.threads, self.pool = repeats, threads, pool
        kept = min(len(samples), max_samples)
        self.places = [place * len(samples) // kept for place in range(kept)]
        self.samples = [samples[place] for place in self.places]
        self._timed = stopwatch(contest.device, clock)

    @property
    def device(self) -> str:
        """The name of the device that is measured on."""
        on = self._contest.device
        return torch.cuda.get_device_name(on) if on.type == "cuda" else on.type

    def measure(self, criterion: Criterion, threshold: Threshold) -> list[MeasuredSpeed]:
        """Measure an operating point, of a fitted criterion, at each batch size, and last of a pool if it is to be.

        Raises:
            OptionError: The threshold is no number, or the criterion can't judge the model's exits.
        """
        engine = partial(self._contest.engine, criterion, threshold)
        with pinned_threads(self.threads):
            measured = [
                self._depth_first(engine(schedule="depth_first", batch_size=size), size) for size in self.batch_sizes
            ]
            return [*measured, self._breadth_first(engine(schedule="breadth_first"))] if self.pool else measured

    def _depth_first(self, engine: Engine, size: int) -> MeasuredSpeed:
        batches, predict_full = _batches(self.samples, size), self._contest.full.predict
        exit_layers = _exit_layers(engine, self.samples)  # which warms up
        predict_full(batches)
        turns: list[Sequence[Work]] = [
            (partial(_exit_layers, engine, batch), partial(predict_full, [batch])) for batch in batches
        ]
        early, full = time_alternately(turns, self.repeats, self._timed)  # [repeats, batches] each
        return self._measured(engine, exit_layers, early, full, str(size), size)

    def _breadth_first(self, engine: Engine) -> MeasuredSpeed:
        by_length = sorted(self.samples, key=lambda sample: len(sample.input_ids), reverse=True)
        at_sizes = [partial(self._contest.full.predict, _batches(by_length, size)) for size in self.batch_sizes]
        exit_layers = _exit_layers(engine, self.samples)  # which warms up
        for predict in at_sizes:
            predict()
        turns: list[tuple[Work, ...]] = [(partial(_exit_layers, engine, self.samples), *at_sizes)]
        early, *fulls = time_alternately(turns, self.repeats, self._timed)  # [repeats, 1] each
        fastest = min(range(len(fulls)), key=lambda place: fulls[place].quantile(0.5).item())
        return self._measured(engine, exit_layers, early, fulls[fastest], POOL, self.batch_sizes[fastest])

    def _measured(
        self, engine: Engine, exits: Tensor, early: Tensor, full: Tensor, size: str, full_size: int
    ) -> MeasuredSpeed:
        """Reduce exits ``[samples]`` and seconds, ``[repeats, batches]`` of both, to the figures."""
        contest, lengths = self._contest, [len(sample.input_ids) for sample in self.samples]
        layers = torch.tensor(contest.layers_of_exits)[exits - 1].double().mean().item()
        wall = paired_ratio(full, early)
        (latency, latency_p95), (full_latency, full_latency_p95) = latencies(early), latencies(full)
        return MeasuredSpeed(
            criterion=engine.criterion.name,
            threshold=engine.threshold,
            schedule=engine.schedule,
            batch_size=size,
            full_batch_size=full_size,
            full_layers=contest.full_layers,
            samples=len(self.samples),
            layer_speedup=contest.full_layers / layers,
            flops_speedup=None if contest.flops is None else contest.flops(lengths, exits.tolist()),
            wall_speedup=wall.median,
            wall_speedup_low=wall.low,
            wall_speedup_high=wall.high,
            latency_ms=1000 * latency,
            latency_p95_ms=1000 * latency_p95,
            full_latency_ms=1000 * full_latency,
            full_latency_p95_ms=1000 * full_latency_p95,
            throughput=len(self.samples) / early.sum(1).quantile(0.5).item(),
            full_throughput=len(self.samples) / full.sum(1).quantile(0.5).item(),
            device=self.device,
            threads=self.threads,
            **contest.conditions,
        )


class SpeedMeter(Meter):
    """Measures operating points of a model in torch beside its full depth.

    Args:
        model: The model, where it is to be measured; it is put into evaluation mode.
        samples: Tokenised samples.
        precision: ``fp32``, or ``bf16`` for matrix products in bfloat16, of both.
        full: The model of all layers, in the same place, where ``model`` has the first of them alone; its weights
            don't matter. None if ``model`` has all.
        **options: Those of `Meter`.

    Raises:
        OptionError: An option makes no sense.
        DataError: There are no samples.
    """

    def __init__(
        self,
        model: MultiExitModel,
        samples: Sequence[Sample],
        *,
        precision: Precision = "fp32",
        full: MultiExitModel | None = None,
        **options: Any,
    ) -> None:
        require_one_of(precision, get_args(Precision), "precision")
        whole, flops = (model if full is None else full).eval(), FlopCounter(model)
        of_full = flops if full is None else FlopCounter(full)
        backend = TorchBackend(whole, lower=precision == "bf16")
        contest = Contest(
            engine=partial(EarlyExitEngine, model, precision=precision),
            full=FullModel(backend),
            full_layers=whole.backbone.num_layers,
            layers_of_exits=model.layers_of_exits,
            flops=lambda lengths, exits: of_full.of_full(lengths) / flops.of_exits(lengths, exits),
            device=backend.where,
            conditions={"precision": precision, "torch": torch.__version__},
        )
        super().__init__(contest, samples, **options)


def _batches(samples: Sequence[Sample], size: int) -> list[Sequence[Sample]]:
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def _exit_layers(engine: Engine, samples: Sequence[Sample]) -> Tensor:
    """Run the engine and return the exits at which samples leave, ``[samples]``."""
    return torch.cat([torch.as_tensor(each.exit_layers) for each in engine.predict(samples)])  # [samples]


class PrecisionEffect(NamedTuple):
    """The scores of an operating point, or without a criterion the full model, in both precisions."""

    criterion: str | None
    threshold: Threshold
    fp32: float
    bf16: float


def precision_effects(
    model: MultiExitModel,
    samples: Sequence[Sample],
    points: Sequence[tuple[Criterion, Threshold]],
    score: Callable[[Tensor], float],
) -> list[PrecisionEffect]:
    """Score the full model, then operating points, in float32 and in bfloat16.

    Args:
        model: The model; it is put into evaluation mode.
        samples: Tokenised samples.
        points: Criteria, fitted beforehand if they have to be, and thresholds.
        score: Returns the score of labels or values, ``[samples]``, or of several labels a sample,
            ``[samples, labels]``.
    """

    def scored(criterion: Criterion, threshold: Threshold, precision: Precision) -> float:
        engine = EarlyExitEngine(model, criterion, threshold, precision=precision)
        return score(torch.cat([predictions.labels for predictions in engine.predict(samples)]))  # [samples]

    return [
        PrecisionEffect(name, threshold, *(scored(criterion, threshold, each) for each in get_args(Precision)))
        for name, criterion, threshold in [
            (None, Fixed(), inf),
            *((criterion.name, criterion, threshold) for criterion, threshold in points),
        ]
    ]
