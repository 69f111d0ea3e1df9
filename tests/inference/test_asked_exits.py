"""A subset of the exits at work: replay of the stored pass foretells it, and it costs nothing else."""

from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest
import torch

from ee_lightning.exits import CRITERIA, Criterion, Fitted, Oracle, StoredExits, Voting, replay
from ee_lightning.inference import EarlyExitEngine, Prediction, Sample, SpeedMeter
from ee_lightning.inference.flops import FlopCounter
from ee_lightning.models import MultiExitModel

CLOSEST = 4e-5
"""To a threshold as near as this no score may be: logits of two batch sizes differ by rounding."""


def predict(engine: EarlyExitEngine, samples: list[Sample]) -> list[Prediction]:
    return [prediction for some in engine.predict(samples) for prediction in some]


@pytest.fixture(scope="module")
def deep(small_backbone: Callable[..., object], model_of: Callable[..., MultiExitModel]) -> MultiExitModel:
    """Return a model of 6 layers with exits after 1, 2, 4 and 6, and all extras."""
    return model_of(small_backbone("bert", num_hidden_layers=6), pooling="mean", exits=(1, 2, 4, 6))


@pytest.fixture(scope="module")
def stored(deep: MultiExitModel, samples: list[Sample]) -> StoredExits:
    with torch.inference_mode():
        said = [
            deep(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long), torch.tensor([types]))
            for ids, types in samples
        ]
    logits = torch.cat([each.logits for each in said], dim=1)  # [exits, samples, classes]
    extras = {name: torch.cat([each.extras[name] for each in said], dim=1) for name in deep.heads.extras}
    labels = torch.arange(len(samples)) % 3
    return StoredExits(logits, labels, torch.arange(len(samples)), extras, layers_of_exits=deep.layers_of_exits)


@pytest.mark.parametrize("kind", [kind for kind in CRITERIA.values() if kind is not Oracle])
@pytest.mark.parametrize("layers", [(2, 6), (1, 4, 6), (6,)], ids=str)
def test_samples_leave_where_the_replay_of_the_subset_lets_them(
    layers: tuple[int, ...], kind: type[Criterion], deep: MultiExitModel, stored: StoredExits, samples: list[Sample]
) -> None:
    asked = stored.asking(layers)
    criterion, model = kind(), deep.asking(layers)
    if isinstance(criterion, Fitted):
        noise = torch.randn(asked.logits.shape, generator=torch.Generator().manual_seed(3))
        criterion.fit(replace(asked, logits=asked.logits + noise))  # on other samples
    replayed = replay(criterion, asked)
    scores = replayed.scores[replayed.scores.isfinite()].unique()
    middles = (scores[1:] + scores[:-1])[scores.diff() > CLOSEST] / 2
    for threshold in (inf, *middles[:: max(1, len(middles) // 4)].tolist()):
        exit_layers, labels = replayed.at(threshold)
        engine = EarlyExitEngine(model, criterion, threshold, batch_size=7, schedule="depth_first")
        found = predict(engine, samples)
        assert [each.exit_layer for each in found] == exit_layers.tolist()
        assert [each.label for each in found] == labels.tolist()


@pytest.mark.parametrize("gate", ["deep", "per_exit"])
def test_exits_are_asked_with_the_gates_they_have(
    gate: str, small_backbone: Callable[..., object], model_of: Callable[..., MultiExitModel]
) -> None:
    model = model_of(small_backbone("bert", num_hidden_layers=4), gate=gate)
    tokens = torch.tensor([[5, 6, 7], [8, 9, 10]])
    with torch.inference_mode():
        whole, asked = (some(tokens, torch.ones_like(tokens)).extras["gate"] for some in (model, model.asking([2, 4])))
    assert torch.equal(asked, whole[[1, 3]])
    assert whole.std() > 0.01


def test_an_exit_that_is_not_asked_is_neither_run_nor_judged(deep: MultiExitModel, samples: list[Sample]) -> None:
    judged, run = [], []

    class Counting(Voting):
        def step(self, output, state):
            judged.append((output.exit_layer, output.num_exits))
            return super().step(output, state)

    hooks = [
        classifier.register_forward_hook(lambda *_, layer=layer: run.append(layer))
        for layer, classifier in zip(deep.layers_of_exits, deep.heads.classifiers, strict=True)
    ]
    engine = EarlyExitEngine(deep.asking([2, 6]), Counting(), 1e9)
    judged.clear()
    predict(engine, samples[:3])
    for hook in hooks:
        hook.remove()
    assert run == [2, 6]
    assert judged == [(1, 2), (2, 2)]


def test_speed_ups_count_layers_and_the_heads_asked_alone(deep: MultiExitModel, samples: list[Sample]) -> None:
    model, lengths = deep.asking([4, 6]), [len(sample.input_ids) for sample in samples]
    exit_layers = [1 + place % 2 for place in range(len(samples))]
    counter = FlopCounter(model)
    expected = 0
    for length, exit_layer in zip(lengths, exit_layers, strict=True):
        parts = counter.of_sample(length)
        assert [head > 0 for head in parts.heads] == [False, False, False, True, False, True]
        layers = (4, 6)[exit_layer - 1]
        expected += parts.embedding + sum(parts.layers[:layers]) + sum(parts.heads[:layers])
    assert counter.of_exits(lengths, exit_layers) == expected

    (measured,) = SpeedMeter(model, samples[:4], batch_sizes=[4], repeats=1, pool=False).measure(Voting(), -1.0)
    assert measured.layer_speedup == 6 / 4
    assert measured.full_layers == 6


def test_the_whole_pass_asks_what_the_model_has(deep: MultiExitModel, stored: StoredExits) -> None:
    again = replace(stored, layers_of_exits=deep.layers_of_exits)
    assert again.asking([1, 2, 4, 6]).logits.equal(stored.logits)
