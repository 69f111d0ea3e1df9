"""The internal classifiers and the multi-exit model."""

from pathlib import Path

import pytest
import torch

from ee_lightning.errors import OptionError
from ee_lightning.models import EncoderState, ExitHeads, HeadOptions, MultiExitModel, load_backbone


def _state(hidden: torch.Tensor, lengths: list[int]) -> EncoderState:
    mask = (torch.arange(hidden.shape[1])[None] < torch.tensor(lengths)[:, None]).long()
    return EncoderState(hidden, mask, None)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("pooler", ["per_exit", "shared"])
def test_head_is_pool_dense_tanh_linear(pooling: str, pooler: str) -> None:
    torch.manual_seed(0)
    heads = ExitHeads(3, 8, 4, HeadOptions(pooling=pooling, pooler=pooler)).eval()
    hidden = torch.randn(2, 5, 8)
    logits = heads(2, _state(hidden, [3, 5])).logits
    pooled = hidden[:, 0] if pooling == "cls" else torch.stack([hidden[0, :3].mean(0), hidden[1].mean(0)])
    dense = heads.poolers[1 if pooler == "per_exit" else 0]
    expected = torch.tanh(pooled @ dense.weight.T + dense.bias) @ heads.classifiers[1].weight.T
    torch.testing.assert_close(logits, expected + heads.classifiers[1].bias)
    assert len(heads.poolers) == (3 if pooler == "per_exit" else 1)


def test_mean_pooling_ignores_padding() -> None:
    heads = ExitHeads(1, 8, 2, HeadOptions(pooling="mean")).eval()
    hidden = torch.randn(1, 6, 8)
    other = hidden.clone()
    other[:, 4:] = 100.0
    assert torch.equal(heads(1, _state(hidden, [4])).logits, heads(1, _state(other, [4])).logits)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"pooling": "max"}, "pooling"), ({"pooler": "none"}, "pooler"), ({"dropout": 1.0}, "dropout")],
)
def test_senseless_options_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError, match=f"model.heads.{named}"):
        HeadOptions(**options)  # type: ignore[arg-type]


def test_logits_of_every_exit_are_those_of_its_layer(tiny_backbone: Path) -> None:
    torch.manual_seed(0)
    model = MultiExitModel(load_backbone(str(tiny_backbone)), 3, HeadOptions(pooling="mean")).eval()
    ids, mask = torch.randint(5, 20, (4, 7)), torch.ones(4, 7, dtype=torch.long)
    with torch.inference_mode():
        logits = model(ids, mask).logits
        hidden = model.backbone.encoder(ids, mask, output_hidden_states=True).hidden_states
        for exit_layer in range(1, model.num_exits + 1):
            expected = model.heads(exit_layer, _state(hidden[exit_layer], [7] * 4)).logits
            assert torch.equal(logits[exit_layer - 1], expected)
    assert logits.shape == (3, 4, 3)


def test_every_parameter_gets_a_gradient(tiny_backbone: Path) -> None:
    model = MultiExitModel(load_backbone(str(tiny_backbone)), 2, HeadOptions())
    model(torch.randint(5, 20, (2, 6)), torch.ones(2, 6, dtype=torch.long)).logits.square().sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
