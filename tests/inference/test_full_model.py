"""The full model against the model's own last exit."""

import pytest
import torch

from ee_lightning.inference import FullModel, Sample
from ee_lightning.models import MultiExitModel


@pytest.mark.parametrize("heads", [{"pooling": "mean"}, {"pooling": "cls", "exits": "last"}])
def test_logits_are_those_of_the_last_exit_one_by_one(heads: dict, tiny_backbone, model_of, samples: list[Sample]):
    model: MultiExitModel = model_of(tiny_backbone, **heads)
    with torch.inference_mode():
        expected = [
            model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long), torch.tensor([types])).logits[-1]
            for ids, types in samples
        ]
    said = FullModel(model).predict([samples[:1], samples[1:9], samples[9:]])
    torch.testing.assert_close(said, torch.cat(expected), atol=1e-5, rtol=1e-5)
    assert not said.requires_grad


def test_bfloat16_is_used_when_asked_for(model: MultiExitModel, samples: list[Sample]) -> None:
    exact, rounded = (FullModel(model, precision).predict([samples]) for precision in ("fp32", "bf16"))
    assert rounded.dtype == torch.float32
    assert 1e-5 < (rounded - exact).abs().max() < 0.1 * exact.abs().max()


def test_other_heads_are_left_out(model: MultiExitModel, samples: list[Sample], monkeypatch) -> None:
    used: list[int] = []
    heads = model.heads.forward
    monkeypatch.setattr(model.heads, "forward", lambda layer, state: used.append(layer) or heads(layer, state))
    FullModel(model).predict([samples[:4], samples[4:8]])
    assert used == [3, 3]
