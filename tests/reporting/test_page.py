"""What the page of a run holds, without a browser; tests/reporting/test_page_in_browser.py opens it in one."""

import base64
import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from factories import exits_of, exits_of_labels, random_exits
from page_runs import NAMES, NASTY, exits_saying, run_folder

from ee_lightning.analysis.sweep import sweep_exits
from ee_lightning.cli import main
from ee_lightning.errors import OptionError, RunFolderError
from ee_lightning.exits import Confidence, Criterion, Patience, SoftVoting, replay, trace_curve
from ee_lightning.reporting import write_sweep
from ee_lightning.reporting.page.writing import page_of
from ee_lightning.runs.folder import RunFolder

TYPES = {"Uint8Array": "u1", "Uint16Array": "<u2", "Float32Array": "<f4", "Float64Array": "<f8"}


def data_of(page: str) -> dict[str, Any]:
    """Read the data that a page carries."""
    found = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert len(found) == 1
    data: dict[str, Any] = json.loads(found[0])
    return data


def unpacked(packed: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["base64"]), TYPES[packed["type"]])


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> RunFolder:
    return run_folder(tmp_path_factory.mktemp("page") / "run", backbone=tiny_backbone)


@pytest.fixture(scope="module")
def page(shown: RunFolder) -> str:
    return page_of([shown])[0]


def test_texts_and_labels_end_no_element(page: str) -> None:
    view = data_of(page)["runs"][0]
    assert view["rows"]["texts"][0] == [NASTY]
    assert view["labelNames"] == list(NAMES)
    assert "alert('text')" in page
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img" not in page
    assert NAMES[0] not in page


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    outside = page.partition('<script id="data"')[0]
    assert not re.search(r"""(src|href)\s*=|@import|url\((?!\$|#)""", outside)
    assert "default-src 'none'" in outside
    assert page.startswith("<!doctype html>")


def test_rows_leave_on_the_page_where_they_leave_by_replay(shown: RunFolder, page: str) -> None:
    exits = shown.read_exits("validation")
    view = data_of(page)["runs"][0]
    for criterion, of_page in zip((Confidence(),), view["criteria"][1:], strict=True):
        assert of_page["name"] == criterion.name
        leaves_from = unpacked(of_page["leavesFrom"]).reshape(exits.num_exits, -1)
        found = replay(criterion, exits)
        for point, threshold in enumerate(of_page["thresholds"]):
            exit_layer, _ = found.at(float("inf") if threshold is None else threshold)
            leaves = leaves_from <= point
            expected = np.where(leaves.any(0), leaves.argmax(0) + 1, exits.num_exits)
            assert exit_layer.tolist() == expected.tolist()
            score = unpacked(of_page["scores"]["accuracy"])[point]
            assert 0 <= score <= 1


def test_operations_are_those_of_the_model(page: str) -> None:
    flops = data_of(page)["runs"][0]["flops"]
    until, full = unpacked(flops["until"]).reshape(-1, 3), unpacked(flops["full"])
    assert (np.diff(until) > 0).all()
    assert (until[:, 2] > full).all()  # the heads before the last are passed too
    assert set(unpacked(flops["lengths"]).tolist()) == set(flops["known"])


def test_probabilities_are_of_the_likeliest_classes_and_the_right_one(tmp_path: Path) -> None:
    exits = exits_of(30, num_exits=2, num_classes=9)
    names = [f"class {number}" for number in range(9)]
    view = data_of(page_of([run_folder(tmp_path / "run", exits, backbone="missing", names=names)])[0])["runs"][0]
    rows = view["rows"]
    classes = unpacked(rows["classes"]).reshape(30, rows["shown"])
    assert all(label in of_row for label, of_row in zip(exits.labels.tolist(), classes.tolist(), strict=True))
    shares = unpacked(rows["probabilities"]).reshape(2, 30, rows["shown"]) / 10_000
    expected = exits.logits.softmax(-1).gather(2, torch.from_numpy(classes.astype(np.int64)).expand(2, -1, -1))
    assert np.abs(shares - expected.numpy()).max() < 1e-4
    assert view["flops"] is None
    assert any("Floating-point operations are not known" in note for note in view["notes"])


