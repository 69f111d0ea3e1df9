"""Adapters on the backbone: trained alone, merged wherever the model predicts."""

import json
import shutil
from collections.abc import Callable
from math import inf
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from ee_lightning.cli import main
from ee_lightning.errors import BackboneError, OptionError
from ee_lightning.functional import Target
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.models.lora import LoraOptions, add_adapters, merge_adapters, merged, train_adapters_alone
from ee_lightning.runs import RunFolder
from ee_lightning.runs.load_run import RunOptions, read_model
from ee_lightning.training import EarlyExitModule

TEXTS = ["a lovely film", "the dull plot was very very boring", "quite funny"]
IDS = torch.tensor([[2, 7, 9, 11, 3], [2, 8, 3, 6, 3]])  # [batch, length]
OPTIONS = LoraOptions(r=4, alpha=12, targets=("query", "value"))


def adapted(backbone: Path) -> MultiExitModel:
    """Return a model whose adapters do something."""
    torch.manual_seed(5)
    model = MultiExitModel(load_backbone(str(backbone)), Target.of(2), HeadOptions()).eval()
    add_adapters(model.backbone.encoder, OPTIONS)
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def says(model: MultiExitModel) -> torch.Tensor:
    with torch.inference_mode():
        return model(IDS, torch.ones_like(IDS)).logits  # [exits, batch, classes]


def test_merged_adapters_say_what_adapters_said(tiny_backbone: Path) -> None:
    model = adapted(tiny_backbone)
    expected, tensors = says(model), model.state_dict()
    plain = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), HeadOptions()).eval()
    plain.load_state_dict(merged(tensors, OPTIONS, "here"))
    assert says(plain).allclose(expected, atol=1e-5)
    merge_adapters(model)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert says(model).allclose(expected, atol=1e-5)


def test_only_adapters_are_trained_of_a_backbone(tiny_backbone: Path) -> None:
    model = adapted(tiny_backbone)
    train_adapters_alone(model.backbone, trains=True)
    trained = {name for name, parameter in model.backbone.named_parameters() if parameter.requires_grad}
    assert len(trained) == 2 * 2 * 3  # two matrices, two targets, three layers
    assert all(".lora_" in name for name in trained)
    train_adapters_alone(model.backbone, trains=False)
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())


