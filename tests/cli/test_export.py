"""export: from a run, or from a saved model and texts, to a folder of graphs."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from refusal import check_refused

from ee_lightning.cli import main
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runtime.manifest import Manifest

pytestmark = pytest.mark.usefixtures("one_torchlib")


@pytest.fixture(scope="module")
def run(trained: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = shutil.copytree(trained("sst2"), tmp_path_factory.mktemp("runs") / "version_0")
    assert main(["choose", str(run), "--criterion", "confidence", "--exits", "1,3", "--min-speedup", "1.2"]) == 0
    return run


def test_a_run_is_exported_with_the_exits_of_its_operating_point(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), str(tmp_path / "graphs")]) == 0
    said = capsys.readouterr().out
    assert "bert, 3 layers in fp32, exits after layers 1, 3" in said
    assert "attention fused in 3 of 3 layers" in said
    assert f"saved: {tmp_path / 'graphs'}" in said
    assert Manifest.read(tmp_path / "graphs").exit_layers == (1, 3)


def test_int8_says_what_it_does_to_every_exit_and_chooses_again(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "notes.txt").write_text("mine")
    assert main(["export", str(run), str(tmp_path / "graphs"), "--precision", "int8"]) == 0
    said = capsys.readouterr().out
    assert f"int8, on {RunFolder(run).read_exits('validation').num_samples} rows of the split validation" in said
    before = json.loads((run / "operating_point.json").read_text())
    rule = json.loads((tmp_path / "graphs" / "early_exit.json").read_text())["rule"]
    assert rule["operating_point"]["asked"] == before["asked"]
    assert rule["operating_point"]["reached"]["speedup"]["value"] >= 1
    assert rule["threshold"] == rule["operating_point"]["threshold"]
    assert (tmp_path / "graphs" / "notes.txt").read_text() == "mine"


def test_a_saved_model_needs_texts_and_keeps_its_threshold(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    saved, texts = tmp_path / "saved", tmp_path / "texts.txt"
    assert main(["save", str(run), str(saved)]) == 0
    check_refused(main(["export", str(saved), str(tmp_path / "graphs")]), "a saved model has none", capfd)
    check_refused(main(["export", str(saved), ""]), r"'' names no folder\n  where: FOLDER", capfd)
    assert not (tmp_path / "graphs").exists()
    texts.write_text("a lovely film\nthe dull plot\n" * 4)
    options = ["--input", str(texts), "--precision", "int8"]
    assert main(["export", str(saved), str(tmp_path / "graphs"), *options]) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "chosen on" not in said
    assert f"choose it again on labelled rows (ee-lightning choose {tmp_path / 'graphs'} --input FILE)" in said
    thresholds = [json.loads((each / "early_exit.json").read_text())["rule"] for each in (saved, tmp_path / "graphs")]
    assert thresholds[0] == thresholds[1]


def test_packages_that_are_missing_are_told(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    check_refused(
        main(["export", str(run), str(tmp_path / "graphs")]),
        r"^error: onnxscript is not installed: pip install 'ee_lightning\[export\]'$",
        capfd,
    )
