"""choose and speed on an exported model, with the rows of a file."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from refusal import check_refused

from ee_lightning.cli import main
from ee_lightning.export import exporting
from ee_lightning.inference.deployment import Deployment
from ee_lightning.runs.operating_point import OperatingPoint
from ee_lightning.runtime import EarlyExitRuntime

pytestmark = pytest.mark.usefixtures("one_torchlib")


@pytest.fixture(scope="module")
def run(trained: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with an operating point by confidence."""
    run = shutil.copytree(trained("sst2"), tmp_path_factory.mktemp("runs") / "version_0")
    assert main(["choose", str(run), "--criterion", "confidence", "--min-speedup", "1.2"]) == 0
    return run


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return it exported, with a graph for single rows by its own criterion alone."""
    folder = tmp_path_factory.mktemp("exported") / "graphs"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(exporting, "IN_GRAPH", ())  # each takes seconds
        assert main(["export", str(run), str(folder)]) == 0
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> str:
    """Return a copy to change."""
    return str(shutil.copytree(exported, tmp_path / "graphs"))


@pytest.fixture(scope="module")
def rows(glue_folder: Path) -> str:
    """Return the file of the rows that the run was chosen on."""
    return str(glue_folder / "SST-2" / "dev.tsv")


def test_the_point_is_the_one_that_the_run_gets_on_the_same_rows(
    run: Path, folder: str, rows: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--criterion", "confidence", "--max-loss", "4", "--seed", "3"]
    assert main(["choose", str(run), *options]) == 0
    capsys.readouterr()
    assert main(["choose", folder, *options, "--input", rows]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--max-loss 4: m" in said
    assert "note: no graph" not in said
    assert said.endswith(f"saved: {folder}/early_exit.json")
    expected, runtime = OperatingPoint.read(run), EarlyExitRuntime(folder)
    found = runtime.deployment.rule.operating_point
    assert found is not None
    assert found.asked.split == "dev.tsv"
    assert found.threshold == pytest.approx(expected.threshold, abs=1e-4)
    assert (found.left_at, found.chosen_on) == (expected.left_at, expected.chosen_on)
    for name, estimate in asdict(expected)["reached"].items():
        assert asdict(found)["reached"][name] == pytest.approx(estimate)
    assert runtime.engine.has_single
    assert main(["predict", folder, "--text", "a lovely film", "--threads", "1"]) == 0
    assert f"by {runtime.deployment.rule}" in capsys.readouterr().out


def test_what_the_folder_had_is_named_and_a_criterion_without_a_graph_too(
    folder: str, rows: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = EarlyExitRuntime(folder).deployment.rule
    options = ["--criterion", "voting(k=0.5)", "--consistency", "0.5", "--guarantee", "0.5", "--input", rows]
    assert main(["choose", folder, *options]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"replaced: {old}" in said
    assert "note: no graph for single rows holds voting(k=0.5)" in said
    assert "warning: the guarantee holds if nothing was trained or selected on these rows before" in said
    runtime = EarlyExitRuntime(folder)
    assert (runtime.engine.criterion.name, runtime.engine.has_single) == ("voting(k=0.5)", False)


def test_rows_may_call_texts_and_labels_as_they_like(folder: str, rows: str, tmp_path: Path) -> None:
    pairs = [line.split("\t") for line in Path(rows).read_text().splitlines()[1:]]
    words = {"0": "negative", "1": "positive"}
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps({"said": text, "mood": words[label]}) + "\n" for text, label in pairs))
    options = ["choose", folder, "--criterion", "confidence", "--max-loss", "4", "--seed", "3"]
    names = ["--text-columns", "said", "--label-column", "mood"]
    found = []
    for own in (["--input", rows], ["--input", str(file), *names]):
        assert main([*options, *own]) == 0
        found.append(Deployment.read(Path(folder) / "early_exit.json").rule)
    assert found[0].threshold == found[1].threshold


def test_speed_times_the_rule_and_points_near_speedups_beside_full_depth(
    exported: Path, rows: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(file.name for file in exported.iterdir())
    options = ["--input", rows, "--batch-sizes", "1,8", "--repeats", "1", "--max-samples", "12", "--speedups", "1"]
    assert main(["speed", str(exported), *options]) == 0
    printed = capsys.readouterr().out
    said = " ".join(printed.split())
    assert max(map(len, printed.splitlines())) <= 80
    assert re.match(r"measuring 12 samples on cpu, 1 thread, onnxruntime \d", said)
    assert "by layers and on the clock by batch size" in said
    assert "FLOPs" not in said
    rule = EarlyExitRuntime(exported).deployment.rule
    assert len(re.findall(r"confidence at [\w.]+: [\d.]+x by layers ", said)) == 2
    assert f"confidence at {rule.threshold:.4g}: " in said
    assert sorted(file.name for file in exported.iterdir()) == before


MISTAKES = {
    "no rows": (["choose", "--max-loss", "1"], "an exported model has no rows of its own"),
    "labels of another task": (["choose", "--max-loss", "1", "--input", "OTHER.csv"], "label 'World' is unknown"),
    "no labels": (["choose", "--max-loss", "1", "--input", "TEXTS.csv"], "no column 'label'[\\s\\S]*--label-column"),
    "some labels": (["choose", "--max-loss", "1", "--input", "SOME.jsonl"], "1 of 2 rows have no label"),
    "exits": (["choose", "--max-loss", "1", "--exits", "1,3"], "--exits[\\s\\S]*ee-lightning export RUN"),
    "split": (["choose", "--max-loss", "1", "--split", "test"], "has no such option[\\s\\S]*--input FILE"),
    "fitted": (["choose", "--max-loss", "1", "--per-exit"], "has to be fitted on rows held out"),
    "no texts": (["speed"], "an exported model has no rows of its own"),
    "precision": (["speed", "--precision", "bf16"], "the precision is chosen when it is exported"),
    "adapter": (["predict", "--text", "a", "--adapter", "x.Mine"], "no such option[\\s\\S]*where: --adapter"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_named_and_change_nothing(
    case: str, exported: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = {
        "OTHER.csv": "sentence,label\na lovely film,World\na dull plot,positive\n",
        "TEXTS.csv": "sentence\na lovely film\n",
        "SOME.jsonl": '{"sentence": "a lovely film", "label": 1}\n{"sentence": "a dull plot", "label": -1}\n',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (command, *options), message = MISTAKES[case]
    given = [f"{tmp_path}/{each}" if each in files else each for each in options]
    criterion = ["--criterion", "confidence"] if command == "choose" else []
    before = (exported / "early_exit.json").read_text()
    check_refused(main([command, str(exported), *criterion, *given]), message, capfd)
    assert (exported / "early_exit.json").read_text() == before


def test_a_damaged_folder_is_refused_and_rows_beside_a_run_are_too(
    run: Path, folder: str, rows: str, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["--criterion", "confidence", "--max-loss", "1", "--input", rows]
    check_refused(main(["choose", str(run), *options]), "a run has rows of its own", capfd)
    (Path(folder) / "weights.bin").write_bytes(b"")
    check_refused(main(["choose", folder, *options]), "SHA-256 is not the manifest's", capfd)
    check_refused(main(["speed", folder, "--input", rows]), "SHA-256 is not the manifest's", capfd)