def test_half_an_adapter_is_an_error(tiny_backbone: Path) -> None:
    tensors = adapted(tiny_backbone).state_dict()
    name = next(name for name in tensors if "lora_B" in name)
    with pytest.raises(BackboneError, match="the adapters are not those"):
        merged({each: tensor for each, tensor in tensors.items() if each != name}, OPTIONS, "here")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"r": 0}, "model.lora.r is 0"),
        ({"alpha": 0.0}, r"alpha must lie in \(0, inf\)"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\)"),
        ({"targets": "query"}, "targets is 'query'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        LoraOptions(**options)


@pytest.mark.parametrize(
    ("family", "targets", "said"),
    [
        ("bert", ("q_proj",), "q_proj"),
        ("bert", ("query", "word_embeddings"), "not linear: embeddings.word_embeddings"),
        ("bert", ("position_embeddings",), "not linear: embeddings.position_embeddings"),
        ("deberta-v2", ("conv",), "not linear: encoder.conv, encoder.conv.conv"),
        ("deberta-v2", ("query_proj", "encoder.rel_embeddings"), "not linear: encoder.rel_embeddings"),
    ],
)
def test_targets_that_are_no_linear_modules_name_those_that_are_there(
    family: str, targets: tuple[str, ...], said: str, small_backbone: Callable[..., Path]
) -> None:
    encoder = load_backbone(str(small_backbone(family))).encoder
    linear = {name.rpartition(".")[2] for name, each in encoder.named_modules() if isinstance(each, torch.nn.Linear)}
    with pytest.raises(OptionError, match=f"adapters can't be put there: .*{said}") as error:
        add_adapters(encoder, LoraOptions(targets=targets))
    assert error.value.hint == f"name some of this encoder's linear modules: {', '.join(sorted(linear))}"


def check_adapter_folder(run, backbone, tmp_path, merged_one, capsys) -> None:
    """Save a run's adapters in place of its backbone, as a command, and load them here and by `peft`."""
    base, folder = tmp_path / "runs" / "base", tmp_path / "adapter"
    command = ["save", str(run), str(folder), "--criterion", "confidence", "--threshold", "inf"]
    assert main([*command, "--as-adapter"]) == 0
    assert EarlyExitPredictor.from_pretrained(folder)(TEXTS) == merged_one(TEXTS)
    tensors = load_file(folder / "early_exit.safetensors")
    assert all(name.startswith("heads.") for name in tensors)
    encoder = PeftModel.from_pretrained(AutoModel.from_pretrained(backbone), folder).merge_and_unload()
    expected = merged_one.model.backbone.encoder.state_dict()
    found = {name: tensor for name, tensor in encoder.state_dict().items() if not name.startswith("pooler.")}
    assert found.keys() == expected.keys()
    assert all(tensor.allclose(expected[name], atol=1e-6) for name, tensor in found.items())
    shutil.copytree(backbone, base)
    weights = load_file(base / "model.safetensors")
    weights["encoder.layer.0.output.dense.bias"] += 1
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    of_base = (folder / "adapter_base.json").read_text()
    (folder / "adapter_base.json").write_text(of_base.replace(str(backbone), str(base)))
    with pytest.raises(BackboneError, match=r"the adapters are for other weights than those that .*base has now"):
        EarlyExitPredictor.from_pretrained(folder)
    assert main(command) == 0
    assert not list(folder.glob("adapter_*"))
    assert EarlyExitPredictor.from_pretrained(folder)(TEXTS) == merged_one(TEXTS)
    assert main(["save", str(folder), str(tmp_path / "none"), "--as-adapter"]) == 1
    assert "only a run has adapters of its own" in capsys.readouterr().err


@pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
)  # which PeftModel asks for
def test_a_run_trains_adapters_and_heads_and_predicts_without_peft(
    tiny_backbone: Path, glue_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"run.root": tmp_path / "runs", "data.root": glue_folder, "data.task": "sst2", "data.max_length": 32}
    options |= {"model.backbone": tiny_backbone, "trainer.max_epochs": 1, "trainer.limit_train_batches": 3}
    options |= {"model.lora.r": 4, "model.lora.targets": "[query, value]", "model.optimization.learning_rate": 1e-2}
    options |= {"trainer.accelerator": "cpu", "trainer.enable_progress_bar": "false", "trainer.log_every_n_steps": 1}
    options |= {"trainer.enable_model_summary": "false"}
    flags = [f"--{name}={value}" for name, value in options.items()]
    assert main(["fit", *flags]) == 0
    run = tmp_path / "runs/run/version_0"
    model = read_model(RunFolder(run), RunOptions.read(RunFolder(run)))
    before = load_backbone(str(tiny_backbone)).state_dict()
    changed = {name for name, tensor in model.backbone.state_dict().items() if not tensor.equal(before[name])}
    assert changed
    assert all(name.endswith(("query.weight", "value.weight")) for name in changed)
    adapters, heads = 3 * 2 * 2 * 4 * 32, sum(each.numel() for each in model.heads.parameters())
    total = sum(each.numel() for each in model.parameters()) + adapters
    told = f"trained: {adapters + heads:,} of {total:,} parameters ({(adapters + heads) / total:.1%})"
    assert told in capsys.readouterr().out
    predictor = EarlyExitPredictor.from_run(run, criterion="confidence", threshold=inf)
    predictor.save_pretrained(tmp_path / "model")
    saved = EarlyExitPredictor.from_pretrained(tmp_path / "model")
    assert saved(TEXTS) == predictor(TEXTS)
    check_adapter_folder(run, tiny_backbone, tmp_path, saved, capsys)
    (checkpoint,) = [file for file in (run / "checkpoints").glob("*.ckpt") if file.name != "last.ckpt"]
    module = EarlyExitModule.load_from_checkpoint(checkpoint).eval()
    with torch.inference_mode():
        said = module.model(IDS, torch.ones_like(IDS)).logits
    assert says(model).allclose(said, atol=1e-5)
    assert main(["fit", *flags, "--model.optimization.freeze_backbone=true"]) == 1
    assert "the backbone is frozen, and its adapters with it" in capsys.readouterr().err
    assert main(["fit", *flags, "--model.lora.targets=[word_embeddings]"]) == 1
    assert "these modules are not linear: embeddings.word_embeddings" in capsys.readouterr().err


def test_an_adapter_is_no_backbone_until_it_is_merged(tiny_backbone: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tiny_backbone)}))
    with pytest.raises(BackboneError, match=r"this is a PEFT adapter[\s\S]*merge_and_unload"):
        load_backbone(str(tmp_path))
    (tmp_path / "early_exit.json").write_text("{}")  # as of save --as-adapter
    with pytest.raises(BackboneError, match=r"this is a PEFT adapter[\s\S]*ee-lightning save .* FOLDER"):
        load_backbone(str(tmp_path))
