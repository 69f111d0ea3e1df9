"""The meter on a clock that the engine and the full model move: the arithmetic is exact, the models are real."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from ee_lightning.errors import DataError, OptionError
from ee_lightning.exits import Fixed, Patience, Voting
from ee_lightning.functional import Target
from ee_lightning.inference import EarlyExitEngine, FlopCounter, FullModel, Sample, SpeedMeter
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones.loading import load_backbone

EARLY, FULL = 1.0, {1: 3.0, 2: 2.5, 4: 2.5, 10: 2.0}
"""Seconds that a sample takes, of the full model in batches of so many."""


class Clock:
    """Time that passes on request, and all that was run meanwhile."""

    def __init__(self) -> None:
        self.now = 0.0
        self.batches: dict[str, list[list[Sample]]] = {"depth_first": [], "breadth_first": [], "full": []}
        self.threads: set[int] = set()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock, early, full = Clock(), EarlyExitEngine.predict, FullModel.predict

    def predict_early(engine: EarlyExitEngine, samples: list[Sample]) -> Iterator[object]:
        clock.batches[engine.schedule].append(list(samples))
        clock.threads.add(torch.get_num_threads())
        clock.now += EARLY * len(samples)
        return early(engine, samples)

    def predict_full(model: FullModel, batches: list[list[Sample]]) -> torch.Tensor:
        clock.batches["full"] += [list(batch) for batch in batches]
        clock.now += FULL[len(batches[0])] * sum(map(len, batches))
        return full(model, batches)

    monkeypatch.setattr(EarlyExitEngine, "predict", predict_early)
    monkeypatch.setattr(FullModel, "predict", predict_full)
    return clock


@pytest.fixture
def meter_of(model: MultiExitModel, samples: list[Sample], clock: Clock) -> Callable[..., SpeedMeter]:
    """Return a function that makes a meter of ten samples."""
    return lambda **options: SpeedMeter(
        model, samples, **{"batch_sizes": (1, 4, 10), "repeats": 2, "max_samples": 10, "clock": clock} | options
    )


def test_every_figure_is_what_the_clock_says(meter_of, model: MultiExitModel) -> None:
    meter = meter_of()
    one, four, ten, pool = meter.measure(Voting(), 1.1)
    assert [each.batch_size for each in (one, four, ten, pool)] == ["1", "4", "10", "pool"]
    assert [each.schedule for each in (one, four, ten, pool)] == [*["depth_first"] * 3, "breadth_first"]
    assert [each.full_batch_size for each in (one, four, ten, pool)] == [1, 4, 10, 10]
    assert [each.wall_speedup for each in (one, four, ten, pool)] == [3, 2.5, 2, 2]
    for each in (one, four, ten, pool):
        assert each.wall_speedup_low == each.wall_speedup == each.wall_speedup_high
        assert (each.criterion, each.threshold, each.samples) == ("voting", 1.1, 10)
        assert (each.device, each.threads, each.precision) == ("cpu", 1, "fp32")
        assert each.throughput == 1
        assert each.full_throughput == pytest.approx(1 / each.wall_speedup)
    assert (one.latency_ms, one.full_latency_ms) == (1000, 3000)
    assert (four.latency_ms, four.full_latency_ms) == (4000, 10000)  # of batches of 4, 4 and 2
    assert (four.latency_p95_ms, four.full_latency_p95_ms) == (4000, 10000)
    assert (pool.latency_ms, pool.full_latency_ms) == (10000, 20000)

    engine = EarlyExitEngine(model, Voting(), 1.1, schedule="depth_first")
    exits = [prediction.exit_layer for some in engine.predict(meter.samples) for prediction in some]
    assert 1 < sum(exits) / 10 < 3
    counter, lengths = FlopCounter(model), [len(sample.input_ids) for sample in meter.samples]
    flops = counter.of_full(lengths) / counter.of_exits(lengths, exits)
    for each in (one, four, ten, pool):
        assert each.layer_speedup == pytest.approx(3 / (sum(exits) / 10))
        assert each.flops_speedup == pytest.approx(flops)


def test_both_get_the_same_batches_in_the_same_order(meter_of, clock: Clock, samples: list[Sample]) -> None:
    meter = meter_of(batch_sizes=(4,), repeats=1)
    chosen = [samples[place] for place in meter.places]
    meter.measure(Voting(), 1.1)
    batches = [chosen[:4], chosen[4:8], chosen[8:]]
    assert clock.batches["depth_first"] == [chosen, *batches]  # after a warm-up
    by_length = sorted(chosen, key=lambda sample: -len(sample.input_ids))
    sorted_batches = [by_length[:4], by_length[4:8], by_length[8:]]
    assert clock.batches["full"] == [*batches, *batches, *sorted_batches, *sorted_batches]
    assert clock.batches["breadth_first"] == [chosen, chosen]


def test_threads_are_pinned_meanwhile(meter_of, clock: Clock) -> None:
    before = torch.get_num_threads()
    meter_of(batch_sizes=(1,), repeats=1, threads=before + 1, max_samples=1).measure(Voting(), 1.1)
    assert clock.threads == {before + 1}
    assert torch.get_num_threads() == before


def test_samples_are_taken_evenly_over_all(meter_of, samples: list[Sample]) -> None:
    meter = meter_of(max_samples=7)
    assert meter.places == [0, 5, 11, 17, 22, 28, 34]
    assert meter.samples == [samples[place] for place in meter.places]
    assert meter_of(max_samples=256).samples == samples


def test_the_first_layers_are_measured_beside_all(
    model: MultiExitModel, samples: list[Sample], tiny_backbone: Path, clock: Clock
) -> None:
    heads = HeadOptions(exits="last", pooling="mean")
    first = MultiExitModel(load_backbone(str(tiny_backbone), num_layers=2), Target.of(3), heads)
    whole = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(3), heads)
    meter = SpeedMeter(first, samples, batch_sizes=(4,), repeats=1, max_samples=4, full=whole, clock=clock)
    lengths = [len(sample.input_ids) for sample in meter.samples]
    for each in meter.measure(Fixed(), 1):
        assert (each.full_layers, each.layer_speedup) == (3, 1.5)
        assert each.flops_speedup == FlopCounter(whole).of_full(lengths) / FlopCounter(first).of_full(lengths)
    assert not whole.training


def test_real_time_passes(model: MultiExitModel, samples: list[Sample]) -> None:
    measured = SpeedMeter(model, samples, batch_sizes=(4,), repeats=2, max_samples=4).measure(Voting(), 1.1)
    for each in measured:
        assert 0 < each.wall_speedup_low <= each.wall_speedup <= each.wall_speedup_high
        assert 0 < each.latency_ms <= each.latency_p95_ms
        assert 0 < each.full_latency_ms <= each.full_latency_p95_ms
        assert each.throughput > 0
        assert each.torch == torch.__version__


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"batch_sizes": ()}, "batch_sizes is 0"),
        ({"batch_sizes": (8, 0)}, "batch_sizes is 0"),
        ({"repeats": 0}, "repeats is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"max_samples": 0}, "max_samples is 0"),
        ({"precision": "fp8"}, "'fp8' is not a value of precision"),
    ],
)
def test_options_that_make_no_sense(option: dict, match: str, meter_of) -> None:
    with pytest.raises(OptionError, match=match):
        meter_of(**option)


def test_criteria_that_can_not_judge_are_refused(meter_of) -> None:
    with pytest.raises(OptionError, match="tolerance"):
        meter_of().measure(Patience(tolerance=1.0), 1.0)


def test_no_samples_have_no_speed(model: MultiExitModel) -> None:
    with pytest.raises(DataError, match="no samples"):
        SpeedMeter(model, [])
