import math

import pytest
import torch
from factories import exits_of_probabilities, random_exits
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.errors import OptionError
from ee_lightning.exits import PCEE, NormalisedEntropy, replay


@settings(deadline=None, max_examples=60)
@given(
    num_exits=st.integers(1, 7),
    num_classes=st.integers(2, 4),
    patience=st.integers(1, 4),
    kind=st.sampled_from(["continuous", "tied", "equal"]),
    seed=st.integers(0, 2**32),
)
def test_leaves_where_a_counter_of_sure_exits_reaches_the_patience(num_exits, num_classes, patience, kind, seed):
    exits = random_exits(num_exits, 4, num_classes, seed=seed, kind=kind)
    uncertainty = -replay(NormalisedEntropy(), exits).scores  # [exits, samples]
    replayed = replay(PCEE(patience), exits)
    for bound in uncertainty.unique().tolist():
        exit_layer, label = replayed.at(-bound)
        for sample in range(exits.num_samples):
            counter, leaves_at = 0, num_exits
            for m in range(num_exits):
                counter = counter + 1 if uncertainty[m, sample] <= bound else 0
                if counter == patience:
                    leaves_at = m + 1
                    break
            assert exit_layer[sample] == leaves_at
            assert label[sample] == exits.logits[leaves_at - 1, sample].argmax()


def test_a_patience_of_one_is_normalised_entropy():
    exits = random_exits(5, 30, 3)
    assert torch.equal(replay(PCEE(patience=1), exits).scores, replay(NormalisedEntropy(), exits).scores)


def test_nobody_leaves_before_as_many_exits_as_the_patience():
    scores = replay(PCEE(patience=4), random_exits(6, 10, 3)).scores
    assert (scores[:3] == -math.inf).all()
    assert scores[3:].isfinite().all()


def test_label_is_that_of_the_exit_or_of_the_mean_of_the_exits_so_far():
    exits = exits_of_probabilities([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.1, 0.9]])
    for label, expected in (("argmax", [0, 1, 1, 1]), ("mean", [0, 0, 0, 1])):
        replayed = replay(PCEE(label=label), exits)
        assert replayed.labels.squeeze(-1).tolist() == expected
        assert replayed.fallback.item() == expected[-1]


@pytest.mark.parametrize("patience", [0, -1])
def test_no_patience_is_refused(patience):
    with pytest.raises(OptionError, match=rf"(?s){patience} is no patience.*PCEE.patience"):
        PCEE(patience)


def test_an_unknown_label_is_refused():
    with pytest.raises(OptionError, match=r"'median' is not a value of PCEE.label"):
        PCEE(label="median")


def test_name_tells_options_that_differ_from_the_default():
    assert PCEE().name == "pcee"
    assert PCEE(3, "mean").name == "pcee(patience=3, label=mean)"
