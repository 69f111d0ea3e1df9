"""What logits predict, by the kind of task."""

import torch

from ee_lightning.functional import Kind, Target, predictions_of


def test_the_number_of_outputs_tells_values_from_classes_but_not_from_labels():
    assert [Target.of(number) for number in (1, 2)] == [(Kind.REGRESSION, 1), (Kind.SINGLE_LABEL, 2)]
    assert {Target.of(number, multi_label=True).kind for number in (1, 2)} == {Kind.MULTI_LABEL}


def test_predictions_have_a_shape_for_each_kind():
    logits = torch.tensor([[[1.0, 2.0]], [[-1.0, -2.0]]]).bfloat16()  # [exits, samples, classes]
    assert predictions_of(logits, Kind.SINGLE_LABEL).tolist() == [[1], [0]]
    assert predictions_of(logits, Kind.MULTI_LABEL).tolist() == [[[True, True]], [[False, False]]]
    values = predictions_of(logits[..., :1], Kind.REGRESSION)
    assert (values.tolist(), values.dtype) == ([[1.0], [-1.0]], torch.float32)


def test_a_label_at_even_odds_is_not_predicted():
    assert predictions_of(torch.tensor([[0.0, 1e-9, -1e-9]]), Kind.MULTI_LABEL).tolist() == [[False, True, False]]
