import math

import pytest
import torch
from factories import exits_of_probabilities, random_exits, stored
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, kl_divergence

from ee_lightning.errors import OptionError
from ee_lightning.exits import FPABEE, replay

DIVERGENCES = ["kl", "reverse_kl", "symmetric_kl", "jsd"]


def reference(divergence, previous, current):
    """Return a divergence of distributions in float64, by torch.distributions."""
    p, q = Categorical(probs=previous.double()), Categorical(probs=current.double())
    if divergence == "jsd":
        mixture = Categorical(probs=(p.probs + q.probs) / 2)
        return (kl_divergence(p, mixture) + kl_divergence(q, mixture)) / 2
    forward, backward = kl_divergence(p, q), kl_divergence(q, p)
    return {"kl": forward, "reverse_kl": backward, "symmetric_kl": forward + backward}[divergence]


@pytest.mark.parametrize("divergence", DIVERGENCES)
@settings(deadline=None, max_examples=40)
@given(num_classes=st.integers(2, 6), seed=st.integers(0, 2**32))
def test_score_is_the_divergence_from_the_exit_before(divergence, num_classes, seed):
    exits = random_exits(4, 10, num_classes, seed=seed)
    probabilities = exits.logits.double().softmax(-1)
    scores = replay(FPABEE(divergence, patience=1), exits).scores
    assert (scores[0] == -math.inf).all()
    expected = -reference(divergence, probabilities[:-1], probabilities[1:])
    torch.testing.assert_close(scores[1:].double(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@settings(deadline=None, max_examples=30)
@given(
    num_exits=st.integers(1, 7),
    patience=st.integers(1, 4),
    kind=st.sampled_from(["continuous", "tied", "equal"]),
    seed=st.integers(0, 2**32),
)
def test_leaves_where_a_counter_of_similar_exits_reaches_the_patience(divergence, num_exits, patience, kind, seed):
    exits = random_exits(num_exits, 4, 3, seed=seed, kind=kind)
    differs = -replay(FPABEE(divergence, patience=1), exits).scores  # [exits, samples]
    replayed = replay(FPABEE(divergence, patience), exits)
    for bound in differs.unique().tolist():
        exit_layer, label = replayed.at(-bound)
        for sample in range(exits.num_samples if bound < math.inf else 0):
            counter, leaves_at = 0, num_exits
            for m in range(1, num_exits):
                counter = counter + 1 if differs[m, sample] <= bound else 0
                if counter == patience:
                    leaves_at = m + 1
                    break
            assert exit_layer[sample] == leaves_at
            assert label[sample] == exits.logits[leaves_at - 1, sample].argmax()


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_exits_that_say_the_same_score_zero_as_soon_as_there_are_enough_of_them(divergence):
    logits = random_exits(1, 30, 5).logits.expand(5, -1, -1)
    scores = replay(FPABEE(divergence, patience=3), stored(logits)).scores
    assert (scores[:3] == -math.inf).all()
    torch.testing.assert_close(scores[3:], torch.zeros(2, 30), atol=1e-6, rtol=0)
    assert (scores[3:] <= 0).all()


def test_certain_exits_that_differ_are_ln_2_apart_by_jensen_shannon():
    logits = torch.tensor([[500.0, -500.0], [-500.0, 500.0]]).view(2, 1, 2)
    scores = replay(FPABEE(patience=1), stored(logits)).scores
    assert scores[1].item() == pytest.approx(-math.log(2))


def test_kl_weighs_by_the_earlier_exit_and_its_reverse_by_the_later():
    exits = exits_of_probabilities([[0.5, 0.5], [0.9, 0.1]])
    forward = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    backward = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    for divergence, expected in (("kl", forward), ("reverse_kl", backward), ("symmetric_kl", forward + backward)):
        assert replay(FPABEE(divergence, patience=1), exits).scores[1].item() == pytest.approx(-expected)


def test_options_without_sense_are_refused():
    with pytest.raises(OptionError, match=r"(?s)'js' is not a value of FPABEE.divergence.*symmetric_kl"):
        FPABEE("js")
    with pytest.raises(OptionError, match="0 is no patience"):
        FPABEE(patience=0)


def test_name_tells_options_that_differ_from_the_default():
    assert FPABEE().name == "f_pabee"
    assert FPABEE("kl", patience=4).name == "f_pabee(divergence=kl, patience=4)"
