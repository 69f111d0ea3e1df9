"""Every family, stepped layer by layer, against the model's own hidden states, bit for bit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, DistilBertConfig

from ee_lightning.errors import BackboneError
from ee_lightning.models import load_backbone
from ee_lightning.models.backbones import FAMILIES


def _batch(padded: bool) -> dict[str, torch.Tensor]:
    lengths = [9, 4, 7] if padded else [9, 9, 9]
    mask = (torch.arange(9)[None] < torch.tensor(lengths)[:, None]).long()  # [batch, length]
    ids = torch.randint(5, 50, mask.shape, generator=torch.Generator().manual_seed(1))
    return {"input_ids": torch.where(mask == 1, ids, 1), "attention_mask": mask}


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_layer_loop_equals_output_hidden_states(
    family: str, padded: bool, attention: str, told: bool, small_backbone: Callable[[str], Path]
) -> None:
    backbone = load_backbone(str(small_backbone(family))).eval()
    backbone.encoder.set_attn_implementation(attention)
    batch = _batch(padded)
    with torch.inference_mode():
        expected = backbone.encoder(**batch, output_hidden_states=True).hidden_states
        state = backbone.embed(**batch, is_padded=padded if told else None)
        assert torch.equal(state.hidden, expected[0])
        for index in range(backbone.num_layers):
            state = backbone.layer(index, state)
            assert torch.equal(state.hidden, expected[index + 1])
    assert len(expected) == backbone.num_layers + 1


def test_token_types_reach_the_embeddings(tiny_backbone: Path) -> None:
    backbone = load_backbone(str(tiny_backbone)).eval()
    batch = {"input_ids": torch.tensor([[5, 6, 7, 8]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}
    types = torch.tensor([[0, 0, 1, 1]])
    with torch.inference_mode():
        expected = backbone.encoder(**batch, token_type_ids=types, output_hidden_states=True).hidden_states
        state = backbone.embed(**batch, token_type_ids=types)
        assert torch.equal(state.hidden, expected[0])
        assert not torch.equal(state.hidden, backbone.embed(**batch).hidden)


@pytest.mark.parametrize(("padded", "is_padded"), [(True, True), (True, None), (False, False), (False, None)])
def test_selected_samples_go_on_as_before(padded: bool, is_padded: bool | None, tiny_backbone: Path) -> None:
    backbone = load_backbone(str(tiny_backbone)).eval()
    batch = _batch(padded)
    batch["input_ids"] = batch["input_ids"] % 30
    kept = torch.tensor([2, 0])
    with torch.inference_mode():
        state = backbone.layer(0, backbone.embed(**batch))
        whole = backbone.layer(1, state).hidden
        part = backbone.layer(1, backbone.state(state.hidden[kept], state.padding_mask[kept], is_padded=is_padded))
    torch.testing.assert_close(part.hidden, whole[kept])
    assert torch.equal(part.padding_mask, batch["attention_mask"][kept])


def test_unknown_family_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    DistilBertConfig(n_layers=1, dim=8, n_heads=1, hidden_dim=8).save_pretrained(tmp_path)
    with pytest.raises(BackboneError, match=r"'distilbert' is not known[\s\S]*bert, camembert, electra"):
        load_backbone(str(tmp_path))


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_incomplete_folder_names_the_folder(missing: str, tiny_backbone: Path, tmp_path: Path) -> None:
    for file in tiny_backbone.iterdir():
        if file.name != missing:
            (tmp_path / file.name).symlink_to(file)
    with pytest.raises(BackboneError, match=str(tmp_path)) as error:
        load_backbone(str(tmp_path))
    assert "model.safetensors" in str(error.value)


def test_damaged_weights_are_refused(tiny_backbone: Path, tmp_path: Path) -> None:
    for file in tiny_backbone.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: 1000 if file.suffix == ".safetensors" else None])
    with pytest.raises(BackboneError, match="can't be loaded"):
        load_backbone(str(tmp_path))


def test_weights_of_fewer_layers_are_refused(tiny_backbone: Path, tmp_path: Path) -> None:
    for file in tiny_backbone.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = BertConfig.from_pretrained(tiny_backbone)
    config.num_hidden_layers = 5
    config.save_pretrained(tmp_path)
    with pytest.raises(BackboneError, match=r"lack 32 tensors of the model, such as encoder.layer.3"):
        load_backbone(str(tmp_path))


def test_hub_out_of_reach_names_the_ways_out() -> None:
    with pytest.raises(BackboneError, match=r"google-bert/none-such[\s\S]*local folder[\s\S]*packaged:"):
        load_backbone("google-bert/none-such")
