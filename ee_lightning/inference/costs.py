"""What a layer and an exit cost on this machine, by the engine itself, a row at a time."""

from collections.abc import Sequence
from functools import partial
from time import perf_counter

import torch

from ee_lightning.exits import Criterion, Fixed
from ee_lightning.inference.batches import Sample
from ee_lightning.inference.engine import EarlyExitEngine
from ee_lightning.inference.speed import Clock, FullModel, Work, pinned_threads, stopwatch, time_alternately
from ee_lightning.inference.torch_backend import TorchBackend
from ee_lightning.models import MultiExitModel
from ee_lightning.runs.operating_point import Costs

_OUT_OF_REACH = 1e30
_LEAST = 1e-6  # in milliseconds, where a clock is too coarse


def measure_costs(
    model: MultiExitModel,
    samples: Sequence[Sample],
    criterion: Criterion,
    *,
    repeats: int = 5,
    threads: int = 1,
    max_samples: int = 32,
    clock: Clock = perf_counter,
) -> Costs:
    """Measure what a row takes, on its own, of a model that has several exits.

    Four contestants take turns, row by row: the engine with all exits, from which no sample leaves; with the last exit
    alone; with all exits, at the first of which all leave; and the full model. The first two differ by the exits
    between, the second and the third by the layers between. Times are medians over the repeats, of the mean row.

    Args:
        model: The model, where it is to be measured; it is put into evaluation mode.
        samples: Tokenised samples, at least one.
        criterion: The criterion, fitted to all exits if it has to be.
        repeats: How often everything is timed.
        threads: Number of threads that share an operation on the processor.
        max_samples: At most this many samples are taken, spread evenly over all.
        clock: Returns the time in seconds.
    """
    number = min(len(samples), max_samples)
    rows = [samples[place * len(samples) // number] for place in range(number)]
    first, last = model.layers_of_exits[0], model.layers_of_exits[-1]
    engine = partial(EarlyExitEngine, schedule="depth_first", batch_size=1)
    backend = TorchBackend(model.eval())
    full = FullModel(backend)
    predict_early = [
        partial(_predict, made)
        for made in (
            engine(model, criterion, _OUT_OF_REACH),
            engine(model.asking([last]), Fixed(), _OUT_OF_REACH),
            engine(model, criterion, float("-inf")),
        )
    ]
    turns: list[list[Work]] = [
        [*(partial(predict, row) for predict in predict_early), partial(full.predict, [[row]])] for row in rows
    ]
    with pinned_threads(threads):
        for work in turns[0]:
            work()
        seconds = time_alternately(turns, repeats, stopwatch(backend.where, clock))  # [contestants, repeats, rows]
    every, alone, at_first, whole = (1000 * seconds.mean(2).quantile(0.5, dim=1)).tolist()  # in milliseconds
    layer = max(_LEAST, (alone - at_first) / (last - first))
    exit = max(0.0, (every - alone) / (model.num_exits - 1))
    return Costs(
        start=max(0.0, at_first - first * layer - exit),
        layer=layer,
        exit=exit,
        full=max(_LEAST, whole),
        device=torch.cuda.get_device_name(backend.where) if backend.device == "cuda" else backend.device,
        threads=threads,
    )


def _predict(engine: EarlyExitEngine, sample: Sample) -> None:
    for _ in engine.predict([sample]):
        pass
