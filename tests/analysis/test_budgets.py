"""Every budget against a search over all thresholds."""

import math

import pytest
import torch
from factories import exits_of, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.analysis.budgets import BudgetOutOfReach, Consistency, MaxLoss, MaxSpoilt, MinSpeedup
from ee_lightning.analysis.candidates import list_candidates
from ee_lightning.errors import OptionError
from ee_lightning.exits import Confidence, Patience, Voting
from ee_lightning.exits import replay as replay_exits
from ee_lightning.functional import CLASSIFICATION_METRICS, classification_counts, hoeffding_bentkus_p_values

CRITERIA = [Confidence(), Patience(), Voting(k=1, fallback="majority")]
cases = st.fixed_dictionaries(
    {
        "num_samples": st.integers(1, 12),
        "num_exits": st.integers(2, 4),
        "seed": st.integers(0, 2**32),
        "tied": st.booleans(),
    }
)


def score_of(predictions, labels, metric):
    counts = classification_counts(predictions, labels, 2).sum(0)
    return CLASSIFICATION_METRICS[metric](counts, labels.bincount(minlength=2)).item()


def every_early_point(criterion, exits, metric):
    """Apply every threshold there is: speed-up, score, loss in points, and consistency."""
    replayed = replay_exits(criterion, exits)
    full = exits.logits[-1].argmax(-1)
    full_score = score_of(full, exits.labels, metric)
    points = []
    for threshold in replayed.scores.unique().tolist():
        exit_layer, label = replayed.at(threshold)
        if (exit_layer < exits.num_exits).any():
            score = score_of(label, exits.labels, metric)
            speedup = exits.num_exits / exit_layer.double().mean().item()
            agreeing = (label == full).double().mean().item()
            points.append((speedup, score, 100 * (full_score - score), agreeing))
    return points


@settings(deadline=None, max_examples=100)
@given(
    case=cases,
    criterion=st.sampled_from(CRITERIA),
    metric=st.sampled_from(["accuracy", "f1", "matthews"]),
    budget=st.one_of(
        st.builds(MaxLoss, st.sampled_from([0.0, 10.0, 25.0])),
        st.builds(Consistency, st.sampled_from([0.4, 0.7, 0.75, 0.9, 1.0])),
        st.builds(MinSpeedup, st.sampled_from([1.2, 2.0, 3.0, 5.0])),
    ),
)
def test_no_threshold_keeps_to_the_budget_better(case, criterion, metric, budget):
    exits = exits_of(**case)
    candidates = list_candidates(criterion, exits, metric)
    keeps = {
        "max_loss": lambda point: point[2] <= budget.value + 1e-9,
        "consistency": lambda point: point[3] >= budget.value - 1e-9,
        "min_speedup": lambda point: point[0] >= budget.value - 1e-9,
    }[budget.name]
    order = (
        (lambda point: (-point[1], -point[0]))
        if budget.name == "min_speedup"
        else (lambda point: (-point[0], -point[1]))
    )
    expected = sorted(filter(keeps, every_early_point(criterion, exits, metric)), key=order)
    if not expected:
        with pytest.raises(BudgetOutOfReach):
            budget.select(candidates, guarantee=None)
        return
    chosen = budget.select(candidates, guarantee=None)
    reached = (candidates.curve.speedup[chosen].item(), candidates.score[chosen].item())
    assert reached == pytest.approx(expected[0][:2])


def test_the_slowest_point_that_is_fast_enough_is_not_taken_if_a_faster_one_is_better():
    predictions = torch.tensor([[0, 0], [1, 0], [0, 1]])  # [exits, samples]: right, half right, wrong
    confidences = torch.tensor([[1.0, 1.0], [2.0, 2.0], [1.0, 1.0]])
    logits = torch.nn.functional.one_hot(predictions, 2) * confidences.unsqueeze(-1)
    candidates = list_candidates(Confidence(), stored(logits, torch.tensor([0, 0])), "accuracy")
    assert candidates.curve.speedup.tolist() == [1, 1.5, 3]
    assert candidates.score.tolist() == [0.5, 0.5, 1]
    assert MinSpeedup(1.4).select(candidates, guarantee=None) == 2


