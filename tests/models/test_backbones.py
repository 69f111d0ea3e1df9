"""Every family, stepped layer by layer, against the model's own hidden states, bit for bit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families import EAGER_ALONE
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForMaskedLM, BertConfig

from ee_lightning.errors import BackboneError, OptionError
from ee_lightning.models.backbones import FAMILIES, BertBackbone
from ee_lightning.models.backbones.backbone import Backbone
from ee_lightning.models.backbones.loading import backbone_config, load_backbone

Make = Callable[..., Path]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((family, {}) for family in sorted(FAMILIES)),
    ("albert", {"num_hidden_groups": 2}),
    ("albert", {"num_hidden_layers": 3, "num_hidden_groups": 3, "inner_group_num": 2}),
    ("deberta-v2", {"conv_kernel_size": 0, "share_att_key": False, "position_buckets": -1, "norm_rel_ebd": "none"}),
    ("deberta-v2", {"relative_attention": False, "position_biased_input": True, "pos_att_type": None}),
    ("modernbert", {"local_attention": 64}),  # more than there are tokens
    ("mobilebert", {"use_bottleneck_attention": True, "normalization_type": "layer_norm"}),
]
each_variant = pytest.mark.parametrize(("family", "fields"), VARIANTS, ids=lambda part: str(part))


def _batch(padded: bool = True, pad: int = 1) -> dict[str, Tensor]:
    lengths = [9, 4, 7] if padded else [9, 9, 9]
    mask = (torch.arange(9)[None] < torch.tensor(lengths)[:, None]).long()  # [batch, length]
    ids = torch.randint(5, 50, mask.shape, generator=torch.Generator().manual_seed(1))
    return {"input_ids": torch.where(mask == 1, ids, pad), "attention_mask": mask}


def _stepped(backbone: Backbone, batch: dict[str, Tensor], is_padded: bool | None = None) -> list[Tensor]:
    """Return the hidden states before the first layer and after each."""
    state = backbone.embed(**batch, is_padded=is_padded)
    states = [state.hidden]
    for index in range(backbone.num_layers):
        state = backbone.layer(index, state)
        states.append(state.hidden)
    return states


def _own(backbone: Backbone, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Return the same as the model itself does."""
    return backbone.encoder(**batch, output_hidden_states=True).hidden_states


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize(
    ("family", "fields", "attention"),
    [
        (family, fields, attention)
        for attention in ("eager", "sdpa")
        for family, fields in VARIANTS
        if attention == "eager" or family not in EAGER_ALONE
    ],
    ids=lambda part: str(part),
)
@torch.inference_mode()
def test_layer_loop_equals_output_hidden_states(
    family: str, fields: dict[str, Any], padded: bool, attention: str, told: bool, small_backbone: Make
) -> None:
    backbone = load_backbone(str(small_backbone(family, **fields))).eval()
    if family not in EAGER_ALONE:
        backbone.encoder.set_attn_implementation(attention)
    batch = _batch(padded, backbone.encoder.config.pad_token_id)
    stepped, own = _stepped(backbone, batch, padded if told else None), _own(backbone, batch)
    assert len(stepped) == len(own)
    for index, (hidden, expected) in enumerate(zip(stepped, own, strict=True)):
        assert torch.equal(hidden, expected), index


@each_variant
def test_gradients_are_the_models_own(family: str, fields: dict[str, Any], small_backbone: Make) -> None:
    backbone = load_backbone(str(small_backbone(family, **fields))).eval()
    batch = _batch(pad=backbone.encoder.config.pad_token_id)
    gradients = []
    for hidden in (_stepped(backbone, batch)[1:], _own(backbone, batch)[1:]):
        loss = sum(torch.sin(each * 7 + layer)[batch["attention_mask"] == 1].sum() for layer, each in enumerate(hidden))
        named = dict(backbone.named_parameters())
        found = torch.autograd.grad(loss, list(named.values()), materialize_grads=True)  # type: ignore[arg-type]
        gradients.append(dict(zip(named, found, strict=True)))
    for name, gradient in gradients[0].items():  # of layers that share weights the sum over their runs
        torch.testing.assert_close(gradient, gradients[1][name], msg=name)