def test_calibration_is_that_of_each_exit(tmp_path: Path) -> None:
    exits = exits_saying([[0.75, 0.75, 0.25, 0.75], [0.95, 0.95, 0.05, 0.05]], [1, 0, 0, 1])
    view = data_of(page_of([run_folder(tmp_path / "run", exits, backbone="missing")])[0])["runs"][0]
    first, last = view["calibration"]
    assert first["accuracy"] == 0.75
    assert first["error"] == pytest.approx(0, abs=1e-6)
    assert last["error"] == pytest.approx(0.45)
    assert view["lateCorrection"] == 0
    assert view["overthinking"] == 0.25


def test_commands_are_those_that_the_run_allows_and_take_its_path(tmp_path: Path) -> None:
    of_exits = {}
    for exits in (2, 1):
        folder = run_folder(tmp_path / f"run of {exits}", exits_of(30, num_exits=exits), backbone="missing")
        commands = data_of(page_of([folder])[0])["runs"][0]["commands"]
        words = [shlex.split(command) for _, command in commands]
        assert all(any(word.startswith(str(folder.path)) for word in each) for each in words)
        of_exits[exits] = [what for what, _ in commands]
    assert set(of_exits[2]) - set(of_exits[1]) == {"choose a threshold"}


def test_of_many_rows_some_are_drawn(shown: RunFolder) -> None:
    views = data_of(page_of([shown, shown], most_rows=5)[0])["runs"]
    assert [len(view["rows"]["ids"]) for view in views] == [2, 2]
    exits = exits_of(300, num_exits=3)
    folder = RunFolder(shown.path)
    drawn = sorted(np.random.default_rng(0).choice(300, 200, replace=False).tolist())
    other = RunFolder(folder.path.parent / "many")
    other.path.mkdir(exist_ok=True)
    (other.path / "config.yaml").write_text(folder.config.read_text())
    other.write_exits("validation", exits)
    write_sweep(other, sweep_exits([Confidence()], exits, None, split="validation", task="mine", metrics=["accuracy"]))
    view = data_of(page_of([other], most_rows=200)[0])["runs"][0]
    assert unpacked(view["rows"]["at"]).tolist() == drawn
    assert view["samples"] == 300
    assert view["rows"]["texts"] is None
    gone = sum(number >= 60 for number in drawn)
    assert f"The page holds no texts: {gone} of 200 rows are no longer in the data." in view["notes"]


def test_stored_texts_are_shown_where_the_data_are_gone(tmp_path: Path, tiny_backbone: Path) -> None:
    folder = run_folder(tmp_path / "run", backbone=tiny_backbone)
    exits = folder.read_exits("validation")
    folder.write_texts("validation", {number: (f"kept {number}",) for number in exits.ids.tolist()})
    for file in (folder.path / "data").iterdir():
        file.unlink()
    view = data_of(page_of([folder])[0])["runs"][0]
    assert view["rows"]["texts"] == [[f"kept {number}"] for number in view["rows"]["ids"]]
    assert not [note for note in view["notes"] if "no texts" in note]
    folder.write_exits("validation", exits)  # of an evaluation that stored none
    view = data_of(page_of([folder])[0])["runs"][0]
    assert view["rows"]["texts"] is None


@pytest.mark.parametrize("kind", ["values", "labels"])
def test_values_and_labels_have_pages_too(tmp_path: Path, kind: str) -> None:
    exits = replace(random_exits(4, 40, 1), extras={}) if kind == "values" else exits_of_labels(40)
    criteria = [Patience(tolerance=0.5)] if kind == "values" else [Confidence()]
    metric = "pearson" if kind == "values" else "micro_f1"
    folder = RunFolder(tmp_path)
    own = {"text_columns": ["text"], "label_column": "label"}
    own |= {"regression": True} if kind == "values" else {"multi_label": True, "label_names": ["a", "b", "c"]}
    data = {"task": "mine", "root": str(tmp_path), "max_length": 32, "own": own}
    options = yaml.safe_dump({"model": {"backbone": "missing", "heads": {}}, "data": data})
    folder.config.write_text(options)
    folder.write_exits("validation", exits)
    write_sweep(folder, sweep_exits(criteria, exits, None, split="validation", task="mine", metrics=[metric]))
    view = data_of(page_of([folder])[0])["runs"][0]
    assert view["kind"] == kind
    assert view["calibration"] is None
    if kind == "labels":
        truth = [view["sets"][number] for number in unpacked(view["truth"])]
        assert truth == [each.nonzero().squeeze(1).tolist() for each in exits.label_sets()]


