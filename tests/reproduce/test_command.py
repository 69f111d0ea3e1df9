"""``ee-lightning reproduce`` as its user drives it, with a stand-in for the trainings."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ee_lightning.cli import main, reproduce
from ee_lightning.reproduce import evaluation
from ee_lightning.reproduce.report import tables
from ee_lightning.reproduce.runner import Runner, write_slurm_array
from ee_lightning.reproduce.suite import FitOptions, Row, Suite, trainings

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
Run = Callable[..., int]


@pytest.fixture
def suite(tmp_path: Path, glue_folder: Path, tiny_backbone: Path) -> Path:
    """Return a suite of one training on two tasks."""
    content = {
        "title": "Two tasks",
        "seeds": [1, 2],
        "options": {
            "data.root": str(shutil.copytree(glue_folder, tmp_path / "glue")),
            "data.max_length": 32,
            "model.backbone": str(tiny_backbone),
        },
        "tasks": {"SST-2": {"options": {"data.task": "sst2"}}, "CoLA": {"options": {"data.task": "cola"}}},
        "trainings": {"ours": {}},
        "rows": [
            {"label": "Ours w/ Patience", "training": "ours", "criterion": "patience"},
            {"label": "Ours w/ Voting", "training": "ours", "criterion": "voting"},
        ],
    }
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


@pytest.fixture
def run(suite: Path, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command on the suite."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reproduce, "Runner", partial(Runner, command=[sys.executable, STAND_IN, str(template)]))
    return lambda *options: main(["reproduce", str(suite), "--root=made", "--no-clock", *options])


def _logs(tmp_path: Path) -> int:
    return len(list(tmp_path.glob("made/logs/*.log")))


def _seeds_of_cells() -> dict[str, set[int]]:
    cells = pd.read_csv("made/tables/mine/tables.csv")
    return {str(task): set(of_task["seeds"]) for task, of_task in cells.groupby("task")}


def test_the_plan_comes_first_and_the_tables_last(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--plan") == 0
    planned = capsys.readouterr().out
    assert planned.startswith(
        "mine: Two tasks\n"
        "4 trainings for 2 rows: 4 to do\n"
        "estimated time: not known, none of them was trained on this machine yet\n"
    )
    assert "│ ours     │ Ours w/ Patience, Ours w/ Voting │ 0 of 2 │ 0 of 2 │" in planned
    assert not Path("made").exists()

    assert run() == 0
    printed = capsys.readouterr().out
    assert printed.startswith(planned)
    lines = printed.removeprefix(planned).splitlines()
    assert [line.split(" in ")[0] for line in lines if line.startswith(("[", "tables"))] == [
        "[1/4] SST-2, ours, seed 1: finished",
        "[2/4] SST-2, ours, seed 2: finished",
        "[3/4] CoLA, ours, seed 1: finished",
        "[4/4] CoLA, ours, seed 2: finished",
        "tables: made/tables/mine",
    ]
    assert _seeds_of_cells() == {"SST-2": {2}, "CoLA": {2}, "avg": {2}}

    assert run() == 0
    assert "4 trainings for 2 rows: 4 finished\nestimated time: none, nothing is left" in capsys.readouterr().out
    assert _logs(tmp_path) == 4


def test_some_trainings_can_be_run_and_the_time_of_their_like_is_known(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--tasks=SST-2", "--seeds=1", "--runs-only") == 0
    assert not Path("made/tables/mine").exists()
    assert _logs(tmp_path) == 1
    capsys.readouterr()
    assert run("--plan") == 0
    planned = capsys.readouterr().out
    assert "4 trainings for 2 rows: 1 finished, 3 to do\nestimated time: " in planned
    assert " s, without CoLA, of which nothing was trained on this machine yet\n" in planned
    assert run("--tasks=STS-B") == 1
    assert "use one of SST-2, CoLA" in capsys.readouterr().err


def test_a_training_that_no_row_needs_can_not_be_asked_for(
    run: Run, suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load(suite.read_text())
    suite.write_text(yaml.safe_dump({**content, "trainings": {"ours": {}, "spare": {}}}))
    for written in ("--slurm=array.sh", "--wandb-sweep=sweep.yaml"):
        assert run("--trainings=spare", written) == 1
        assert "use one of ours" in capsys.readouterr().err


def test_without_data_nothing_starts_unless_the_rest_is_wanted(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "glue" / "CoLA" / "dev.tsv").unlink()
    assert run() == 1
    printed = capsys.readouterr()
    assert "4 trainings for 2 rows: 2 to do, 2 can't be run" in printed.out
    assert "can't be run: CoLA, ours, seed 1, and 1 more: no validation file of task cola" in printed.out
    assert "│ 0 of 2 │    – │" in printed.out
    assert printed.err.startswith("error: 2 of 4 trainings can't be run, so nothing is started")
    assert not Path("made").exists()
    assert run("--plan") == 1
    assert run("--plan", "--keep-going") == 0
    assert run("--plan", "--tasks=CoLA") == 1
    assert "estimated time: none, nothing can be started" in capsys.readouterr().out

    assert run("--keep-going") == 1
    assert "error: of 4 trainings 0 failed, and 2 can't be run" in capsys.readouterr().err
    assert _logs(tmp_path) == 2
    assert _seeds_of_cells() == {"SST-2": {2}}


def test_a_job_reads_only_the_data_of_its_own_training(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "glue" / "CoLA" / "dev.tsv").unlink()
    plan = reproduce.plan
    planned = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reproduce, "plan", lambda *given: planned.append(plan(*given)) or planned[-1])
        assert run("--tasks=SST-2", "--seeds=1", "--runs-only") == 0
    assert [run.title for run in planned[0]] == ["SST-2, ours, seed 1"]


def test_the_tables_are_there_before_the_clock_and_written_again_after_it(
    run: Run, suite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", str(suite), "--root=made", "--plan"]) == 0
    assert "\nthen the rows of every finished run are measured on the clock" in capsys.readouterr().out
    assert run("--seeds=1", "--runs-only") == 0
    done = []
    monkeypatch.setattr(tables, "write_report", lambda *_: done.append("tables"))
    for measured in (False, True):
        monkeypatch.setattr(evaluation, "measure_rows", lambda *_, measured=measured: done.append("clock") or measured)
        assert main(["reproduce", str(suite), "--root=made", "--seeds=1"]) == 0
    assert done == ["tables", "clock", "tables", "clock", "tables"]


def test_a_suite_without_a_backbone_says_how_to_give_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "study", "--plan"]) == 1
    told = capsys.readouterr().err
    assert "hint:  ee-lightning reproduce study --model.backbone DIR --data.root DIR\n" in told
    assert "demo.yaml" not in told


def test_what_failed_is_told_with_its_log(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "runs").touch()  # a file where a folder has to be
    assert run("--seeds=1") == 1
    printed = capsys.readouterr()
    assert "SST-2, ours, seed 1 failed: Not a directory: made/runs/SST-2-ours-1-" in printed.err
    assert "\n  log: made/logs/SST-2-ours-1-" in printed.err
    assert "of 2 trainings 2 failed, and 0 can't be run" in printed.err


def test_options_of_fit_reach_every_training(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("more.yaml").write_text("trainer: {max_epochs: 2}\n")
    others = ["--config", "more.yaml", "--data.batch_size", "16", "--data.num_workers=1"]
    assert run("--tasks=CoLA", "--seeds=1", *others) == 0
    (log,) = tmp_path.glob("made/logs/*.log")
    command = log.read_text().splitlines()[0]
    assert "--config=more.yaml" in command
    assert "--data.batch_size=16" in command
    assert run("--data.batch_sise=16") == 1
    assert "did you mean --data.batch_size?" in capsys.readouterr().err
    assert run("--trainigns=ours") == 1
    assert "did you mean --trainings? 'ee-lightning reproduce --help'" in capsys.readouterr().err
    assert run("--data.batch_size") == 1
    assert "'--data.batch_size' is no option with a value" in capsys.readouterr().err
    assert run("--seed_everything=7") == 1
    assert "the option seed_everything is given by the suite" in capsys.readouterr().err
    assert _logs(tmp_path) == 1


def test_a_plan_is_not_asked_for_with_a_file(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--plan", "--slurm=array.sh") == 1
    assert "a plan writes nothing" in capsys.readouterr().err
    assert not Path("array.sh").exists()


def test_a_row_that_its_runs_can_not_give_is_told(run: Run, suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = yaml.safe_load(suite.read_text())
    content["rows"].append({"label": "Gated", "training": "ours", "criterion": "gate"})
    suite.write_text(yaml.safe_dump(content))
    assert run("--tasks=CoLA", "--seeds=1") == 0
    assert "left out: ours on CoLA, seed 1, Gated: " in capsys.readouterr().out
    content["rows"] = [{"label": "Fast", "training": "ours", "criterion": "voting", "speedup": 100}]
    suite.write_text(yaml.safe_dump(content))
    assert run("--tasks=CoLA", "--seeds=1") == 0
    assert "No row of this suite has a score yet." in Path("made/tables/mine/tables.md").read_text()
    assert list(pd.read_csv("made/tables/mine/tables.csv").columns)[:2] == ["suite", "row"]


def test_a_slurm_array_has_a_job_a_training(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--slurm=array.sh", "--data.batch_size=16") == 0
    assert capsys.readouterr().out == "4 trainings are written as a SLURM array: sbatch array.sh\n"
    script = Path("array.sh").read_text()
    assert "#SBATCH --array=0-3\n" in script
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "srun").write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    (tools / "srun").chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    for index, chosen in ((0, ["SST-2", 1]), (3, ["CoLA", 2])):
        environment = {"PATH": path, "SLURM_ARRAY_TASK_ID": str(index)}
        done = subprocess.run(["bash", "array.sh"], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[1:] == [
            "-m", "ee_lightning", "reproduce", str(tmp_path / "mine.yaml"), "--root=made", "--no-clock", "--runs-only",
            "--data.batch_size=16", f"--tasks={chosen[0]}", "--trainings=ours", f"--seeds={chosen[1]}",
        ]  # fmt: skip


def test_a_slurm_array_takes_names_as_they_are(tmp_path: Path) -> None:
    odd = "A 'b' $(touch ran) \"c\"; `touch ran` {x}"
    suite = Suite("odd", "", FitOptions(), {odd: FitOptions()}, {odd: FitOptions()}, [1], [Row("r", odd)])
    script = tmp_path / "array.sh"
    write_slurm_array(script, suite, trainings(suite), ["printf", "%s\\n", odd], ["tables"])
    (tmp_path / "srun").write_text('#!/bin/bash\n"$@"\n')
    (tmp_path / "srun").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "0"}
    done = subprocess.run(["bash", script], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == [odd, f"--tasks={odd}", f"--trainings={odd}", "--seeds=1"]
    assert not (tmp_path / "ran").exists()


def test_a_sweep_has_a_run_a_training(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--wandb-sweep=sweep.yaml") == 0
    capsys.readouterr()
    sweep = yaml.safe_load(Path("sweep.yaml").read_text())
    assert sweep["method"] == "grid"
    values = {name: parameter["values"] for name, parameter in sweep["parameters"].items()}
    assert values == {"tasks": ["SST-2", "CoLA"], "trainings": ["ours"], "seeds": [1, 2]}
    program, *words = sweep["command"]
    assert (sweep["program"], program, words[:3]) == (sys.executable, "${program}", ["-m", "ee_lightning", "reproduce"])
    chosen = [f"--{name}={options[-1]}" for name, options in values.items()]  # as W&B renders ${args}
    arguments = [part for word in words[2:] for part in (chosen if word == "${args}" else [word])]
    assert main([*arguments, "--plan"]) == 0
    assert "1 training for 2 rows: 1 to do" in capsys.readouterr().out
