"""Models made of their tensors alone."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, BertConfig, ElectraConfig, RobertaConfig

from ee_lightning.errors import BackboneError
from ee_lightning.functional import Target
from ee_lightning.models import HeadOptions, MultiExitModel, restore_model
from ee_lightning.models.backbones.loading import backbone_config, load_backbone

SMALL = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
BATCH = {"input_ids": torch.tensor([[5, 6, 7], [8, 9, 1]]), "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]])}


@pytest.mark.parametrize("config", [BertConfig(**SMALL), RobertaConfig(**SMALL), ElectraConfig(**SMALL)])
def test_a_model_comes_back_with_its_buffers(config: object, tmp_path: Path) -> None:
    AutoModel.from_config(config).save_pretrained(tmp_path)
    heads = HeadOptions(gate=True)
    model = MultiExitModel(load_backbone(str(tmp_path), 1), Target.of(3), heads).eval()
    before = torch.get_rng_state()
    again = restore_model(backbone_config(str(tmp_path), 1), Target.of(3), heads, model.state_dict(), where="here")
    assert torch.equal(torch.get_rng_state(), before)
    assert not again.training
    with torch.inference_mode():
        said, expected = again(**BATCH), model(**BATCH)
    assert torch.equal(said.logits, expected.logits)
    assert torch.equal(said.extras["gate"], expected.extras["gate"])


def test_several_threads_leave_initialisation_on(tiny_backbone: Path) -> None:
    config, heads = backbone_config(str(tiny_backbone)), HeadOptions()
    tensors = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), heads).state_dict()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: restore_model(config, Target.of(2), heads, tensors, where="here"), range(8)))
    assert torch.nn.init.zeros_(torch.ones(2)).sum() == 0


def test_a_configuration_of_no_model_is_refused(tiny_backbone: Path) -> None:
    config = backbone_config(str(tiny_backbone))
    tensors = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), HeadOptions()).state_dict()
    config.num_attention_heads = 5
    with pytest.raises(BackboneError, match=r"no model can be made of the configuration[\s\S]*where: here"):
        restore_model(config, Target.of(2), HeadOptions(), tensors, where="here")


@pytest.mark.parametrize("kind", [torch.int32, torch.bool])
def test_weights_that_are_no_fractions_are_refused(tiny_backbone: Path, kind: torch.dtype) -> None:
    tensors = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), HeadOptions()).state_dict()
    name = next(iter(tensors))
    rounded = {**tensors, name: tensors[name].to(kind)}
    with pytest.raises(BackboneError, match=rf"another kind of number {name}\n  where: here"):
        restore_model(backbone_config(str(tiny_backbone)), Target.of(2), HeadOptions(), rounded, where="here")


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_hidden_layers", 0), ("num_attention_heads", -2), ("layer_norm_eps", float("inf"))],
)
def test_a_configuration_with_senseless_numbers_is_refused(
    tiny_backbone: Path, tmp_path: Path, field: str, value: float
) -> None:
    fields = json.loads((tiny_backbone / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**fields, field: value}))
    with pytest.raises(BackboneError, match=rf"{field} is {value}"):
        backbone_config(str(tmp_path))
