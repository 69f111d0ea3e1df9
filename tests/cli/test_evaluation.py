"""A checkpoint is evaluated by the options of its run, and by no others that change what its model says."""

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from refusal import check_refused

from ee_lightning.cli import main
from ee_lightning.errors import OptionError
from ee_lightning.fit.earlier_runs import check_evaluable, evaluated_run
from ee_lightning.runs.folder import RunFolder

Run = Callable[..., int]
Trained = Callable[..., Path]


@pytest.fixture
def finished(trained: Trained) -> Path:
    return trained("sst2")


@pytest.fixture
def checkpoint(finished: Path) -> Path:
    return next((finished / "checkpoints").glob("epoch=*.ckpt"))


def _options(folder: Path) -> dict[str, Any]:
    options: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text())
    return options


def test_a_checkpoint_alone_is_evaluated_as_its_run_was(run: Run, finished: Path, checkpoint: Path) -> None:
    assert run("validate", **{"ckpt_path": checkpoint, "run.root": "evaluated", "run.name": "again"}) == 0
    again = Path("evaluated/again/version_0")
    exits = "exits/validation.safetensors"
    assert (again / exits).read_bytes() == (finished / exits).read_bytes()
    assert _options(again)["model"] == _options(finished)["model"]


def test_a_run_that_was_moved_is_evaluated_beside_itself(run: Run, finished: Path) -> None:
    moved = shutil.copytree(finished, Path("archive", finished.parent.name, "version_0"))
    checkpoint = next((moved / "checkpoints").glob("epoch=*.ckpt"))
    assert run("validate", ckpt_path=checkpoint) == 0
    assert RunFolder(moved.with_name("version_1")).is_finished
    assert not finished.with_name("version_1").exists()


def test_a_checkpoint_may_be_named_in_a_file_with_other_loads(run: Run, checkpoint: Path, finished: Path) -> None:
    Path("mine.yaml").write_text(f"ckpt_path: {checkpoint}\nrun: {{root: evaluated}}\ndata: {{eval_batch_size: 5}}\n")
    assert run("validate", Path("mine.yaml"), **{"trainer.limit_val_batches": 1, "sweep.criteria": "[Patience]"}) == 0
    assert list(Path("evaluated").rglob("curves.csv"))


@pytest.mark.parametrize("command", ["validate", "test"])
def test_options_that_contradict_the_run_are_refused(
    command: str, run: Run, checkpoint: Path, finished: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    changed = {"model.heads.pooling": "cls", "data.task": "cola", "run.root": "evaluated"}
    status = run(command, **changed, ckpt_path=checkpoint)
    expected = (
        "these options contradict the run of the checkpoint:\n"
        "    data.task.label_names.0: negative → unacceptable\n"
        "    data.task.label_names.1: positive → acceptable\n"
        "    model.heads.pooling: mean → cls\n"
        f"  where: {finished.resolve()}/config.yaml\n"
    )
    captured = capfd.readouterr()
    assert status == 1
    assert sorted(expected.splitlines()) == sorted(captured.err.partition("error: ")[2].splitlines()[:5])
    assert not Path("evaluated").exists()


def test_a_checkpoint_far_from_its_run_is_evaluated_with_a_warning(
    run: Run, small: dict[str, object], checkpoint: Path, finished: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(checkpoint, "alone.ckpt")
    assert run("validate", **{**small, "model.heads.pooling": "mean"}, ckpt_path="alone.ckpt") == 0
    assert "no config.yaml lies two folders above alone.ckpt" in caplog.text
    exits = "exits/validation.safetensors"
    assert (Path("runs/run/version_0") / exits).read_bytes() == (finished / exits).read_bytes()


OWN = {
    "text_columns": ["text"],
    "label_names": ["neg", "pos"],
    "metrics": ["accuracy"],
    "files": {"train": "a.csv"},
    "validation_share": 0.1,
}
RECORDED: dict[str, Any] = {
    "seed_everything": 1,
    "data": {"task": "mine", "root": "there", "batch_size": 8, "own": OWN},
    "model": {"backbone": "there/bert", "heads": {"pooling": "mean"}},
}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"own": {**OWN, "label_names": ["pos", "neg"]}}, "data.task.label_names.0: neg → pos"),
        ({"own": {**OWN, "text_columns": ["a", "b"]}}, "data.task.number of texts: 1 → 2"),
        ({"own": {**OWN, "multi_label": True, "metrics": None}}, "data.task.kind: "),
        ({"own": {**OWN, "validation_share": 0.5}}, "data.task.held out.validation: 0.1 → 0.5"),
        ({"task": "sst2", "own": None}, "data.task.label_names.0: neg → negative"),
        ({"max_length": 8}, "data.max_length: (none) → 8"),
    ],
)
def test_what_the_labels_mean_must_not_change(data: dict[str, Any], expected: str) -> None:
    given = {**RECORDED, "data": {**RECORDED["data"], **data}}
    with pytest.raises(OptionError) as caught:
        check_evaluable(RunFolder("run"), RECORDED, given)
    assert expected in caught.value.what


