"""One folder that holds a deployed model: bit for bit the same elsewhere, and one message where it is not whole."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, BertModel, pipeline

from ee_lightning.cli import main
from ee_lightning.data.encoding import load_tokenizer
from ee_lightning.errors import BackboneError, EarlyExitError, OptionError, RunFolderError
from ee_lightning.exits import Confidence, Conformal, Criterion, Gate, QExit, StoredExits, Voting
from ee_lightning.exits.naming import spec_of
from ee_lightning.functional import Target
from ee_lightning.inference import Deployment, EarlyExitPredictor, ExitPolicy
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.runs.folder import RunFolder

Trained = Callable[..., Path]
FILES = {"config.json", "early_exit.json", "early_exit.safetensors", "tokenizer.json", "tokenizer_config.json"}
CARD = {"README.md", "curves.png"}
TEXTS = ["a lovely film", "the dull plot was very very boring", "", "quite funny"] * 5


@pytest.fixture(scope="module")
def original(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> EarlyExitPredictor:
    run = shutil.copytree(trained("sst2"), tmp_path_factory.mktemp("runs") / "version_0")
    assert main(["choose", str(run), "--criterion", "voting(k=0.5)", "--min-speedup", "1.2"]) == 0
    return EarlyExitPredictor.from_run(run, keep_trail=True)


@pytest.fixture(scope="module")
def saved(original: EarlyExitPredictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    original.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """Return a copy of a saved model, which may be changed."""
    return shutil.copytree(saved, tmp_path / "model")


def test_a_saved_model_predicts_the_same_bit_for_bit(
    original: EarlyExitPredictor, folder: Path, tmp_path: Path
) -> None:
    assert {file.name for file in folder.iterdir()} == FILES | CARD
    again = EarlyExitPredictor.from_pretrained(shutil.move(folder, tmp_path / "elsewhere"), keep_trail=True)
    assert again.deployment == original.deployment
    assert again.deployment.rule.operating_point is not None
    assert again(TEXTS) == original(TEXTS)
    again.save_pretrained(tmp_path / "twice")
    for name in FILES:
        assert (tmp_path / "twice" / name).read_bytes() == (tmp_path / "elsewhere" / name).read_bytes()


@pytest.mark.parametrize(
    ("heads", "num_layers", "criterion", "threshold"),
    [
        ({"pooler": "shared", "pooling": "cls"}, 2, Voting(fallback="majority"), 1.1),
        ({"gate": True, "pooling": "mean"}, None, Gate(), -0.5),
        ({"gate": "deep", "pooling": "mean"}, None, QExit(), 0.6),
        ({"gate": "per_exit", "pooling": "mean"}, None, Gate(), -0.5),
        ({"exits": "last"}, None, Voting(), inf),
        ({"exits": (1, 3)}, None, Voting(), 1.2),
        ({"pooling": "mean"}, None, Conformal(), 0.5),
    ],
    ids=["shared pooler, 2 layers", "gate", "deep gate", "gates of exits", "one exit", "placed exits", "fitted"],
)
def test_every_kind_of_model_comes_back(
    heads: dict, num_layers: int | None, criterion: Criterion, threshold: float, tiny_backbone: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    options = HeadOptions(**heads)
    model = MultiExitModel(load_backbone(str(tiny_backbone), num_layers), Target.of(3), options)
    if isinstance(criterion, Conformal):
        logits = torch.randn(3, 30, 3, generator=torch.Generator().manual_seed(1))
        criterion.fit(StoredExits(logits, None, torch.arange(30)))
    deployment = Deployment(
        task="own",
        text_columns=("question", "answer"),
        label_names=("no", "perhaps", "yes"),
        num_classes=3,
        num_exits=model.num_exits,
        max_length=20,
        heads=options,
        rule=ExitPolicy(spec_of(criterion), threshold),
    )
    tokenizer = load_tokenizer(str(tiny_backbone))
    first = EarlyExitPredictor(model, tokenizer, deployment, keep_trail=True)
    first.save_pretrained(tmp_path)
    again = EarlyExitPredictor.from_pretrained(str(tmp_path), keep_trail=True)
    assert again.deployment == deployment
    pairs = TEXTS[::-1]
    assert again(TEXTS, pairs) == first(TEXTS, pairs)
    assert AutoConfig.from_pretrained(tmp_path).backbone["num_hidden_layers"] == (num_layers or 3)


def test_a_value_comes_back(trained: Trained, tmp_path: Path) -> None:
    first = EarlyExitPredictor.from_run(trained("stsb"), criterion="patience(tolerance=0.25)", threshold=1)
    first.save_pretrained(tmp_path)
    again = EarlyExitPredictor.from_pretrained(tmp_path)
    assert again(TEXTS, TEXTS) == first(TEXTS, TEXTS)
    assert again.deployment.label_names == ()


def test_the_rule_can_be_another_than_the_one_saved(original: EarlyExitPredictor, folder: Path) -> None:
    patient = EarlyExitPredictor.from_pretrained(folder, threshold=inf)
    assert patient.deployment.rule == ExitPolicy(original.deployment.rule.criterion, inf)
    assert {each.exit_layer for each in patient(TEXTS)} == {3}
    hasty = EarlyExitPredictor.from_pretrained(folder, criterion="confidence", threshold=0.0)
    assert {each.exit_layer for each in hasty(TEXTS)} == {1}
    with pytest.raises(OptionError, match="without a threshold"):
        EarlyExitPredictor.from_pretrained(folder, criterion="confidence")
    with pytest.raises(OptionError, match="conformal has to be fitted"):
        EarlyExitPredictor.from_pretrained(folder, criterion="conformal", threshold=0.5)


def test_a_newer_format_is_refused(folder: Path) -> None:
    file = folder / "early_exit.json"
    fields = json.loads(file.read_text())
    file.write_text(json.dumps({**fields, "format": 4, "version": "9.9", "shape": "round"}))
    with pytest.raises(
        RunFolderError, match=r"has format 4, written by ee_lightning 9.9, and .* reads format 3[\s\S]*install"
    ):
        EarlyExitPredictor.from_pretrained(folder)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"max_length": 1000}, r"max_length is 1000[\s\S]*where: max_length"),
        ({"max_length": "many"}, r"early_exit.json can't be read"),
        ({"label_names": ["one"]}, "as many `label_names` as classes"),
        ({"label_names": [0, 1]}, r"label_names\.0 is 0, and it should be a valid string"),
        ({"label_names": "ab"}, "label_names is 'ab', and it should be a valid "),
        ({"num_exits": 12}, r"is for 12 exits, and the model has 3[\s\S]*where: .*early_exit.json"),
        ({"text_columns": []}, "one or two of `text_columns`"),
        ({"heads": {"pooling": "max"}}, "early_exit.json can't be read"),
        ({"heads": {"pooler": "shared", "pooling": "mean"}}, "weights are of another model"),
        ({"rule": {}}, "early_exit.json can't be read: rule.criterion is missing"),
        ({"unknown": 1}, "early_exit.json can't be read"),
    ],
)
def test_a_deployment_that_makes_no_sense_is_refused(changes: dict, match: str, folder: Path) -> None:
    file = folder / "early_exit.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(EarlyExitError, match=match):
        EarlyExitPredictor.from_pretrained(folder)


def test_a_threshold_that_is_no_number_names_the_file(folder: Path) -> None:
    file = folder / "early_exit.json"
    fields = json.loads(file.read_text())
    fields["rule"]["threshold"] = nan
    file.write_text(json.dumps(fields))
    with pytest.raises(RunFolderError, match=r"the threshold is no number[\s\S]*where: .*early_exit.json"):
        EarlyExitPredictor.from_pretrained(folder)


@pytest.mark.parametrize("place", ["rule", "operating point"])
def test_a_file_imports_nothing(place: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "hostile_criterion.py").write_text("from ee_lightning.exits import Confidence as Own\n")
    file = folder / "early_exit.json"
    fields = json.loads(file.read_text())
    rule = fields["rule"] if place == "rule" else fields["rule"]["operating_point"]
    rule["criterion"] = {"class_path": "hostile_criterion.Own"}
    file.write_text(json.dumps(fields))
    with pytest.raises(RunFolderError, match=r"early_exit.json[\s\S]*hint: *import hostile_criterion beforehand"):
        EarlyExitPredictor.from_pretrained(folder)
    assert "hostile_criterion" not in sys.modules
    monkeypatch.setitem(sys.modules, "hostile_criterion", SimpleNamespace(Own=Confidence))  # imported by its owner
    assert EarlyExitPredictor.from_pretrained(folder)("a lovely film").label in {"negative", "positive"}


@pytest.mark.parametrize("name", sorted(FILES - {"tokenizer_config.json"}))
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_folder_that_is_not_whole_is_refused(damage: str, name: str, folder: Path) -> None:
    file = folder / name
    content = file.read_bytes()
    file.unlink()
    if damage == "truncated":
        file.write_bytes(content[: len(content) // 2])
    with pytest.raises((RunFolderError, BackboneError), match=rf"where: {folder}"):
        EarlyExitPredictor.from_pretrained(folder)


@pytest.mark.parametrize("change", ["lacks one", "has one more", "another shape"])
def test_every_tensor_is_needed_as_it_is(change: str, folder: Path) -> None:
    tensors = load_file(folder / "early_exit.safetensors")
    name = "heads.classifiers.1.weight"
    if change == "lacks one":
        del tensors[name]
    else:
        tensors[name if change == "another shape" else "heads.more"] = torch.zeros(2, 2)
    save_file(tensors, folder / "early_exit.safetensors")
    expected = {"lacks one": f"lack {name}", "has one more": "have, which the model lacks, heads.more"}
    with pytest.raises(BackboneError, match=expected.get(change, f"have in another shape {name}")):
        EarlyExitPredictor.from_pretrained(folder)


def test_what_is_nowhere_names_the_ways_out(tmp_path: Path) -> None:
    for name, more in (("nobody/no-model", "network"), ("runs/demo/version_9", ""), (str(tmp_path / "nothing"), "")):
        match = (
            rf"no such folder[\s\S]*hub[\s\S]*where: {name}[\s\S]*save_pretrained.*runs/demo/version_0, which.*{more}"
        )
        with pytest.raises(BackboneError, match=match):
            EarlyExitPredictor.from_pretrained(name)
    with pytest.raises(RunFolderError, match=r"no saved model[\s\S]*a config.yaml[\s\S]*from_run"):
        EarlyExitPredictor.from_pretrained(tmp_path)


def test_a_name_on_the_hub_is_downloaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(folder)

    monkeypatch.setattr("ee_lightning.inference.saved.snapshot_download", download)
    predictor = EarlyExitPredictor.from_pretrained("somebody/model")
    assert predictor("a lovely film").label in {"negative", "positive"}
    weights = ["early_exit.safetensors", "adapter_model.safetensors", "model.safetensors"]
    assert asked == [("somebody/model", ["*.json", *weights, "curves.png"])]


def test_a_file_is_no_folder(original: EarlyExitPredictor, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="can't be written"):
        original.save_pretrained(tmp_path / "file")


def test_the_run_folder_is_needed_no_longer(trained: Trained, tmp_path: Path) -> None:
    run = shutil.copytree(trained("rte"), tmp_path / "run")
    predictor = EarlyExitPredictor.from_run(run, criterion="voting", threshold=1.1)
    predictor.save_pretrained(tmp_path / "model")
    expected = predictor(TEXTS, TEXTS)
    assert not RunFolder(tmp_path / "model").checkpoints.exists()
    shutil.rmtree(run)
    assert EarlyExitPredictor.from_pretrained(tmp_path / "model")(TEXTS, TEXTS) == expected


@pytest.mark.parametrize("load", [AutoModel.from_pretrained, BertModel.from_pretrained, partial(pipeline, "fill-mask")])
def test_transformers_takes_it_for_no_model_of_its_own(load: Callable[[str], object], folder: Path) -> None:
    with pytest.raises((ValueError, OSError), match=r"early_exit|EarlyExitConfig|no file named model.safetensors"):
        load(str(folder))


def test_without_ee_lightning_its_configuration_is_refused(folder: Path) -> None:
    script = f"from transformers import AutoConfig; AutoConfig.from_pretrained({str(folder)!r})"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "model type `early_exit`" in ended.stderr


def test_its_configuration_names_the_labels(folder: Path) -> None:
    config = AutoConfig.from_pretrained(folder)
    assert config.id2label == {0: "negative", 1: "positive"}
    assert config.label2id == {"negative": 0, "positive": 1}
    assert config.problem_type == "single_label_classification"


def test_a_saved_model_with_damaged_weights_is_no_backbone(folder: Path) -> None:
    (folder / "early_exit.safetensors").write_bytes(b"half")
    with pytest.raises(BackboneError, match="the weights of the saved model can't be loaded"):
        load_backbone(str(folder))


def test_training_goes_on_from_a_saved_model(folder: Path, tmp_path: Path, glue_folder: Path, capsys) -> None:
    options = {"run.root": tmp_path / "runs", "data.root": glue_folder, "data.task": "sst2", "data.max_length": 32}
    options |= {"model.backbone": folder, "trainer.max_epochs": 1, "trainer.limit_train_batches": 1}
    options |= {"trainer.accelerator": "cpu", "trainer.enable_progress_bar": "false", "trainer.log_every_n_steps": 1}
    options |= {"trainer.enable_model_summary": "false", "model.optimization.learning_rate": 1e-7}
    assert main(["fit", *(f"--{name}={value}" for name, value in options.items())]) == 0
    assert "the saved model's heads are kept\n" in capsys.readouterr().out
    went_on = EarlyExitPredictor.from_run(tmp_path / "runs/run/version_0", criterion="confidence", threshold=inf)
    before = EarlyExitPredictor.from_pretrained(folder, criterion="confidence", threshold=inf)(TEXTS)
    assert [each.label for each in went_on(TEXTS)] == [each.label for each in before]
    assert [each.probability for each in went_on(TEXTS)] == pytest.approx([each.probability for each in before], 1e-3)


@pytest.mark.parametrize("value", [nan, inf])
def test_weights_that_are_not_finite_are_refused(value: float, folder: Path) -> None:
    tensors = load_file(folder / "early_exit.safetensors")
    tensors["heads.classifiers.1.weight"][0, 0] = value
    save_file(tensors, folder / "early_exit.safetensors")
    with pytest.raises(BackboneError, match=r"not finite: .* heads.classifiers.1.weight[\s\S]*early_exit.safetensors"):
        EarlyExitPredictor.from_pretrained(folder)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"num_hidden_layers": 10**6}, "says 1000000 layers and 1000000 exits, but the weights are only"),
        ({"num_hidden_layers": 4}, "they lack backbone.encoder.encoder.layer.3"),
        ({"hidden_size": 2**20}, "they have in another shape"),
        ({"hidden_size": 2**40}, "no model can be made of the configuration"),
        ({"vocab_size": 10**15}, "they have in another shape backbone.encoder.embeddings.word_embeddings.weight"),
        ({"intermediate_size": -1}, "intermediate_size is -1"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"attn_implementation": "flash_attention_2"}, "asks for the attention 'flash_attention_2'"),
        ({"_attn_implementation": "someone/kernels"}, "asks for the attention 'someone/kernels'"),
        ({"attn_implementation": {"": "flash_attention_2"}}, "asks for the attention"),
    ],
)
def test_a_backbone_of_other_sizes_or_attention_is_refused_at_once(changes: dict, match: str, folder: Path) -> None:
    file = folder / "config.json"
    fields = json.loads(file.read_text())
    file.write_text(json.dumps({**fields, "backbone": fields["backbone"] | changes}))
    with pytest.raises(BackboneError, match=match):
        EarlyExitPredictor.from_pretrained(folder)


def test_an_adapter_beside_a_saved_model_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(BackboneError, match=r"a PEFT adapter[\s\S]*merge_and_unload"):
        EarlyExitPredictor.from_pretrained(folder)


def test_a_folder_of_another_model_is_not_replaced(original: EarlyExitPredictor, tiny_backbone: Path) -> None:
    before = {file.name: file.read_bytes() for file in tiny_backbone.iterdir()}
    with pytest.raises(RunFolderError, match=r"holds another model[\s\S]*name another folder"):
        original.save_pretrained(tiny_backbone)
    assert {file.name: file.read_bytes() for file in tiny_backbone.iterdir()} == before


def test_a_folder_of_an_earlier_release_is_replaced_and_other_files_stay(
    original: EarlyExitPredictor, tmp_path: Path
) -> None:
    folder = shutil.copytree(Path(__file__).parents[1] / "fixtures/saved_model_0.1.0", tmp_path / "model")
    (folder / "README.md").write_text("mine")
    original.save_pretrained(folder)
    assert {file.name for file in folder.iterdir()} == FILES | CARD
    assert (folder / "README.md").read_text() == "mine"
    assert EarlyExitPredictor.from_pretrained(folder, keep_trail=True)(TEXTS) == original(TEXTS)


@pytest.mark.filterwarnings("ignore")  # PyTorch moves quantisation into a package of its own
def test_a_quantised_model_predicts_and_is_not_saved(original: EarlyExitPredictor, tmp_path: Path) -> None:
    model = torch.ao.quantization.quantize_dynamic(deepcopy(original.model), {torch.nn.Linear}, dtype=torch.qint8)
    quantised = EarlyExitPredictor(model, original.tokenizer, original.deployment, device="cpu")
    assert quantised("a lovely film").label == original("a lovely film").label
    with pytest.raises(OptionError, match=r"quantised[\s\S]*after from_pretrained"):
        quantised.save_pretrained(tmp_path / "int8")
    assert not (tmp_path / "int8").exists()
