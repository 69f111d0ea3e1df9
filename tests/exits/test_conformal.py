import math
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from factories import exits_predicting, random_exits, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.exits import Conformal, StoredExits, replay, trace_curve


def largest_when_differing(exits):
    """Return, by loops, the largest confidence of an exit that differs from the last one; -inf where none does."""
    probabilities = exits.logits.softmax(-1)
    last = probabilities[-1].argmax(-1)
    return [
        max(
            (p[i].max().item() for p in probabilities[:-1] if p[i].argmax() != last[i]),
            default=-math.inf,
        )
        for i in range(exits.num_samples)
    ]


@settings(deadline=None, max_examples=60)
@given(
    num_exits=st.integers(1, 4),
    calibration=st.integers(1, 12),
    kind=st.sampled_from(["continuous", "tied", "equal"]),
    seed=st.integers(0, 2**32),
)
def test_the_threshold_is_a_quantile_with_infinity_appended(num_exits, calibration, kind, seed):
    held_out = random_exits(num_exits, calibration, 3, seed=seed, kind=kind)
    exits = random_exits(num_exits, 5, 3, seed=seed + 1, kind=kind)
    criterion = Conformal()
    criterion.fit(held_out)
    replayed = replay(criterion, exits)
    confidence = exits.logits.softmax(-1).amax(-1)  # [exits, samples]
    ordered = [*sorted(largest_when_differing(held_out)), math.inf]
    for promised in {Fraction(step, 20) for step in range(1, 20)}:
        quantile = ordered[math.ceil((calibration + 1) * promised) - 1]
        leaves = confidence > quantile  # [exits, samples]
        expected = torch.where(leaves.any(0), leaves.int().argmax(0) + 1, num_exits)  # [samples]
        assert torch.equal(replayed.at(float(promised))[0], expected)


def two_exits(num_samples, generator):
    """Return exits of which the first differs from the second in most samples, at any confidence."""
    last = torch.randint(3, (num_samples,), generator=generator)
    shift = torch.multinomial(torch.tensor([0.4, 0.3, 0.3]), num_samples, replacement=True, generator=generator)
    first = torch.nn.functional.one_hot((last + shift) % 3, 3)
    sureness = 5 * torch.rand(num_samples, 1, generator=generator)
    logits = torch.stack([first * sureness, 9.0 * torch.nn.functional.one_hot(last, 3)])
    return stored(logits)


@pytest.mark.parametrize(("calibration", "promised"), [(10, 0.8), (19, 0.75), (50, 0.9)])
def test_over_many_draws_the_full_model_is_agreed_with_as_promised_and_no_more_than_needed(calibration, promised):
    generator = torch.Generator().manual_seed(0)
    all_held_out, all_fresh = two_exits(1000 * calibration, generator), two_exits(1000 * 100, generator)
    agreement = []
    for draw in range(1000):
        criterion = Conformal()
        criterion.fit(all_held_out.select(slice(draw * calibration, (draw + 1) * calibration)))
        fresh = all_fresh.select(slice(draw * 100, (draw + 1) * 100))
        _, label = replay(criterion, fresh).at(promised)
        agreement.append((label == fresh.logits[-1].argmax(-1)).double().mean())
    agreement = torch.stack(agreement)
    error = agreement.std().item() / math.sqrt(len(agreement))
    attained = math.ceil((calibration + 1) * promised) / (calibration + 1)  # exactly, for scores without ties
    assert attained >= promised
    assert agreement.mean().item() == pytest.approx(attained, abs=4 * error)
    assert error < 0.005


def test_too_few_samples_let_nobody_leave():
    criterion = Conformal()
    criterion.fit(random_exits(3, 18, 3))
    replayed = replay(criterion, random_exits(3, 50, 3, seed=1))
    assert (replayed.at(0.95)[0] == 3).all()
    assert (replayed.scores <= 18 / 19).all()


def test_exits_that_never_differ_promise_all_that_the_samples_can():
    criterion = Conformal()
    criterion.fit(exits_predicting([[0, 1, 2]] * 3))
    assert replay(criterion, exits_predicting([[1, 1]] * 3)).scores.unique().item() == 0.75


def test_labels_play_no_part():
    exits = random_exits(3, 20, 3)
    with_labels, without = Conformal(), Conformal()
    with_labels.fit(exits)
    without.fit(StoredExits(exits.logits, None, exits.ids))
    assert with_labels.fitted == without.fitted


@pytest.mark.parametrize(("calibration", "promised"), [(19, 0.95), (9, 0.9), (9, 0.7), (99, 0.99), (4, 0.8)])
def test_a_whole_rank_is_attained_at_the_threshold_as_it_is_written(calibration, promised):
    criterion, fresh = Conformal(), exits_predicting([[1, 1]] * 3)
    criterion.fit(exits_predicting([[0] * calibration] * 3))  # where no exit differs, all others promise the most
    assert criterion.fitted["largest_when_differing"] == [0.0] * calibration
    attained = calibration / (calibration + 1)
    assert replay(criterion, fresh).at(promised)[0].tolist() == ([1, 1] if promised <= attained else [3, 3])
    curve = trace_curve(criterion, replace(fresh, labels=torch.tensor([1, 1])), ["accuracy"])
    never, leaving = curve.thresholds.tolist()
    assert never == math.inf
    assert 0 < leaving <= attained
    assert curve.index_at(promised) == int(promised <= attained)
