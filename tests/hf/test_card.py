"""The card of a saved model, and its way to the hub."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_service import Hub
from huggingface_hub import ModelCard, constants
from transformers import AutoModelForSequenceClassification

from ee_lightning.cli import main
from ee_lightning.errors import BackboneError
from ee_lightning.hf import EarlyExitForSequenceClassification
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.inference.card import Origin
from ee_lightning.runs import OperatingPoint

Trained = Callable[..., Path]


@pytest.fixture(scope="module")
def run(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = shutil.copytree(trained("sst2"), tmp_path_factory.mktemp("runs") / "version_0")
    assert main(["choose", str(run), "--criterion", "confidence", "--min-speedup", "1.2"]) == 0
    return run


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    assert main(["save", str(run), str(tmp_path / "model")]) == 0
    return tmp_path / "model"


def test_the_card_has_what_the_run_knows(run: Path, folder: Path, tiny_backbone: Path) -> None:
    card = ModelCard.load(folder / "README.md")
    point = OperatingPoint.read(run)
    assert card.data.library_name == "ee_lightning"
    assert card.data.pipeline_tag == "text-classification"
    measured = {each.metric_type: each.metric_value for each in card.data.eval_results}
    expected = {"accuracy": point.reached["score"].value, "speedup": point.reached["speedup"].value}
    assert measured == pytest.approx(expected, abs=1e-6)
    assert str(tiny_backbone) not in card.text  # which only this machine has
    for said in (
        f"`{tiny_backbone.name}`",
        "sst2",
        "negative, positive",
        f"{point.measured_on} others",
        "(curves.png)",
    ):
        assert said in card.text
    assert (folder / "curves.png").read_bytes() == (run / "curves.png").read_bytes()


def test_a_card_goes_on_from_folder_to_folder_and_a_users_own_stays(folder: Path, tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder, threshold=0.75)
    model.save_pretrained(tmp_path / "again")
    again = (tmp_path / "again" / "README.md").read_text()
    assert "confidence at threshold 0.75" in again
    assert "## Operating point" not in again
    assert (tmp_path / "again" / "curves.png").exists()
    (folder / "README.md").write_text("# Mine\n")
    model.save_pretrained(folder)
    assert (folder / "README.md").read_text() == "# Mine\n"
    assert EarlyExitPredictor.from_pretrained(folder).deployment.rule.threshold == 0.75


def test_a_model_without_curves_has_none_of_the_one_before(folder: Path, small_predictor: EarlyExitPredictor) -> None:
    small_predictor.save_pretrained(folder)
    assert not (folder / "curves.png").exists()
    assert "curves.png" not in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "on_hub"),
    [
        ("google-bert/bert-base-uncased", "google-bert/bert-base-uncased"),
        ("packaged:all-minilm-l6-v2", None),
        ("/home/me/bert", None),
        (None, None),
    ],
)
def test_only_a_name_on_the_hub_is_a_base_model(name: str | None, on_hub: str | None) -> None:
    assert Origin(name).name_on_hub == on_hub


def test_what_is_pushed_is_what_is_saved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = EarlyExitForSequenceClassification.from_pretrained(folder)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with Hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        address = model.push_to_hub("somebody/early", private=True, token="hf_none")
        assert address == f"{hub.address}/somebody/early/commit/1"
        assert hub.created[0]["visibility"] == "private"
        written = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
        assert hub.files == written
    with pytest.raises(BackboneError, match=r"can't be uploaded[\s\S]*where: somebody/early[\s\S]*save_pretrained"):
        model.push_to_hub("somebody/early", token="hf_none")