def test_a_criterion_with_labels_of_its_own_brings_them(tmp_path: Path, tiny_backbone: Path) -> None:
    folder = run_folder(tmp_path / "run", backbone=tiny_backbone)
    exits = folder.read_exits("validation")
    write_sweep(folder, sweep_exits([SoftVoting()], exits, None, split="validation", task="mine", metrics=["accuracy"]))
    (of_page,) = data_of(page_of([folder])[0])["runs"][0]["criteria"]
    assert unpacked(of_page["says"]).reshape(3, -1).tolist() == replay(SoftVoting(), exits).labels.tolist()


def test_seeds_of_one_configuration_are_one_line(tmp_path: Path) -> None:
    folders = [
        run_folder(
            tmp_path / f"{name}-{seed}",
            exits_of(80, num_exits=3, seed=seed),
            backbone=name,
            seed=seed,
            name=f"{name}-{seed}",
        )
        for name, seed in (("small", 1), ("small", 2), ("large", 1))
    ]
    for folder in folders:  # of the same data, as seeds are
        folder.config.write_text(folder.config.read_text().replace(str(folder.path), "here"))
    (task,) = data_of(page_of(folders)[0])["compared"]
    lines = {(line["name"], line["criterion"]): line for line in task["lines"]}
    assert {name for name, _ in lines} == {"small", "large-1"}
    two, one = lines["small", "confidence"], lines["large-1", "confidence"]
    assert (two["runs"], one["runs"], one["deviation"]) == (2, 1, None)
    curves = [trace_curve(Confidence(), folder.read_exits("validation"), ["accuracy"]) for folder in folders[:2]]
    at_two = [curve.score_at(2, "accuracy") for curve in curves]
    mean, deviation = two["figures"][task["heads"].index("2x")]
    assert (mean, deviation) == pytest.approx((np.mean(at_two), np.std(at_two, ddof=1)))
    halfway = unpacked(two["mean"])[round(200 * (3 - 1.5) / 2)]
    assert halfway == pytest.approx(np.mean(at_two), abs=1e-6)


def swept_by(folder: RunFolder, criteria: list[Criterion], metrics: list[str]) -> None:
    found = sweep_exits(
        criteria, folder.read_exits("validation"), None, split="validation", task="mine", metrics=metrics
    )
    write_sweep(folder, found)


def test_runs_side_by_side_are_compared_by_a_metric_that_they_share(tmp_path: Path, tiny_backbone: Path) -> None:
    folders = [run_folder(tmp_path / name, backbone=tiny_backbone, name=name) for name in ("one", "other")]
    swept_by(folders[1], [Confidence()], ["macro_f1"])
    with pytest.raises(OptionError, match=f"no metric in common: {folders[0].path}: accuracy; {folders[1].path}: mac"):
        page_of(folders)
    swept_by(folders[0], [Confidence()], ["accuracy", "macro_f1"])
    (task,) = data_of(page_of(folders)[0])["compared"]
    assert task["metric"] == "macro_f1"


def test_several_runs_need_a_place(shown: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(shown.path), str(tmp_path)]) == 1
    assert "--output" in capsys.readouterr().err


def test_the_command_writes_it_into_the_run_folder(shown: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(shown.path)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"page: {shown.path}/report.html (0.")
    _, leads, goes_on = printed.splitlines()  # whole lines where it is no terminal
    assert "confidence leads with" in leads
    assert "Next: " in goes_on
    assert data_of((shown.path / "report.html").read_text())["runs"][0]["name"].endswith("/run")


def test_speed_of_points_where_no_row_leaves_early_is_shown(trained: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(trained("sst2"), tmp_path / "run")
    quick = ["--max-samples", "4", "--repeats", "1", "--batch-sizes", "2", "--speedups", "1,1.5"]
    assert main(["speed", str(folder), *quick]) == 0
    assert main(["report", str(folder)]) == 0
    view = data_of((folder / "report.html").read_text())["runs"][0]
    (voting,) = (each for each in view["criteria"] if each["name"] == "voting")
    clock = view["clock"]
    assert {each["threshold"] for each in clock} <= {*voting["thresholds"]}
    assert {each["layers"] for each in clock if each["threshold"] is None} == {1}


def test_what_is_not_there_is_an_error(shown: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunFolderError, match="the split 'test' are not stored"):
        page_of([shown], split="test")[0]
    assert main(["report", str(tmp_path)]) == 1
    assert "no exits are stored here" in capsys.readouterr().err
