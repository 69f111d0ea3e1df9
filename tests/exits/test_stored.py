import math

import pytest
import torch
from factories import stored

from ee_lightning.errors import DataError, TrainingDiverged
from ee_lightning.exits import Confidence, StoredExits, trace_curve


def test_output_gives_one_exit_with_its_extras_and_the_labels():
    logits, labels, gate = torch.randn(3, 4, 2), torch.tensor([0, 1, 1, 0]), torch.rand(3, 4)
    exits = stored(logits, labels, {"gate": gate})
    assert (exits.num_exits, exits.num_samples, exits.num_classes) == (3, 4, 2)
    output = exits.output(2)
    assert (output.exit_layer, output.num_exits) == (2, 3)
    assert torch.equal(output.logits, logits[1])
    assert torch.equal(output.extras["gate"], gate[1])
    assert output.labels is labels


def test_labels_may_be_unknown():
    assert stored(torch.zeros(1, 1, 2)).output(1).labels is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"logits": torch.zeros(4, 2)}, r"`logits` of shape \[exits, samples, classes\].* got shape \[4, 2\]"),
        ({"logits": torch.zeros(3, 4, 2, dtype=torch.float64)}, r"torch.float32.* in torch.float64"),
        ({"labels": torch.zeros(3)}, r"`labels` of shape \[4\], but got \[3\]"),
        ({"ids": torch.arange(5)}, r"`ids` of shape \[4\], but got \[5\]"),
        ({"extras": {"gate": torch.zeros(4, 3)}}, r"`extras\['gate'\]` of shape \[3, 4\], but got \[4, 3\]"),
    ],
)
def test_other_shapes_are_refused(changed, message):
    fields = {"logits": torch.zeros(3, 4, 2), "labels": None, "ids": torch.arange(4)}
    with pytest.raises(ValueError, match=message):
        StoredExits(**{**fields, **changed})


def test_select_keeps_samples_in_the_order_given():
    logits, labels, gate = torch.randn(3, 4, 2), torch.tensor([0, 1, 1, 0]), torch.rand(3, 4)
    some = stored(logits, labels, {"gate": gate}).select(torch.tensor([3, 1]))
    assert torch.equal(some.logits, logits[:, [3, 1]])
    assert torch.equal(some.extras["gate"], gate[:, [3, 1]])
    assert (some.labels.tolist(), some.ids.tolist()) == ([0, 1], [3, 1])
    assert stored(logits).select(torch.tensor([3, 1])).labels is None


def test_extras_that_are_not_finite_are_refused():
    gate = torch.zeros(3, 4)
    gate[2, 1] = math.nan
    with pytest.raises(TrainingDiverged, match=r"(?s)Exit 3 gives gate .*nan.*id 1, one of 1"):
        stored(torch.zeros(3, 4, 2), None, {"gate": gate})


def test_no_sample_is_refused():
    with pytest.raises(DataError, match="no sample"):
        stored(torch.zeros(3, 0, 2))


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_refused_with_exit_and_id(broken):
    logits = torch.zeros(3, 4, 2)
    logits[1, 2, 0] = logits[2, 1, 1] = broken
    with pytest.raises(TrainingDiverged, match=r"(?s)Exit 2 .*id 72, one of 2 such samples.*hint:"):
        StoredExits(logits, None, torch.tensor([70, 71, 72, 73]))


def test_labels_of_32_bits_are_those_of_64():
    logits = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(9) % 3
    short, long = (trace_curve(Confidence(), stored(logits, each), ["accuracy"]) for each in (labels.int(), labels))
    assert torch.equal(short.scores["accuracy"], long.scores["accuracy"])
