"""Rows that come while others are on their way: each is predicted as if it were alone."""

import random
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from ee_lightning.exits import Confidence, Criterion, Patience, Voting
from ee_lightning.inference import EarlyExitPredictor, ExitPolicy, TextPrediction
from ee_lightning.inference.batches import Packing
from ee_lightning.inference.texts import in_words
from ee_lightning.runtime import EarlyExitRuntime
from ee_lightning.serving.flow import Flow, Load, joining_pays

TEXTS = [f"the film {'was very ' * (number % 7)}lovely {'dull ' * (number % 3)}" for number in range(40)]
EAGER = Packing(max_tokens=10_000, overhead=100_000)
"""By which joining always pays."""
Predictor = EarlyExitPredictor | EarlyExitRuntime


def predictors(small: EarlyExitPredictor, exported: Path, criterion: Criterion, threshold: float) -> list[Predictor]:
    from ee_lightning.exits import spec_of

    deployment = replace(small.deployment, rule=ExitPolicy(spec_of(criterion), threshold))
    return [
        EarlyExitPredictor(small.model, small.tokenizer, deployment, device="cpu", keep_trail=True),
        EarlyExitRuntime(exported, criterion=criterion, threshold=threshold, keep_trail=True, threads=1),
    ]


def flowed(predictor: Predictor, joins: bool, rng: random.Random) -> tuple[dict[int, TextPrediction], int]:
    """Predict the texts as they come, some at each layer, and say how often some joined."""
    flow = Flow[int](predictor.engine, predictor.layers_of_exits, joins=joins)
    predictor.engine.packing = EAGER
    waiting, found, joined = [*enumerate(TEXTS)], dict[int, TextPrediction](), 0
    deployment = predictor.deployment

    def take(left) -> None:
        for tickets, predictions in left:
            worded = in_words(predictions, deployment.label_names, deployment.target.kind)
            found.update(zip(tickets, worded, strict=True))

    while waiting or not flow.is_empty:
        some = waiting[: rng.randint(0, 6)]
        samples = [predictor.encode((text,))[0] for _, text in some]
        if some and flow.takes(samples):
            joined += not flow.is_empty
            take(flow.start(samples, [number for number, _ in some]))
            waiting = waiting[len(some) :]
        if not flow.is_empty:
            take(flow.step())
    return found, joined


@pytest.mark.parametrize(
    ("criterion", "threshold"), [(Voting(k=0.5), 1.2), (Confidence(), 0.55), (Patience(), 1.0), (Confidence(), inf)]
)
def test_rows_that_join_are_predicted_as_if_they_were_alone(
    criterion: Criterion, threshold: float, small_predictor: EarlyExitPredictor, exported: Path
) -> None:
    for predictor in predictors(small_predictor, exported, criterion, threshold):
        expected = [predictor(text) for text in TEXTS]
        found, joined = flowed(predictor, True, random.Random(0))
        assert joined > 3
        assert [found[row].exit_layer for row in range(len(TEXTS))] == [each.exit_layer for each in expected]
        assert [found[row].label for row in range(len(TEXTS))] == [each.label for each in expected]
        for row, each in enumerate(expected):
            assert found[row].score == pytest.approx(each.score, abs=1e-4)
            for mine, alone in zip(found[row].trail, each.trail, strict=True):
                assert mine == pytest.approx(alone, abs=1e-4)


def test_without_joining_a_wave_ends_before_the_next_begins(
    small_predictor: EarlyExitPredictor, exported: Path
) -> None:
    for predictor in predictors(small_predictor, exported, Voting(k=0.5), 1.2):
        found, joined = flowed(predictor, False, random.Random(0))
        assert joined == 0
        assert len(found) == len(TEXTS)


def test_a_wave_keeps_the_threshold_that_it_began_with(small_predictor: EarlyExitPredictor, exported: Path) -> None:
    predictor = predictors(small_predictor, exported, Confidence(), inf)[1]
    flow = Flow[str](predictor.engine, predictor.layers_of_exits)
    samples = [predictor.encode((text,))[0] for text in TEXTS[:3]]
    assert [*flow.start(samples, ["a", "b", "c"])] == []
    predictor.engine.change_threshold(0.0)
    assert not flow.takes(samples), "rows of another threshold must not join"
    assert [*flow.step(), *flow.step()] == []
    ((tickets, predictions),) = flow.step()
    assert sorted(tickets) == ["a", "b", "c"]
    assert predictions.exit_layers.tolist() == [3, 3, 3]
    assert flow.is_empty
    ((_, predictions),) = [*flow.start(samples, ["d", "e", "f"]), *flow.step()]
    assert predictions.exit_layers.tolist() == [1, 1, 1]


def test_rows_that_are_given_up_leave_nothing_behind(small_predictor: EarlyExitPredictor) -> None:
    flow = Flow[str](small_predictor.engine, small_predictor.layers_of_exits)
    sample, _ = small_predictor.encode(("a lovely film",))
    assert [*flow.start([sample, sample], ["a", "b"])] == []
    assert flow.clear() == ["a", "b"]
    assert flow.is_empty


def mean_end(going: Load, coming: Load, layer: int, left: int, packing: Packing, joined: bool) -> float:
    """Return when a row is answered on average, where both go through as many layers in all."""

    def takes(*loads: Load) -> int:
        return packing.overhead + sum(load.tokens for load in loads)

    if joined:
        end = layer * takes(coming) + left * takes(going, coming)
        return (going.rows + coming.rows) * end
    first = left * takes(going)
    return going.rows * first + coming.rows * (first + (layer + left) * takes(coming))


def test_joining_pays_where_rows_are_answered_earlier_on_average() -> None:
    rng, seen = random.Random(0), set()
    for _ in range(500):
        going, coming = (Load(rows := rng.randint(1, 9), 20 * rows) for _ in range(2))
        layer, left = rng.randint(1, 11), rng.randint(1, 11)
        packing = Packing(max_tokens=1000, overhead=rng.choice([32, 2048]))
        pays = joining_pays(going, coming, layer, left, packing)
        ends = [mean_end(going, coming, layer, left, packing, joined) for joined in (False, True)]
        assert pays == (ends[1] < ends[0])
        seen.add(pays)
    assert seen == {True, False}
    assert not joining_pays(Load(1, 600), Load(1, 600), 1, 11, Packing(max_tokens=1000, overhead=100_000))