@pytest.mark.parametrize("is_padded", [True, None])
@each_variant
@torch.inference_mode()
def test_selected_and_trimmed_samples_go_on_as_before(
    family: str, fields: dict[str, Any], is_padded: bool | None, small_backbone: Make
) -> None:
    backbone = load_backbone(str(small_backbone(family, **fields))).eval()
    whole = _stepped(backbone, _batch())
    for first in range(backbone.num_layers):
        mask = _batch()["attention_mask"][[2, 1], :7]  # [2, 7]
        state = backbone.state(whole[first][[2, 1], :7], mask, is_padded=is_padded)
        assert torch.equal(state.padding_mask, mask)
        for index in range(first, backbone.num_layers):
            state = backbone.layer(index, state)
            real = mask == 1
            torch.testing.assert_close(state.hidden[real], whole[index + 1][[2, 1], :7][real])


@pytest.mark.parametrize("is_padded", [False, None])
@each_variant
@torch.inference_mode()
def test_a_sample_alone_goes_on_as_before(
    family: str, fields: dict[str, Any], is_padded: bool | None, small_backbone: Make
) -> None:
    backbone = load_backbone(str(small_backbone(family, **fields))).eval()
    whole = _stepped(backbone, _batch())
    state = backbone.state(whole[0][1:2, :4], torch.ones(1, 4).long(), is_padded=is_padded)
    for index in range(backbone.num_layers):
        state = backbone.layer(index, state)
        torch.testing.assert_close(state.hidden, whole[index + 1][1:2, :4])


@each_variant
@torch.inference_mode()
def test_what_fills_the_padding_does_not_matter(family: str, fields: dict[str, Any], small_backbone: Make) -> None:
    backbone = load_backbone(str(small_backbone(family, **fields))).eval()
    torch.nn.init.normal_(backbone.encoder.get_input_embeddings().weight)  # also of the padding token, as on the hub
    real = _batch()["attention_mask"] == 1
    for one, other in zip(_stepped(backbone, _batch(pad=3)), _stepped(backbone, _batch(pad=4)), strict=True):
        torch.testing.assert_close(one[real], other[real])


@pytest.mark.parametrize(
    ("family", "fields"),
    [("albert", {}), ("bert", {}), ("electra", {}), ("mobilebert", {}), ("deberta-v2", {"type_vocab_size": 2})],
)
@torch.inference_mode()
def test_token_types_reach_the_embeddings(family: str, fields: dict[str, Any], small_backbone: Make) -> None:
    backbone = load_backbone(str(small_backbone(family, **fields))).eval()
    batch = {"input_ids": torch.tensor([[5, 6, 7, 8]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}
    types = torch.tensor([[0, 0, 1, 1]])
    state = backbone.embed(**batch, token_type_ids=types)
    assert torch.equal(state.hidden, _own(backbone, {**batch, "token_type_ids": types})[0])
    assert not torch.equal(state.hidden, backbone.embed(**batch).hidden)


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("roberta", {"type_vocab_size": 1}),
        ("xlm-roberta", {"type_vocab_size": 1}),
        ("camembert", {"type_vocab_size": 1}),
        ("deberta-v2", {}),
        ("distilbert", {}),  # whose tokenizer gives them nevertheless
        ("modernbert", {}),
        ("mpnet", {}),
    ],
)
@torch.inference_mode()
def test_a_family_without_token_types_is_given_none(family: str, fields: dict[str, Any], small_backbone: Make) -> None:
    backbone = load_backbone(str(small_backbone(family, **fields))).eval()
    batch = _batch()
    types = torch.ones_like(batch["input_ids"])
    assert torch.equal(backbone.embed(**batch, token_type_ids=types).hidden, backbone.embed(**batch).hidden)


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_the_first_layers_are_those_of_the_whole(family: str, small_backbone: Make, tmp_path: Path) -> None:
    folder = str(small_backbone(family))
    whole, short = load_backbone(folder).eval(), load_backbone(folder, 3).eval()
    tensors = whole.encoder.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in short.encoder.state_dict().items())
    stepped, own = _stepped(short, _batch(pad=0)), _own(short, _batch(pad=0))
    expected = [*_own(whole, _batch(pad=0))[:3], own[3]]  # after which the last layer's norm may be now
    for hidden, there in zip(stepped, expected, strict=True):
        assert torch.equal(hidden, there)
    short.encoder.save_pretrained(tmp_path)
    named = {"_name_or_path": str(tmp_path)}
    assert backbone_config(str(tmp_path)).to_dict() == short.encoder.config.to_dict() | named
    again = load_backbone(str(tmp_path)).eval()
    assert torch.equal(_stepped(again, _batch(pad=0))[-1], stepped[-1])


