"""A run is known by what determines it, by nothing else, and its folder tells what is to be done."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import huggingface_hub
import pytest
import transformers.utils.hub
import yaml

from ee_lightning.errors import BackboneError, OptionError
from ee_lightning.reproduce import identity as fingerprints
from ee_lightning.reproduce.identity import Identifier, weights_fingerprint
from ee_lightning.reproduce.plan import PlannedRun, State, each_once, finished, locked_run, plan
from ee_lightning.reproduce.suite import FitOptions, Row, Selection, Suite
from ee_lightning.runs.folder import IDENTITY, Identity
from ee_lightning.runs.run_options import options_digest

TASKS = {"SST-2": FitOptions(options={"data.task": "sst2"}), "CoLA": FitOptions(options={"data.task": "cola"})}
OURS = FitOptions(options={"model.objective": "ee_lightning.training.EnsembleObjective"})
JOINT = FitOptions(options={"model.objective": "ee_lightning.training.JointObjective"})
Make = Callable[..., Suite]


@pytest.fixture
def make_suite(tiny_backbone: Path, glue_folder: Path) -> Make:
    """Return a function that makes a suite of two trainings on two tasks by two seeds, with other options if asked."""

    def _make(**options: object) -> Suite:
        given = {"data.root": str(glue_folder), "data.max_length": 32, "model.backbone": str(tiny_backbone)}
        return Suite(
            name="mine",
            title="Mine",
            fit=FitOptions(options=given | {name.replace("__", "."): value for name, value in options.items()}),
            tasks=TASKS,
            trainings={"ours": OURS, "joint": JOINT},
            seeds=[1, 2],
            rows=[Row("Ours", "ours", "voting", 1.5), Row("Ours, patient", "ours", "patience"), Row("Joint", "joint")],
        )

    return _make


def _names(made: list[PlannedRun]) -> list[str]:
    return [run.name for run in made]


def test_every_training_has_a_folder_of_its_own(make_suite: Make, tmp_path: Path) -> None:
    made = plan(make_suite(), tmp_path)
    assert [name.rpartition("-")[0] for name in _names(made)] == [
        f"{task}-{training}-{seed}" for task in TASKS for seed in (1, 2) for training in ("ours", "joint")
    ]
    assert len({name.rpartition("-")[2] for name in _names(made)}) == 8
    assert {run.state for run in made} == {State.TO_DO}
    run = made[3]
    assert run.folder.path == tmp_path / "runs" / run.name / "version_0"
    assert list(tmp_path.iterdir()) == []


def test_trainings_of_the_same_options_share_a_run(make_suite: Make, tmp_path: Path) -> None:
    suite = make_suite()
    named = replace(suite, trainings={**suite.trainings, "again": OURS}, rows=[*suite.rows, Row("A", "again")])
    made = plan(named, tmp_path)
    assert len(made) == 12
    assert _names(each_once(made)) == _names(plan(suite, tmp_path))
    assert len(finished(made)) == 0
    # a run that a suite of other names has begun is found again by its options
    begun = replace(suite, trainings={"other": OURS}, rows=[Row("A", "other")])
    folder = plan(begun, tmp_path)[0].folder.path
    folder.mkdir(parents=True)
    assert [run.folder.path == folder for run in plan(suite, tmp_path)] == [True] + [False] * 7


def test_what_changes_no_result_changes_no_name(
    make_suite: Make, tiny_backbone: Path, glue_folder: Path, tmp_path: Path
) -> None:
    names = _names(plan(make_suite(), tmp_path))
    moved = {"data__root": tmp_path / "data", "model__backbone": tmp_path / "weights"}
    shutil.copytree(glue_folder, moved["data__root"])
    shutil.copytree(tiny_backbone, moved["model__backbone"])
    free = {"data__num_workers": 1, "trainer__enable_progress_bar": False, "run__name": "other", "run__root": "other"}
    suite = make_suite(**{name: str(path) for name, path in moved.items()}, **free)
    assert _names(plan(suite, tmp_path)) == names
    (tmp_path / "weights" / "README.md").write_text("read me")
    (tmp_path / "data" / "CoLA" / "test.tsv").unlink(missing_ok=True)
    assert _names(plan(suite, tmp_path)) == names


def test_what_determines_a_run_changes_its_name(
    make_suite: Make, tiny_backbone: Path, glue_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = _names(plan(make_suite(), tmp_path))

    def _changed(suite: Suite) -> list[bool]:
        return [one != other for one, other in zip(names, _names(plan(suite, tmp_path)), strict=True)]

    assert all(_changed(make_suite(data__batch_size=16)))
    weights = shutil.copytree(tiny_backbone, tmp_path / "weights")
    (weights / "config.json").write_text((weights / "config.json").read_text() + "\n")
    assert all(_changed(make_suite(model__backbone=str(weights))))
    data = shutil.copytree(glue_folder, tmp_path / "data")
    rows = (data / "CoLA" / "dev.tsv").read_text()
    (data / "CoLA" / "dev.tsv").write_text(rows.replace("film", "plot", 1))
    assert _changed(make_suite(data__root=str(data))) == [False] * 4 + [True] * 4
    suite = make_suite()
    other_objective = {**suite.trainings, "joint": JOINT + FitOptions(options={"model.objective.reduction": "mean"})}
    assert _changed(replace(suite, trainings=other_objective)) == [False, True] * 4
    monkeypatch.setattr(fingerprints, "__version__", "9")
    assert all(_changed(suite))


def test_missing_data_and_weights_are_told_and_block_only_what_needs_them(
    make_suite: Make, glue_folder: Path, tiny_backbone: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(glue_folder, tmp_path / "data")
    (data / "CoLA" / "train.tsv").unlink()
    made = plan(make_suite(data__root=str(data)), tmp_path)
    assert [run.state for run in made] == [State.TO_DO] * 4 + [State.BLOCKED] * 4
    assert made[4].reason is not None
    assert "no train file of task cola" in made[4].reason
    (data / "CoLA" / "train.tsv").write_text("own\tperhaps\t\ta film\n")
    assert "label 'perhaps' is unknown" in str(plan(make_suite(data__root=str(data)), tmp_path)[4].reason)

    weights = shutil.copytree(tiny_backbone, tmp_path / "weights")
    tensors = weights / "model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-100])
    made = plan(make_suite(model__backbone=str(weights)), tmp_path)
    assert {run.state for run in made} == {State.BLOCKED}
    assert "the weights can't be loaded" in str(made[0].reason)
    made = plan(make_suite(model__num_layers=4), tmp_path)
    assert "4 layers are to be kept of 3" in str(made[0].reason)


def test_test_rows_are_needed_where_they_are_scored(make_suite: Make, glue_folder: Path, tmp_path: Path) -> None:
    data = shutil.copytree(glue_folder, tmp_path / "data")
    suite = make_suite(data__root=str(data), run__test=True)
    test, dev = (data / "SST-2" / name for name in ("test.tsv", "dev.tsv"))
    test.unlink(missing_ok=True)
    (first, *_) = plan(suite, tmp_path)
    assert first.state is State.BLOCKED
    assert "no test file of task sst2" in str(first.reason)
    shutil.copy(dev, test)
    labelled = plan(suite, tmp_path)[0]
    assert labelled.state is State.TO_DO
    test.write_text(dev.read_text().replace("film", "plot", 1))
    assert plan(suite, tmp_path)[0].name != labelled.name
    test.write_text("index\tsentence\n0\ta film\n")
    assert "label" in str(plan(suite, tmp_path)[0].reason)


def test_a_hub_that_does_not_answer_is_asked_once_and_quietly(
    make_suite: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, level = [], huggingface_hub.utils.logging.get_verbosity()

    def refuse(backbone: str) -> None:
        asked.append((backbone, huggingface_hub.utils.logging.get_verbosity()))
        raise BackboneError("no answer")

    monkeypatch.setattr(fingerprints, "load_tokenizer", refuse)
    suite = make_suite(model__backbone="some/model")
    suite = replace(suite, trainings={**suite.trainings, "joint": FitOptions(options={"model.num_layers": 2})})
    assert {run.reason for run in plan(suite, tmp_path)} == {"no answer"}
    assert asked == [("some/model", logging.ERROR)]
    assert huggingface_hub.utils.logging.get_verbosity() == level


def test_a_selection_alone_is_planned(make_suite: Make, tmp_path: Path) -> None:
    made = plan(make_suite(), tmp_path, Selection(tasks=["CoLA"], seeds=[2]))
    assert [run.title for run in made] == ["CoLA, ours, seed 2", "CoLA, joint, seed 2"]


def test_a_run_that_is_at_work_elsewhere_is_told_so(make_suite: Make, tmp_path: Path) -> None:
    suite = make_suite()
    first = plan(suite, tmp_path)[0]
    first.folder.checkpoints.mkdir(parents=True)
    with locked_run(tmp_path, str(first.digest)):
        assert plan(suite, tmp_path)[0].state is State.AT_WORK
    assert plan(suite, tmp_path)[0].state is State.TO_RESUME


@pytest.mark.parametrize("is_old", [False, True])
def test_a_finished_run_is_known_without_its_data(
    is_old: bool, make_suite: Make, glue_folder: Path, tiny_backbone: Path, template: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(glue_folder, tmp_path / "data")
    suite = make_suite(data__root=str(data))
    run = plan(suite, tmp_path)[0]
    _finish(run.folder.path, template, tiny_backbone, data)
    known_by = Identity(options_digest(Identifier().resolve(run.training.fit)))
    if is_old:  # beside the run folder, with more fields
        content = {**asdict(known_by), "data": "", "weights": ""}
        (run.folder.path.parent / IDENTITY).write_text(json.dumps(content))
    else:
        run.folder.write_identity(known_by)
    assert [run.state for run in plan(suite, tmp_path)] == [State.FINISHED] + [State.TO_DO] * 7
    shutil.rmtree(data)
    made = plan(suite, tmp_path)
    assert [run.state for run in made] == [State.FINISHED] + [State.BLOCKED] * 7
    assert made[0].folder.path == run.folder.path
    others = (
        {"data__batch_size": 8},
        {"data__root": str(tmp_path / "typo")},
        {"model__backbone": str(tmp_path / "typo")},
    )
    for other in others:
        made = plan(make_suite(**{"data__root": str(data), **other}), tmp_path)
        assert {run.state for run in made} == {State.BLOCKED}


def test_of_two_runs_of_the_same_options_the_finished_one_counts(
    make_suite: Make, glue_folder: Path, tiny_backbone: Path, template: Path, tmp_path: Path
) -> None:
    suite = make_suite()
    begun = plan(suite, tmp_path)[0].folder.path
    begun.mkdir(parents=True)
    other = begun.parent.with_name("z-" + begun.parent.name.rpartition("-")[2]) / "version_0"
    _finish(other, template, tiny_backbone, glue_folder)
    run = plan(suite, tmp_path)[0]
    assert (run.folder.path, run.state) == (other, State.FINISHED)


def _finish(path: Path, template: Path, backbone: Path, data: Path) -> None:
    shutil.copytree(template, path)
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["model"]["backbone"], config["data"]["root"] = str(backbone), str(data)
    (path / "config.yaml").write_text(yaml.safe_dump(config))


def test_options_that_cannot_be_parsed_are_refused(make_suite: Make, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"did you mean --data\.batch_size"):
        plan(make_suite(data__batch_sise=8), tmp_path)


def test_weights_from_the_hub_are_known_by_their_content(
    tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "models--some--tiny"
    shutil.copytree(tiny_backbone, repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    for module in (huggingface_hub.constants, transformers.utils.hub.constants):
        monkeypatch.setattr(module, "HF_HUB_CACHE", str(tmp_path))
    assert weights_fingerprint("some/tiny") == weights_fingerprint(str(tiny_backbone))
    with pytest.raises(BackboneError):
        weights_fingerprint("some/other")
