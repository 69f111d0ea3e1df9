"""``ee-lightning tables`` and ``fetch-run``: many runs in one table, and one from W&B."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from ee_lightning.analysis.comparison import ComparedRun, compared_run, print_comparison
from ee_lightning.analysis.comparison import compare as compare_runs
from ee_lightning.cli.command import OutputFile
from ee_lightning.cli.paper import draw, paper_table, tell_differences, training_runs
from ee_lightning.errors import OptionError, RunFolderError, first_line, require_one_of, shown
from ee_lightning.files import read_yaml, reading, written_whole
from ee_lightning.runs.folder import RunFolder

RESOLVED_CONFIG = "resolved_config"
"""The key under which W&B has the options of a run."""
_PATIENCE = 20
"""Seconds that W&B may be silent."""
_FIGURE = re.compile(r"(val|test)/(.+)/(area|score_at_[\d.]+x)")
_WRITTEN, _DRAWN = (".csv", ".md", ".tex"), (".png", ".pdf", ".svg")
_SPLITS = {"val": "validation", "test": "test"}


def tables(
    folders: Annotated[list[Path], "[FOLDER ...]"],
    *,
    wandb: Annotated[str | None, "ENTITY/PROJECT"] = None,
    metric: str | None = None,
    compare: Annotated[str | None, "METHOD"] = None,
    against: Annotated[str | None, "METHOD"] = None,
    output: OutputFile | None = None,
    plot: OutputFile | None = None,
) -> None:
    """Compare the finished training runs below some folders, or of a W&B project.

    Runs of one name that differ only in the seed are one row, with mean and standard deviation.

    Args:
        folders: Folders with run folders, such as runs.
        wandb: Take the runs of this project instead.
        metric: The metric to print, in place of every task's first; the CSV file has all.
        compare: Test a method, such as confidence or 'ours: confidence', with --against.
        against: The method that it is tested against, over the same seeds and rows.
        output: A file for the table: .csv, or for a paper .md or .tex, in which the best is bold where it is
            significantly better.
        plot: A picture of the runs, each by its best criterion: .png, .pdf or .svg.
    """
    if bool(folders) == bool(wandb):
        raise OptionError(
            "folders are needed, or else --wandb ENTITY/PROJECT, and not both",
            where="the command line",
            hint="'ee-lightning tables --help' lists the options",
        )
    for option, file, kinds in (("--output", output, _WRITTEN), ("--plot", plot, _DRAWN)):
        if file is not None:
            require_one_of(file.suffix.lower(), kinds, option)
    if (compare is None) != (against is None) or (wandb and (compare or plot)):
        what = "--compare and --against go together, and they and --plot need run folders"
        raise OptionError(what, where="the command line", hint="name two methods, and folders")
    sources = _of_project(wandb) if wandb else _of_folders(folders)
    finished = [found for _, found in sources if found is not None]
    unfinished = [name for name, found in sources if found is None]
    if not finished:
        raise RunFolderError(
            "there is no finished training run",
            where=wandb or ", ".join(map(str, folders)),
            hint="name a folder of run folders, such as runs, or one of them, or a W&B project that fit logged to",
        )
    table = compare_runs(finished)
    if metric is not None:
        require_one_of(metric, table["metric"].unique(), "--metric")
    print_comparison(table, metric)
    if unfinished:
        print(f"left out, because they did not finish: {shown(', '.join(unfinished), 1500)}")
    if compare is not None and against is not None:
        tell_differences(folders, compare, against)
    if output is not None:
        with written_whole(output) as file:
            if output.suffix.lower() == ".csv":
                table.to_csv(file, index=False)
            else:
                file.write_text(paper_table(table, folders, metric, output.suffix.lower()), encoding="utf-8")
        print(f"saved: {output}")
    if plot is not None:
        draw(folders, plot)
        print(f"picture: {plot}")


def fetch_run(run: Annotated[str, "ENTITY/PROJECT/RUN"], *, root: Path = Path("runs")) -> None:
    """Restore a run folder from W&B, where it was logged with log_model or by choose --wandb.

    Args:
        run: The W&B run; or, for another version than the latest, the artifact: ENTITY/PROJECT/run_folder-RUN:v0.
        root: The folder of all run folders.
    """
    from ee_lightning.tracking.artifacts import fetch_run_folder  # which takes seconds

    print(f"run folder: {fetch_run_folder(run, root).path}")


def _of_folders(paths: Sequence[Path]) -> list[tuple[str, ComparedRun | None]]:
    return [(str(folder.path), _read(folder) if folder.is_finished else None) for folder in training_runs(paths)]


def _read(folder: RunFolder) -> ComparedRun:
    with reading(folder.config, hint="leave this run folder out"):
        return compared_run(read_yaml(folder.config), folder.read_summary())


def _of_project(project: str) -> list[tuple[str, ComparedRun | None]]:
    """Return the training runs of a W&B project, by their ids, those that are not finished without figures."""
    from ee_lightning.tracking.start import open_api  # which takes seconds

    api = open_api(f"--wandb {project}", _PATIENCE)
    try:
        runs = [run for run in api.runs(project, lazy=False) if RESOLVED_CONFIG in run.config]
    except Exception as error:  # wandb has no class in common for what it raises here
        raise OptionError(
            f"W&B does not give the runs: {first_line(error)}",
            where=f"--wandb {project}",
            hint="log in (wandb login), and write ENTITY/PROJECT as in the address of the project's page",
        ) from error
    return [
        (run.id, compared_run(run.config[RESOLVED_CONFIG], summary) if run.state == "finished" and summary else None)
        for run in runs
        for summary in [_summary(_task_of(run.config[RESOLVED_CONFIG]["data"]), run.summary_metrics)]
    ]


def _task_of(data: dict[str, Any]) -> str:
    """Return the name of the task, which for your own data module is its class's."""
    return str(data["task"] if "task" in data else data["class_path"].rpartition(".")[2])


def _summary(task: str, logged: dict[str, Any]) -> dict[str, Any]:
    """Turn what W&B has of a run's figures, those of the primary metric, into those of ``summary.json``."""
    summary: dict[str, Any] = {}
    for stage, split in _SPLITS.items():
        if (full := logged.get(f"{stage}/full_model/score")) is not None:
            summary[split] = {"task": task, "metrics": ["score"], "full_model": {"score": full}, "criteria": {}}
    for name, value in logged.items():
        if (found := _FIGURE.fullmatch(name)) and (split := _SPLITS[found[1]]) in summary:
            summary[split]["criteria"].setdefault(found[2], {"score": {}})["score"][found[3]] = value
    return summary
