"""The engine on every family that has an adapter, beside the family's model on each sample alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ee_lightning.exits import Confidence, StoredExits, replay
from ee_lightning.inference import EarlyExitEngine, Sample
from ee_lightning.models import MultiExitModel
from ee_lightning.models.backbones import FAMILIES

TOLERANCE = 1e-5


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_leaves_as_batch_size_one_does(
    family: str, attention: str, pooling: str, small_backbone: Callable[[str], Path], samples: list[Sample], model_of
) -> None:
    model: MultiExitModel = model_of(small_backbone(family), pooling=pooling)
    model.backbone.encoder.set_attn_implementation(attention)
    samples = [Sample(sample.input_ids) for sample in samples]
    with torch.inference_mode():
        alone = [
            model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long)).logits for ids, _ in samples
        ]  # [exits, 1, classes] each
    exits = StoredExits(torch.cat(alone, dim=1), torch.zeros(len(samples)).long(), torch.arange(len(samples)))
    replayed = replay(Confidence(), exits)
    scores = replayed.scores.unique()  # sorted
    few = len(scores) // 4
    widest = scores.diff()[2 * few : -few].argmax() + 2 * few
    threshold = scores[widest : widest + 2].mean().item()  # far from all scores
    assert scores.diff()[widest] > 2 * TOLERANCE
    exit_layer, label = replayed.at(threshold)
    assert len(exit_layer.unique()) >= 2
    for options in ({"batch_size": 7, "schedule": "depth_first"}, {"max_tokens": 60, "schedule": "breadth_first"}):
        predictions = [
            one for some in EarlyExitEngine(model, Confidence(), threshold, **options).predict(samples) for one in some
        ]
        assert [each.exit_layer for each in predictions] == exit_layer.tolist()
        assert [each.label for each in predictions] == label.tolist()
        said = torch.stack([each.logits for each in predictions])  # [samples, classes]
        expected = exits.logits[exit_layer - 1, torch.arange(len(samples))]  # [samples, classes]
        torch.testing.assert_close(said, expected, atol=TOLERANCE, rtol=TOLERANCE)
