"""Exits that start from what the weights already know."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification

from ee_lightning.data.encoding import load_tokenizer
from ee_lightning.errors import OptionError
from ee_lightning.exits import Confidence, spec_of
from ee_lightning.functional import Target
from ee_lightning.inference import Deployment, EarlyExitPredictor, ExitPolicy
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.models.warm_start import start_heads

LABELS = ("no", "maybe", "yes")
IDS = torch.tensor([[2, 7, 9, 11, 3], [2, 8, 3, 6, 3]])  # [batch, length]
SmallBackbone = Callable[..., Path]


def classifier(folder: Path, source: Path, labels: tuple[str, ...] = LABELS) -> tuple[str, Tensor]:
    """Write a classifier with the encoder's sizes, and return its folder and what it says of two rows."""
    config = AutoConfig.from_pretrained(source, id2label=dict(enumerate(labels)), num_labels=len(labels))
    torch.manual_seed(3)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    with torch.inference_mode():
        return str(folder), model(IDS, torch.ones_like(IDS)).logits


def model_of(source: str, heads: HeadOptions = HeadOptions(), num_layers: int | None = None) -> MultiExitModel:
    return MultiExitModel(load_backbone(source, num_layers), Target.of(3), heads).eval()


def last_says(model: MultiExitModel) -> Tensor:
    with torch.inference_mode():
        return model(IDS, torch.ones_like(IDS)).logits[-1]


@pytest.mark.parametrize("family", ["bert", "albert", "roberta", "mpnet"])
@pytest.mark.parametrize("pooler", ["per_exit", "shared"])
def test_the_last_exit_says_what_the_classifier_said(
    family: str, pooler: str, small_backbone: SmallBackbone, tmp_path: Path
) -> None:
    source, expected = classifier(tmp_path, small_backbone(family))
    model = model_of(source, HeadOptions(pooler=pooler))
    assert not last_says(model).allclose(expected, atol=1e-3)
    said = start_heads(model, source, None, ("Yes", "no", "maybe"), required=True)
    assert said == "the fine-tuned classifier, the last exit's head, is kept"
    assert last_says(model).allclose(expected[:, [2, 0, 1]], atol=1e-5)


def test_labels_of_other_words_keep_their_order_and_are_told(tiny_backbone: Path, tmp_path: Path) -> None:
    source, expected = classifier(tmp_path, tiny_backbone)
    model = model_of(source)
    said = start_heads(model, source, None, ("0", "1", "2"), required=False)
    assert said.endswith("is kept, its labels no, maybe, yes as 0, 1, 2")
    assert last_says(model).allclose(expected, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "options", "num_layers", "labels", "reason"),
    [
        ("distilbert", {}, None, LABELS, "that of distilbert has another form than an exit"),
        ("bert", {"pooling": "mean"}, None, LABELS, "it takes the first token, and the exits the mean"),
        ("bert", {}, 1, LABELS, "it stands after the last layer, and the first 1 are kept"),
        ("bert", {}, None, ("no", "yes"), "it has 2 outputs, and the task 3"),
    ],
    ids=["family", "pooling", "layers", "classes"],
)
def test_what_does_not_fit_is_told_or_refused(
    family: str,
    options: dict,
    num_layers: int | None,
    labels: tuple[str, ...],
    reason: str,
    small_backbone: SmallBackbone,
    tmp_path: Path,
) -> None:
    source, _ = classifier(tmp_path, small_backbone(family), labels)
    model = model_of(source, HeadOptions(**options), num_layers)
    before = {name: tensor.clone() for name, tensor in model.heads.state_dict().items()}
    said = start_heads(model, source, num_layers, LABELS, required=False)
    assert said == f"new heads: the fine-tuned classifier can't be kept: {said.partition('kept: ')[2]}"
    assert reason in said
    assert all(tensor.equal(before[name]) for name, tensor in model.heads.state_dict().items())
    with pytest.raises(OptionError, match=r"can't be kept[\s\S]*leave --model.keep_heads out"):
        start_heads(model, source, num_layers, LABELS, required=True)


def test_weights_without_a_classifier_have_nothing_to_keep(tiny_backbone: Path) -> None:
    assert start_heads(model_of(str(tiny_backbone)), str(tiny_backbone), None, LABELS, required=False) is None
    with pytest.raises(OptionError, match="these weights have no classifier"):
        start_heads(model_of(str(tiny_backbone)), str(tiny_backbone), None, LABELS, required=True)


def test_a_saved_model_is_gone_on_with_at_all_exits(tiny_backbone: Path, tmp_path: Path) -> None:
    torch.manual_seed(4)
    heads = HeadOptions(pooling="mean")
    saved = model_of(str(tiny_backbone), heads)
    for parameter in saved.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    rule = ExitPolicy(spec_of(Confidence()), 0.9)
    deployment = Deployment("mood", ("text",), LABELS, 3, 3, 24, heads, rule)
    tokenizer = load_tokenizer(str(tiny_backbone))
    EarlyExitPredictor(saved, tokenizer, deployment, device="cpu").save_pretrained(tmp_path / "model")
    source = str(tmp_path / "model")
    with torch.inference_mode():
        expected = saved(IDS, torch.ones_like(IDS)).logits  # [exits, batch, classes]
    again = model_of(source, heads)
    assert start_heads(again, source, None, ("maybe", "no", "yes"), required=True) == "the saved model's heads are kept"
    with torch.inference_mode():
        assert again(IDS, torch.ones_like(IDS)).logits.allclose(expected[..., [1, 0, 2]], atol=1e-5)
    assert load_backbone(source, 2).num_layers == 2
    others = model_of(source, HeadOptions(exits=(1, 3), pooling="mean"))
    said = start_heads(others, source, None, LABELS, required=False)
    assert said.startswith("new heads: the saved model's heads can't be kept: these exits are others")
