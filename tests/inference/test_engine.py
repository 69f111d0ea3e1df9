"""The engine against batch size 1 and replay: equal exits and labels, whatever criterion, schedule, size and order."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from math import inf, nan
from typing import ClassVar

import pytest
import torch

from ee_lightning.errors import BackboneError, DataError, OptionError
from ee_lightning.exits import (
    BEEM,
    CRITERIA,
    PCEE,
    CalibratedConfidence,
    Confidence,
    Criterion,
    Fitted,
    Fixed,
    Gate,
    Oracle,
    Patience,
    Replay,
    StoredExits,
    Voting,
    replay,
)
from ee_lightning.functional import Kind, Target
from ee_lightning.inference import EarlyExitEngine, Prediction, Sample
from ee_lightning.models import MultiExitModel

TOLERANCE = 1e-5
"""By how much logits and scores may differ between two batch sizes."""

DEFAULTS = [make() for name, make in CRITERIA.items() if make is not Oracle]
CRITERIA_WITH_OPTIONS = [*DEFAULTS, Voting(k=0, fallback="majority"), Confidence("most_confident"), PCEE(patience=1)]
SCHEDULES = [
    {"schedule": "depth_first", "batch_size": 1},
    {"schedule": "depth_first", "batch_size": 7},
    {"schedule": "depth_first", "batch_size": 64},
    {"schedule": "breadth_first", "max_tokens": 1},
    {"schedule": "breadth_first", "max_tokens": 40},
    {"schedule": "breadth_first", "max_tokens": 4096},
    {"schedule": "auto"},
]


@torch.inference_mode()
def one_by_one(model: MultiExitModel, samples: Sequence[Sample]) -> StoredExits:
    """Run all exits on each sample alone."""
    outputs = [
        model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long), torch.tensor([types]))
        for ids, types in samples
    ]
    logits = torch.cat([output.logits for output in outputs], dim=1)  # [exits, samples, classes]
    extras = {name: torch.cat([output.extras[name] for output in outputs], dim=1) for name in model.heads.extras}
    labels = torch.arange(len(samples)) % logits.shape[-1]
    several = model.target.kind is Kind.MULTI_LABEL
    if several:
        labels = (logits[-1] > 0).long()  # [samples, labels]
    return StoredExits(logits, labels, torch.arange(len(samples)), extras, several)


@pytest.fixture(scope="module")
def exits(model: MultiExitModel, samples: list[Sample]) -> StoredExits:
    return one_by_one(model, samples)


@pytest.fixture(scope="module")
def several_labels(model: MultiExitModel, samples: list[Sample]) -> tuple[MultiExitModel, StoredExits]:
    """Return the model as one of several labels, and its exits."""
    model = deepcopy(model)
    model.target = Target(Kind.MULTI_LABEL, model.target.num_classes)
    return model, one_by_one(model, samples)


def ready(criterion: Criterion, exits: StoredExits) -> Criterion:
    criterion = deepcopy(criterion)
    if isinstance(criterion, Fitted):
        noise = torch.randn(exits.logits.shape, generator=torch.Generator().manual_seed(3))
        criterion.fit(replace(exits, logits=exits.logits + noise))  # on other samples
    return criterion


def thresholds(replayed: Replay) -> Iterator[float]:
    """Yield thresholds to which no score is so near that rounding decides, and those that are counts."""
    scores = replayed.scores[replayed.scores.isfinite()].unique()
    gaps = scores.diff()
    between = (scores[:-1] + gaps / 2)[gaps > 4 * TOLERANCE]
    yield from between[:: max(1, len(between) // 4)].tolist()
    yield from (inf, -inf)


def predict(engine: EarlyExitEngine, samples: Sequence[Sample]) -> list[Prediction]:
    return [prediction for some in engine.predict(samples) for prediction in some]


@pytest.mark.parametrize(
    "criterion",
    [criterion for criterion in CRITERIA_WITH_OPTIONS if criterion.handles_multi_label],
    ids=lambda criterion: criterion.name,
)
def test_with_several_labels_leaves_as_batch_size_one_does(
    criterion: Criterion, several_labels: tuple[MultiExitModel, StoredExits], samples: list[Sample]
) -> None:
    model, exits = several_labels
    test_leaves_as_batch_size_one_does(criterion, model, samples, exits)


@pytest.mark.parametrize("criterion", CRITERIA_WITH_OPTIONS, ids=lambda criterion: criterion.name)
def test_leaves_as_batch_size_one_does(
    criterion: Criterion, model: MultiExitModel, samples: list[Sample], exits: StoredExits
) -> None:
    """Every criterion meets every schedule and every threshold; which of these meet differs by criterion."""
    first, criterion = CRITERIA_WITH_OPTIONS.index(criterion), ready(criterion, exits)
    replayed = replay(criterion, exits)
    levels, left_at = list(thresholds(replayed)), set()
    for turn in range(max(len(levels), len(SCHEDULES))):
        threshold, options = levels[(first + turn) % len(levels)], SCHEDULES[turn % len(SCHEDULES)]
        order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(turn)).tolist()
        engine = EarlyExitEngine(model, criterion, threshold, **options)
        predictions = predict(engine, [samples[place] for place in order])
        exit_layer, label = (tensor[order] for tensor in replayed.at(threshold))
        assert [prediction.exit_layer for prediction in predictions] == exit_layer.tolist(), (threshold, options)
        assert [prediction.label for prediction in predictions] == label.tolist()
        said = torch.stack([prediction.logits for prediction in predictions])
        torch.testing.assert_close(said, exits.logits[exit_layer - 1, order], atol=TOLERANCE, rtol=TOLERANCE)
        scores = torch.tensor([prediction.score for prediction in predictions], dtype=replayed.scores.dtype)
        torch.testing.assert_close(scores, replayed.scores[exit_layer - 1, order], atol=TOLERANCE, rtol=TOLERANCE)
        left_at |= set(exit_layer.tolist())
    assert {1, 3} <= left_at


@pytest.mark.parametrize("options", SCHEDULES, ids=str)
def test_each_exit_has_a_threshold_of_its_own(
    options: dict[str, int | str], model: MultiExitModel, samples: list[Sample], exits: StoredExits
) -> None:
    found = replay(Confidence(), exits)
    halfway = [sorted(scores.tolist())[len(samples) // 2 : len(samples) // 2 + 2] for scores in found.scores]
    thresholds = [sum(pair) / 2 for pair in halfway]
    exit_layer, label = found.at(tuple(thresholds))
    predictions = predict(EarlyExitEngine(model, Confidence(), thresholds, **options), samples)
    assert [(each.exit_layer, each.label) for each in predictions] == [
        *zip(exit_layer.tolist(), label.tolist(), strict=True)
    ]
    assert {1, 2, 3} == set(exit_layer.tolist())
    with pytest.raises(OptionError, match="2 thresholds for 3 exits"):
        EarlyExitEngine(model, Confidence(), thresholds[:2])


@pytest.mark.parametrize("schedule", ["depth_first", "breadth_first"])
def test_trail_has_the_logits_of_all_exits_passed(
    schedule: str, model: MultiExitModel, samples: list[Sample], exits: StoredExits
) -> None:
    engine = EarlyExitEngine(model, Voting(), 1.1, schedule=schedule, keep_trail=True)
    predictions = predict(engine, samples)
    assert {prediction.exit_layer for prediction in predictions} == {2, 3}
    for place, prediction in enumerate(predictions):
        expected = exits.logits[: prediction.exit_layer, place]
        torch.testing.assert_close(prediction.trail, expected, atol=TOLERANCE, rtol=TOLERANCE)


def test_without_asking_there_is_no_trail(model: MultiExitModel, samples: list[Sample]) -> None:
    assert predict(EarlyExitEngine(model, Voting(), 1.1), samples[:3])[0].trail is None


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("schedule", ["depth_first", "breadth_first"])
def test_regression(pooling: str, schedule: str, tiny_backbone, samples: list[Sample], model_of) -> None:
    model = model_of(tiny_backbone, num_classes=1, pooling=pooling)
    criterion, exits = Patience(tolerance=0.3), one_by_one(model, samples)
    exit_layer, value = replay(criterion, exits).at(1)
    predictions = predict(EarlyExitEngine(model, criterion, 1, schedule=schedule), samples)
    assert set(exit_layer.tolist()) == {2, 3}
    assert [prediction.exit_layer for prediction in predictions] == exit_layer.tolist()
    torch.testing.assert_close(torch.tensor([prediction.label for prediction in predictions]), value)


def test_model_with_one_exit_runs_all_layers(tiny_backbone, samples: list[Sample], model_of) -> None:
    model = model_of(tiny_backbone, exits="last", pooling="mean")
    predictions = predict(EarlyExitEngine(model, Confidence(), 0.0), samples)
    expected = one_by_one(model, samples)
    assert {prediction.exit_layer for prediction in predictions} == {1}
    assert [prediction.label for prediction in predictions] == expected.logits[0].argmax(-1).tolist()


def test_padded_batch_of_a_loader(model: MultiExitModel, samples: list[Sample], exits: StoredExits) -> None:
    engine = EarlyExitEngine(model, Voting(), 1.1)
    batch = engine.pad(samples) | {"labels": torch.zeros(len(samples))}
    exit_layer, label = replay(Voting(), exits).at(1.1)
    predictions = engine.predict_batch(batch)
    assert torch.equal(predictions.exit_layers, exit_layer)
    assert torch.equal(predictions.labels, label)
    with pytest.raises(DataError, match="tokens stand behind padding"):
        engine.predict_batch({name: tensor.flip(1) for name, tensor in batch.items() if tensor.ndim == 2})
    no_rows = {name: tensor[:0] for name, tensor in batch.items()}
    no_tokens = batch | {"attention_mask": torch.zeros_like(batch["attention_mask"])}
    for nothing in (no_rows, no_tokens):
        with pytest.raises(DataError, match="nothing to predict"):
            engine.predict_batch(nothing)


@pytest.mark.parametrize("schedule", ["auto", "depth_first", "breadth_first"])
def test_stream_is_taken_as_it_is_needed(schedule: str, model: MultiExitModel, samples: list[Sample]) -> None:
    taken = 0

    def endless() -> Iterator[Sample]:
        nonlocal taken
        while True:
            taken += 1
            yield samples[taken % len(samples)]

    engine = EarlyExitEngine(model, Voting(), 1.1, schedule=schedule, batch_size=4, max_tokens=20)
    done = 0
    for chunk, _ in zip(engine.predict(endless()), range(5), strict=False):
        done += len(chunk)
        assert taken - done <= 5


def test_no_samples_give_no_predictions(model: MultiExitModel) -> None:
    assert predict(EarlyExitEngine(model, Voting(), 1.1), []) == []


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"threshold": nan}, "threshold is no number"),
        ({"schedule": "fastest"}, "'fastest' is not a value of schedule"),
        ({"precision": "fp8"}, "'fp8' is not a value of precision"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"criterion": Patience(tolerance=1.0)}, "tolerance"),
    ],
)
def test_options_that_make_no_sense(option: dict, match: str, model: MultiExitModel) -> None:
    with pytest.raises(OptionError, match=match):
        EarlyExitEngine(**{"model": model, "criterion": Voting(), "threshold": 1.0} | option)


@pytest.mark.parametrize(
    ("criterion", "match"),
    [
        (Oracle(), "labels"),
        (Gate(), "reads the extra 'gate'"),
        (BEEM(weights=[1.0, 2.0]), "weights"),
        (CalibratedConfidence(), "not fitted"),
    ],
)
def test_criteria_that_cannot_judge_the_model_are_refused_at_once(
    criterion: Criterion, match: str, model: MultiExitModel
) -> None:
    model = deepcopy(model)
    model.heads.gates = torch.nn.ModuleList()
    with pytest.raises(OptionError, match=match):
        EarlyExitEngine(model, criterion, 1.0)


def test_sample_without_tokens_is_refused(model: MultiExitModel, samples: list[Sample]) -> None:
    with pytest.raises(DataError, match="no tokens"):
        predict(EarlyExitEngine(model, Voting(), 1.1), [*samples, Sample([], [])])


def test_model_in_training_predicts_without_dropout(model: MultiExitModel, samples: list[Sample]) -> None:
    engine = EarlyExitEngine(model, Voting(), 1.1)
    before = predict(engine, samples)
    model.train()
    assert [each.logits.tolist() for each in predict(engine, samples)] == [each.logits.tolist() for each in before]


def test_what_was_fitted_is_moved_once(model: MultiExitModel, samples: list[Sample], exits: StoredExits) -> None:
    criterion = ready(CalibratedConfidence(), exits)
    assert isinstance(criterion, Fitted)
    predict(EarlyExitEngine(model, criterion, inf), samples)
    assert criterion.parameters(exits.output(1)) is criterion.parameters(exits.output(2))
    criterion.restore({**criterion.fitted, "temperatures": [7.0] * 3})
    assert criterion.parameters(exits.output(1))["temperatures"].tolist() == [7.0] * 3


@pytest.mark.parametrize("criterion", DEFAULTS, ids=lambda criterion: criterion.name)
def test_no_score_exceeds_what_the_criterion_says(criterion: Criterion, exits: StoredExits) -> None:
    replayed = replay(ready(criterion, exits), exits)
    for exit_layer, scores in enumerate(replayed.scores, 1):
        assert scores.max() <= criterion.highest_score(exit_layer)


def test_bfloat16_predicts_nearly_the_same(model: MultiExitModel, samples: list[Sample], exits: StoredExits) -> None:
    predictions = predict(EarlyExitEngine(model, Fixed(), 3.0, precision="bf16"), samples)
    said = torch.stack([prediction.logits for prediction in predictions])
    assert said.dtype == torch.float32
    error = (said - exits.logits[-1]).abs().max()
    assert TOLERANCE < error < 0.1 * exits.logits[-1].abs().max()


@pytest.mark.parametrize("threshold", [1.1, inf, -inf])
@pytest.mark.parametrize("value", [nan, inf])
def test_logits_that_are_not_finite_are_never_served(
    value: float, threshold: float, model: MultiExitModel, samples: list[Sample]
) -> None:
    broken = deepcopy(model)
    with torch.no_grad():
        broken.heads.classifiers[0].bias[0] = value
    engine = EarlyExitEngine(broken, Voting(), threshold)
    with pytest.raises(BackboneError, match="the logits are not finite"):
        predict(engine, samples)
    with pytest.raises(BackboneError, match="the logits are not finite"):
        engine.predict_batch(engine.pad(samples[:2]))


class Kinds(Confidence):
    """Writes down what it judges."""

    seen: ClassVar[set[type]] = set()

    def step(self, output, state):
        self.seen.add(type(output.logits))
        return super().step(output, state)


def test_criteria_judge_tensors(model: MultiExitModel, samples: list[Sample]) -> None:
    exhausted = [*EarlyExitEngine(model, Kinds(), 0.5).predict(samples[:3])]
    assert exhausted
    assert Kinds.seen == {torch.Tensor}
