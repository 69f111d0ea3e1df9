"""The full model against the model's own last exit."""

import numpy as np
import pytest
import torch

from ee_lightning.inference import FullModel, Sample
from ee_lightning.inference.torch_backend import TorchBackend
from ee_lightning.models import MultiExitModel


@pytest.mark.parametrize("heads", [{"pooling": "mean"}, {"pooling": "cls", "exits": "last"}])
def test_logits_are_those_of_the_last_exit_one_by_one(heads: dict, tiny_backbone, model_of, samples: list[Sample]):
    model: MultiExitModel = model_of(tiny_backbone, **heads)
    with torch.inference_mode():
        expected = [
            model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long), torch.tensor([types])).logits[-1]
            for ids, types in samples
        ]
    said = FullModel(TorchBackend(model)).predict([samples[:1], samples[1:9], samples[9:]])
    torch.testing.assert_close(torch.from_numpy(said), torch.cat(expected), atol=1e-5, rtol=1e-5)


def test_bfloat16_is_used_when_asked_for(model: MultiExitModel, samples: list[Sample]) -> None:
    exact, rounded = (FullModel(TorchBackend(model, lower=lower)).predict([samples]) for lower in (False, True))
    assert rounded.dtype == np.float32
    assert 1e-5 < np.abs(rounded - exact).max() < 0.1 * np.abs(exact).max()


def test_other_heads_are_left_out(model: MultiExitModel, samples: list[Sample], monkeypatch) -> None:
    used: list[int] = []
    classify = model.heads.classify
    monkeypatch.setattr(model.heads, "classify", lambda layer, pooled: used.append(layer) or classify(layer, pooled))
    FullModel(TorchBackend(model)).predict([samples[:4], samples[4:8]])
    assert used == [3, 3]