def test_where_rows_and_backbone_lie_and_what_they_are_called_may_change() -> None:
    own = {**OWN, "text_columns": ["sentence"], "files": {"train": "a.csv", "test": "b.csv"}, "metrics": ["macro_f1"]}
    data = {"task": "other", "root": "here", "batch_size": 1, "eval_batch_size": 2, "own": own}
    model = {**RECORDED["model"], "backbone": "here/bert"}
    check_evaluable(RunFolder("run"), RECORDED, {**RECORDED, "data": data, "model": model, "trainer": {"devices": 1}})


def test_the_checkpoint_that_is_named_last_counts() -> None:
    for name in ("one", "two"):
        folder = Path(name, "checkpoints")
        folder.mkdir(parents=True)
        (folder / "last.ckpt").touch()
        (folder.parent / "config.yaml").write_text("run: {}\n")
    Path("two.yaml").write_text("ckpt_path: two/checkpoints/last.ckpt\n")
    one = "--ckpt_path=one/checkpoints/last.ckpt"

    def found(*options: str) -> Path | None:
        folder = evaluated_run(["test", *options])
        return None if folder is None else folder.path.relative_to(Path.cwd())

    assert found(one, "--config", "two.yaml") == Path("two")
    assert found("-c", "two.yaml", one) == Path("one")
    assert found("--config", "missing.yaml", "--ckpt_path", "two/checkpoints/last.ckpt") == Path("two")
    assert found(one, "--ckpt_path=${run.root}/best.ckpt") is None
    assert found(one, "--ckpt_path") is None
    assert evaluated_run(["fit", one]) is None


@pytest.mark.parametrize("named", ["runs/run/version_0/checkpoints/best.ckpt", "last", "loop.ckpt"])
@pytest.mark.parametrize("command", ["validate", "test"])
def test_a_checkpoint_that_is_not_there_is_named(command: str, named: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("loop.ckpt").symlink_to("loop.ckpt")
    status = main([command, f"--ckpt_path={named}"])
    check_refused(status, f"there is no such checkpoint\n  where: --ckpt_path {named}\n", capfd)


def test_a_damaged_configuration_of_the_run_is_named(
    run: Run, trained: Trained, checkpoint: Path, finished: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("copy/checkpoints").mkdir(parents=True)
    shutil.copy(checkpoint, "copy/checkpoints/last.ckpt")
    Path("copy/config.yaml").write_text("data: [")
    check_refused(run("validate", ckpt_path="copy/checkpoints/last.ckpt"), r"copy/config\.yaml[\s\S]*hint:", capfd)


def test_a_checkpoint_without_its_run_lacks_options(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    Path("alone.ckpt").touch()
    check_refused(run("validate", ckpt_path="alone.ckpt"), r"model.backbone is needed[\s\S]*in its run folder", capfd)


def test_a_configuration_that_stands_for_too_much_is_refused(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    folder = Path("runs/run/version_0/checkpoints")
    folder.mkdir(parents=True)
    (folder / "last.ckpt").touch()
    names = "abcdefghi"
    aliases = (f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in pairwise(names))
    (folder.parent / "config.yaml").write_text("\n".join(["a: &a [1, 2, 3]", *aliases]))
    status = run("validate", ckpt_path=folder / "last.ckpt")
    check_refused(status, r"config.yaml can't be read: its aliases[\s\S]*hint:", capfd)