@settings(deadline=None, max_examples=30)
@given(
    case=cases,
    asked=st.one_of(
        st.tuples(st.just(MinSpeedup(7.0)), st.none()),
        st.tuples(st.sampled_from([MaxLoss(1.0), Consistency(0.99), MinSpeedup(3.99)]), st.sampled_from([0.6, 0.9])),
    ),
)
def test_the_nearest_value_is_in_reach_and_nothing_tighter_is(case, asked):
    budget, guarantee = asked
    candidates = list_candidates(Confidence(), exits_of(**case), "accuracy")
    with pytest.raises(BudgetOutOfReach) as caught:
        budget.select(candidates, guarantee)
    nearest = caught.value.nearest
    if nearest is not None:
        assert f"{nearest:.8g}" in str(caught.value)
        type(budget)(nearest).select(candidates, guarantee)
        tighter = nearest + math.copysign(2e-4, budget.value - nearest)
        if abs(budget.value - nearest) > 2e-4:
            with pytest.raises(BudgetOutOfReach):
                type(budget)(tighter).select(candidates, guarantee)


@pytest.mark.parametrize("share", [0.2, 0.4, 0.7, 0.9])
def test_a_share_that_is_met_exactly_is_met(share):
    differing = round(10 * (1 - share))
    logits = torch.tensor([[1.0, 0.0]]).expand(2, 10, 2).clone()  # [exits, samples, classes]
    logits[1, :differing] = torch.tensor([0.0, 1.0])
    candidates = list_candidates(Confidence(), stored(logits, torch.zeros(10, dtype=torch.int64)), "accuracy")
    assert Consistency(share).select(candidates, guarantee=None) == 1


@pytest.mark.parametrize(("num_exits", "asked"), [(3, 3.7), (6, 7.0), (12, 1e9)])
def test_the_nearest_speedup_is_a_round_number_where_all_leave_at_the_first_exit(num_exits, asked):
    candidates = list_candidates(Confidence(), exits_of(50, num_exits=num_exits), "accuracy")
    with pytest.raises(BudgetOutOfReach) as caught:
        MinSpeedup(asked).select(candidates, guarantee=None)
    assert caught.value.nearest == num_exits


def test_out_of_reach_names_criterion_budget_samples_and_the_nearest():
    candidates = list_candidates(Confidence(), exits_of(50), "accuracy")
    with pytest.raises(BudgetOutOfReach) as caught:
        MinSpeedup(9).select(candidates, guarantee=None)
    assert caught.value.nearest == 4
    assert str(caught.value).splitlines() == [
        "no threshold keeps to --min-speedup 9",
        "  where: confidence, on the 50 samples to choose on",
        "  hint:  ask for --min-speedup 4",
    ]


def test_a_guarantee_that_takes_more_samples_says_so():
    candidates = list_candidates(Confidence(), exits_of(50), "accuracy")
    MaxLoss(1.0).select(candidates, guarantee=None)
    with pytest.raises(BudgetOutOfReach, match=r"with a guarantee of 0.95[\s\S]*give more samples") as caught:
        MaxLoss(1.0).select(candidates, guarantee=0.95)
    assert caught.value.nearest >= 100 * (1 - 0.05 ** (1 / 50)), "what 50 samples without a failure prove"


@pytest.mark.parametrize("guarantee", [None, 0.9])
@pytest.mark.parametrize("budget", [MaxLoss(50), Consistency(0.5), MinSpeedup(1.1)])
def test_a_criterion_that_never_leaves_early_is_refused(budget, guarantee):
    candidates = list_candidates(Confidence(), exits_of(30, num_exits=1), "accuracy")
    with pytest.raises(BudgetOutOfReach, match="lets no sample leave") as caught:
        budget.select(candidates, guarantee)
    assert caught.value.nearest is None


@pytest.mark.parametrize("budget", [MaxLoss(5), Consistency(0.95)])
def test_the_full_model_alone_is_no_choice(budget):
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).unsqueeze(1).expand(2, 100, 2)  # [exits, samples, classes]
    exits = stored(logits, torch.ones(100, dtype=torch.int64))
    candidates = list_candidates(Confidence(), exits, "accuracy")
    assert budget.guaranteed(candidates, budget.value, error=0.1).tolist() == [True, False]
    for guarantee in (None, 0.9):
        with pytest.raises(BudgetOutOfReach) as caught:
            budget.select(candidates, guarantee)
        assert caught.value.nearest is None


@pytest.mark.parametrize("budget", [MaxLoss(20), Consistency(0.7), MinSpeedup(1.5)])
def test_a_guarantee_is_stricter_the_higher_it_is(budget):
    candidates = list_candidates(Confidence(), exits_of(200), "accuracy")
    allowed = [budget.guaranteed(candidates, budget.value, error) for error in (0.3, 0.1, 0.01)]
    kept = budget.kept(candidates, budget.value)
    for loose, strict in zip([kept, *allowed], allowed, strict=False):
        assert (strict & ~loose).sum() == 0
    assert 0 < allowed[-1].sum() < kept.sum()


