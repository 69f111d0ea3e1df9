import math
from types import SimpleNamespace

import pytest
import torch

from ee_lightning.errors import OptionError
from ee_lightning.functional import Kind, Target
from ee_lightning.training import LabelOptions


@pytest.mark.parametrize("smoothing", [-0.1, 1, math.nan])
def test_smoothing_that_leaves_no_label_is_refused(smoothing):
    with pytest.raises(OptionError, match="smoothing must lie in") as caught:
        LabelOptions(smoothing=smoothing)
    assert caught.value.where == "--model.labels.smoothing"


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0, 0.0], [1.0, math.inf], [math.nan, 1.0]])
def test_weights_that_make_no_sense_are_refused(weights):
    with pytest.raises(OptionError, match="class_weights are"):
        LabelOptions(class_weights=weights)


@pytest.mark.parametrize(
    ("options", "classes", "problem"),
    [
        (LabelOptions(class_weights=[1.0, 2.0]), 3, "2 class weights for 3 classes"),
        (LabelOptions(smoothing=0.1), 1, "has a value to predict"),
        (LabelOptions(class_weights="balanced"), 1, "has a value to predict"),
    ],
)
def test_a_task_they_do_not_suit_is_refused(options, classes, problem):
    with pytest.raises(OptionError, match=problem):
        options.check_task(Target.of(classes))
    LabelOptions().check_task(Target.of(classes))


def test_plain_labels_stay_as_they_are():
    labels = torch.tensor([0, 1])
    assert LabelOptions().targets(labels, 2, None) is labels


def test_balanced_weights_are_those_of_the_training_rows():
    options = LabelOptions(class_weights="balanced")
    weights = options.weights_for(SimpleNamespace(class_counts=[30, 10]), Kind.SINGLE_LABEL)
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 2.0]))
    torch.testing.assert_close(options.targets(torch.tensor([1]), 2, weights), torch.tensor([[0.0, 2.0]]))
    with pytest.raises(OptionError, match="it is not known how often each class occurs"):
        options.weights_for(None, Kind.SINGLE_LABEL)


def test_of_several_labels_a_weight_is_of_the_label_s_being_there():
    options = LabelOptions(class_weights=[2.0, 3.0])
    options.check_task(Target(Kind.MULTI_LABEL, 2))
    weights = options.weights_for(None, Kind.MULTI_LABEL)
    targets = options.targets(torch.tensor([[1, 0], [0, 1]]), 2, weights)  # absent and there, label by label
    assert targets.tolist() == [[0, 2], [1, 0], [1, 0], [0, 3]]
    balanced = LabelOptions(class_weights="balanced", smoothing=0.5)
    weights = balanced.weights_for(SimpleNamespace(class_counts=[[30, 10], [20, 20]]), Kind.MULTI_LABEL)
    torch.testing.assert_close(weights, torch.tensor([[2 / 3, 2.0], [1.0, 1.0]]))
    targets = balanced.targets(torch.tensor([[1, 0]]), 2, weights)
    torch.testing.assert_close(targets, torch.tensor([[0.5, 1.5], [0.75, 0.25]]))
    assert LabelOptions().targets(torch.tensor([[1, 0]]), 2, None).tolist() == [1, 0]
    with pytest.raises(OptionError, match="2 class weights for 3"):
        options.check_task(Target(Kind.MULTI_LABEL, 3))


def test_given_weights_need_no_data():
    weights = LabelOptions(class_weights=[1.0, 3.0]).weights_for(None, Kind.SINGLE_LABEL)
    torch.testing.assert_close(weights, torch.tensor([1.0, 3.0]))