@pytest.mark.parametrize("num_layers", [1, 2, 3, 4])
def test_an_albert_of_several_groups_keeps_what_its_layers_share(num_layers: int, small_backbone: Make) -> None:
    folder = str(small_backbone("albert", num_hidden_groups=2))
    whole, short = load_backbone(folder).eval(), load_backbone(folder, num_layers).eval()
    with torch.inference_mode():
        assert torch.equal(_stepped(short, _batch())[-1], _own(whole, _batch())[num_layers])
    assert len(short.encoder.encoder.albert_layer_groups) == (1 if num_layers < 3 else 2)


def test_an_albert_has_no_groups_of_unequal_size(small_backbone: Make) -> None:
    with pytest.raises(OptionError, match=r"4 layers are to be kept .* 2 groups of 1[\s\S]*give one of 1, 2, 3, 5, 6"):
        load_backbone(str(small_backbone("albert", num_hidden_layers=6, num_hidden_groups=2)), 4)
    six = str(small_backbone("albert", num_hidden_layers=3, num_hidden_groups=3, inner_group_num=2))
    with pytest.raises(OptionError, match=r"3 groups of 2[\s\S]*give one of 2, 4, 6"):
        load_backbone(six, 5)
    with pytest.raises(OptionError, match=r"7 layers are to be kept of 6[\s\S]*from 1 to 6"):
        load_backbone(six, 7)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_a_language_model_are_found(family: str, small_backbone: Make, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AutoModelForMaskedLM.from_config(backbone_config(str(small_backbone(family))))
    model.save_pretrained(tmp_path)
    tensors = load_backbone(str(tmp_path)).encoder.state_dict()
    expected = {name: tensor for name, tensor in model.base_model.state_dict().items() if "pooler" not in name}
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors.items())


def test_an_adapter_serves_its_families_as_soon_as_it_is_defined(
    small_backbone: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(FAMILIES, "bert")
    folder = str(small_backbone("bert"))
    with pytest.raises(BackboneError, match="'bert' is not known"):
        load_backbone(folder)

    class Own(BertBackbone):
        families = ("bert",)

    class NamesNone(Own):
        pass

    assert type(load_backbone(folder)) is Own
    assert FAMILIES["roberta"] is BertBackbone


@pytest.mark.parametrize("family", ["gpt2", "of-tomorrow"])
def test_unknown_family_is_refused_with_the_known_ones(family: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    with pytest.raises(BackboneError, match=rf"'{family}' is not known[\s\S]*docs/extend/backbone\.md") as error:
        load_backbone(str(tmp_path))
    assert str(tmp_path) in str(error.value)
    assert all(f" {known}," in str(error.value) for known in FAMILIES)
    assert (Path(__file__).parents[2] / "docs/extend/backbone.md").is_file()


def test_a_configuration_without_a_family_is_refused(tiny_backbone: Path, tmp_path: Path) -> None:
    for file in tiny_backbone.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    fields = json.loads((tmp_path / "config.json").read_text())
    del fields["model_type"]
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(BackboneError, match=r"names no model_type[\s\S]*one of albert, bert") as error:
        load_backbone(str(tmp_path))
    assert str(tmp_path) in str(error.value)


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


@each_variant
@torch.inference_mode()
def test_positions_are_counted_as_far_as_there_are_any(
    family: str, fields: dict[str, Any], small_backbone: Make
) -> None:
    backbone = load_backbone(str(small_backbone(family, **fields))).eval()
    most = backbone.max_length or 100

    def embed(length: int) -> Tensor:
        tokens = torch.full((1, length), 5)
        return backbone.embed(tokens, torch.ones_like(tokens)).hidden

    assert embed(most).shape[1] == most
    if backbone.max_length is not None:
        with pytest.raises((IndexError, RuntimeError)):
            embed(most + 1)


@pytest.mark.parametrize("weights", ["beside", "alone"])
def test_an_adapter_is_refused_with_the_way_out(weights: str, tiny_backbone: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_backbone, tmp_path / "model") if weights == "beside" else tmp_path
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "task_type": "SEQ_CLS"}')
    with pytest.raises(BackboneError, match=r"this is a PEFT adapter[\s\S]*merge_and_unload\(\).save_pretrained"):
        load_backbone(str(folder))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"num_hidden_layers": 10**6}, r"says 1000000 layers, but the weights are only \d+ tensors"),
        (
            {"vocab_size": 10**15},
            r"word_embeddings.weight has the shape .* in the weights, and \[1000000000000000, 32\]",
        ),
        ({"hidden_size": 2**20}, r"has the shape .* in the weights"),
        ({"num_labels": 10**12, "num_hidden_layers": 10**6}, "says 1000000 layers"),
        ({"attn_implementation": "flash_attention_2"}, "asks for the attention 'flash_attention_2'"),
        ({"_attn_implementation": "someone/kernels"}, "asks for the attention 'someone/kernels'"),
        ({"hidden_act": "gleu"}, r"hidden_act in config.json is 'gleu'[\s\S]*did you mean gelu\?"),
        ({"hidden_act": None}, "hidden_act in config.json is 'None'"),
        ({"is_decoder": True}, r"that of a decoder \(is_decoder\)[\s\S]*write false there"),
        ({"num_hidden_layers": 2}, r"no place for 16 tensors .* encoder.layer.2[\s\S]*--model.num_layers"),
    ],
)
def test_a_configuration_of_other_sizes_or_layers_is_refused_at_once(
    changes: dict[str, Any], match: str, tiny_backbone: Path, tmp_path: Path
) -> None:
    with pytest.raises(BackboneError, match=match):
        load_backbone(str(_changed(tiny_backbone, tmp_path, changes)))