@pytest.mark.parametrize(
    ("budget", "value"),
    [
        (budget, value)
        for budget, values in ((MaxLoss, (-1, 100)), (Consistency, (0, 1.1)), (MinSpeedup, (1, math.inf)))
        for value in (*values, math.nan)
    ],
)
def test_budgets_that_make_no_sense_are_refused(budget, value):
    with pytest.raises(OptionError, match=f"a {budget.name} of {value}"):
        budget(value)


@pytest.mark.parametrize("metric", ["f1", "matthews"])
def test_the_loss_of_a_score_that_is_no_mean_cannot_be_guaranteed(metric):
    candidates = list_candidates(Confidence(), exits_of(30), metric)
    with pytest.raises(OptionError, match=metric):
        MaxLoss(5).select(candidates, guarantee=0.9)


def exits_that_leave_first(leaving, samples):
    """Return two exits, the first of which lets so many of the samples leave, all with the same label."""
    logits = torch.tensor([1.0, 0.0]).repeat(2, samples, 1)  # [exits, samples, classes]
    logits[0, :leaving, 0] = 5.0
    return stored(logits, torch.zeros(samples, dtype=torch.int64))


@pytest.mark.parametrize(("full_right", "early_right"), [(4, 1), (8, 6), (8, 7)])
def test_a_loss_that_is_met_exactly_is_met(full_right, early_right):
    logits = torch.zeros(2, 10, 2)  # [exits, samples, classes]
    for exit_logits, right in zip(logits, (early_right, full_right), strict=True):
        exit_logits[:right, 0] = exit_logits[right:, 1] = 1.0
    candidates = list_candidates(Confidence(), stored(logits, torch.zeros(10, dtype=torch.int64)), "accuracy")
    assert 100 * (candidates.full_score - candidates.score[1]) > 10 * (full_right - early_right), "by rounding"
    assert MaxLoss(10.0 * (full_right - early_right)).select(candidates, guarantee=None) == 1


def test_only_what_the_full_model_gets_right_can_be_spoilt_and_what_it_gets_wrong_is_gained():
    labels = torch.zeros(100, dtype=torch.int64)
    predictions = torch.zeros(2, 100, dtype=torch.int64)  # [exits, samples]
    predictions[0, :40] = 1  # 40 that the full model has wrong as well, with a third class
    predictions[1, :80] = 2  # and 40 that only the first exit has right
    exits = stored(torch.nn.functional.one_hot(predictions, 3).float(), labels)
    candidates = list_candidates(Confidence(), exits, "accuracy")
    assert candidates.differing.tolist() == [0, 80]
    assert candidates.mean_loss("spoilt").tolist() == [0, 0]
    assert candidates.mean_loss("net").tolist() == [0, -0.4]
    for budget in (MaxLoss(5.0), MaxSpoilt(5.0)):
        assert budget.select(candidates, guarantee=0.95) == 1
    with pytest.raises(BudgetOutOfReach):
        Consistency(0.5).select(candidates, guarantee=0.95)


def test_classes_that_no_sample_has_are_counted_all_the_same():
    logits = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1] * 5)
    for metric in ("accuracy", "matthews"):
        candidates = list_candidates(Confidence(), stored(logits, labels), metric)
        assert candidates.full_score == pytest.approx(candidates.score[0].item())


@pytest.mark.parametrize(("samples", "leaving", "speedup"), [(9, 8, 1.8), (18, 16, 1.8), (13, 6, 1.3)])
def test_a_speed_up_that_is_met_exactly_is_met(samples, leaving, speedup):
    candidates = list_candidates(Confidence(), exits_that_leave_first(leaving, samples), "accuracy")
    assert candidates.curve.speedup[1] < speedup, "by rounding"
    assert candidates.curve.speedup[1].item() == pytest.approx(speedup)
    assert MinSpeedup(speedup).kept(candidates, speedup)[1]


@pytest.mark.parametrize(("samples", "layers"), [(19, 21), (29, 30)])
def test_rounding_of_the_mean_exit_takes_nothing_from_a_proof(samples, layers):
    candidates = list_candidates(Confidence(), exits_that_leave_first(2 * samples - layers, samples), "accuracy")
    assert (candidates.curve.mean_exit * samples > layers)[1], "by rounding"
    proven = hoeffding_bentkus_p_values(torch.tensor([layers - samples]), samples, 0.5)[0].item()
    assert MinSpeedup(4 / 3).guaranteed(candidates, 4 / 3, error=proven * 1.001).tolist()[1]