@pytest.mark.parametrize(
    ("family", "changes", "match"),
    [
        ("roberta", {"pad_token_id": None}, r"no pad_token_id, behind which roberta counts positions"),
        ("distilbert", {"activation": "foo"}, "activation in config.json is 'foo'"),
        ("modernbert", {"hidden_activation": "foo"}, "hidden_activation in config.json is 'foo'"),
        ("deberta-v2", {"conv_act": "foo"}, "conv_act in config.json is 'foo'"),
        ("mobilebert", {"num_feedforward_networks": 1}, r"no place for 24 tensors .* encoder.layer.0.ffn.0"),
    ],
)
def test_a_configuration_that_no_layer_of_the_family_runs_is_refused(
    family: str, changes: dict[str, Any], match: str, small_backbone: Make, tmp_path: Path
) -> None:
    with pytest.raises(BackboneError, match=match):
        load_backbone(str(_changed(small_backbone(family), tmp_path, changes)))


def test_a_table_without_rows_is_refused(tiny_backbone: Path, tmp_path: Path) -> None:
    folder = _changed(tiny_backbone, tmp_path, {"type_vocab_size": 0})
    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.token_type_embeddings.weight"] = torch.empty(0, 32)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match=r"the table embeddings\.token_type_embeddings has no rows"):
        load_backbone(str(folder))


@pytest.mark.parametrize("num_layers", [None, 1, 2])
def test_what_a_layer_would_not_use_is_refused_whether_or_not_others_are_left_out(
    num_layers: int | None, tiny_backbone: Path, tmp_path: Path
) -> None:
    folder = _changed(tiny_backbone, tmp_path, {"position_embedding_type": "relative_key"})
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.1.attention.self.distance_embedding.weight"] = torch.ones(127, 16)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    if num_layers == 1:
        assert load_backbone(str(folder), num_layers).num_layers == 1
    else:
        with pytest.raises(BackboneError, match=r"no place for 1 tensor .* encoder.layer.1.*distance_embedding"):
            load_backbone(str(folder), num_layers)


def test_weights_of_more_layers_are_taken_where_the_number_is_given(tiny_backbone: Path, tmp_path: Path) -> None:
    folder = _changed(tiny_backbone, tmp_path, {"num_hidden_layers": 2})
    assert load_backbone(str(folder), 2).num_layers == 2


def _changed(backbone: Path, tmp_path: Path, changes: dict[str, Any]) -> Path:
    """Return a copy of a backbone whose configuration has other fields."""
    folder = shutil.copytree(backbone, tmp_path / "model")
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(fields | changes))
    return folder


def test_attention_of_torch_is_taken_from_a_configuration(tiny_backbone: Path, tmp_path: Path) -> None:
    folder = _changed(tiny_backbone, tmp_path, {"attn_implementation": "eager"})
    assert load_backbone(str(folder)).encoder.config._attn_implementation == "eager"


def test_pretrained_weights_that_are_not_finite_are_refused(tiny_backbone: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_backbone, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.1.output.dense.bias"][0] = torch.nan
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match=r"not finite: .* encoder.layer.1.output.dense.bias"):
        load_backbone(str(folder))
