"""What `tables` makes of run folders beside its table: tests, tables for a paper, and a picture."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NoReturn

import pandas as pd

from ee_lightning.analysis.comparison import ComparedRun, compared_run, configurations, named_alike, shared_metric
from ee_lightning.analysis.significance import SPEEDUPS, Place, Scored, by_place, difference, scored
from ee_lightning.errors import OptionError, listed
from ee_lightning.exits import Curve
from ee_lightning.files import UNFINISHED, read_yaml, reading, written_whole
from ee_lightning.runs.folder import RunFolder


def training_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """Find the folders of training runs at and below some folders, each once, but for those that are being fetched."""

    def fail(error: OSError) -> NoReturn:
        raise error

    found = dict[Path, RunFolder]()
    for path in paths:
        for place in sorted(place for place, folders, _ in os.walk(path, onerror=fail) if "checkpoints" in folders):
            folder = RunFolder(place)
            if folder.config.is_file() and not folder.path.name.endswith(UNFINISHED):
                found.setdefault(folder.path.resolve(), folder)
    return list(found.values())


def paper_table(table: pd.DataFrame, folders: Sequence[Path], metric: str | None, kind: str) -> str:
    """Return the table as Markdown (``.md``) or LaTeX (``.tex``)."""
    from ee_lightning.reporting.run_tables import as_latex, as_markdown, run_tables  # the extra `plot`

    tables = [*run_tables(table, _methods(folders), metric)]
    return as_markdown(tables) if kind == ".md" else as_latex(tables)


def tell_differences(folders: Sequence[Path], one: str, other: str) -> None:
    """Print by how much a method is better than another, on every task and at every named speed-up."""
    methods = _methods(folders)
    pairs = [
        (place, rival)
        for place in methods
        for rival in methods
        if place[:2] == rival[:2] and _is(one, place) and _is(other, rival) and place != rival
        if ": " in one + other or place[2] == rival[2]
    ]
    if not pairs:
        known = listed(dict.fromkeys(f"{configuration}: {criterion}" for _, _, configuration, criterion in methods))
        what = f"no task has both {one} and {other}, of the same configuration unless it is named"
        raise OptionError(what, where="--compare", hint=f"these are known: {known}")
    for place, rival in pairs:
        task, split, configuration, criterion = place
        print(f"\n{task} {split}: {configuration}: {criterion} against {rival[2]}: {rival[3]}, points (95 % interval)")
        for speedup in SPEEDUPS:
            found = difference(methods[place], methods[rival], speedup)
            if found is None:
                print(f"  {speedup:g}x: no seed has both on the same rows and so fast")
                continue
            shown = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.2g}"
            ahead = f"ahead for {found.num_ahead} of {found.num_seeds} seeds"
            print(f"  {speedup:g}x: {found.value:+.1f} ({found.low:+.1f} to {found.high:+.1f}), {shown}, {ahead}")


def _is(named: str, place: Place) -> bool:
    return named in (place[3], f"{place[2]}: {place[3]}")


def draw(folders: Sequence[Path], file: Path) -> None:
    """Draw every configuration, by its criterion of the largest mean area, on axes for each task and split.

    Raises:
        OptionError: Runs that share axes have no metric in common.
    """
    from ee_lightning.reporting.run_tables import draw_runs  # the extra `plot`

    swept: dict[tuple[str, str], list[tuple[RunFolder, str, Mapping[str, Any], Sequence[Curve]]]] = {}
    for folder, _, configuration in _finished(folders):
        curves = folder.read_curves()
        for split, figures in folder.read_summary().items():
            if figures["criteria"]:
                of_run = (folder, configuration, figures, curves.get(split, []))
                swept.setdefault((figures["task"], split), []).append(of_run)
    lines: dict[tuple[str, str], dict[str, list[Curve]]] = {}
    metrics: dict[tuple[str, str], str] = {}
    for place, runs in swept.items():
        metric = shared_metric({folder.path: figures["metrics"] for folder, _, figures, _ in runs}, " ".join(place))
        metrics[place], lines[place] = metric, {}
        for name in dict.fromkeys(configuration for _, configuration, *_ in runs):
            of_one = [(figures, curves) for _, configuration, figures, curves in runs if configuration == name]
            criterion = _best_criterion([figures["criteria"] for figures, _ in of_one], metric)
            every = [curve for _, curves in of_one for curve in curves]
            lines[place][f"{name}: {criterion}"] = [curve for curve in every if curve.criterion == criterion]
    with written_whole(file) as unfinished:
        draw_runs(lines, metrics).savefig(unfinished, format=file.suffix[1:].lower())


def _best_criterion(runs: Sequence[Mapping[str, Any]], metric: str) -> str:
    """Return the criterion of the largest mean area among those that most runs have, given the criteria of each."""
    areas: dict[str, list[float]] = {}
    for criteria in runs:
        for name, by_metric in criteria.items():
            areas.setdefault(name, []).append(by_metric[metric]["area"] or 0.0)
    return max(areas, key=lambda name: (len(areas[name]), fmean(areas[name])))


def _finished(paths: Sequence[Path]) -> list[tuple[RunFolder, ComparedRun, str]]:
    """Return the finished runs below some folders, and the configuration of each."""
    found = [folder for folder in training_runs(paths) if folder.is_finished]
    runs = []
    for folder in found:
        with reading(folder.config, hint="leave this run folder out"):
            runs.append(compared_run(read_yaml(folder.config), folder.read_summary()))
    return [*zip(found, runs, configurations(named_alike(runs)), strict=True)]


def _methods(paths: Sequence[Path]) -> dict[Place, dict[int, Scored]]:
    """Score every method of the runs, by seed."""
    return by_place(
        [
            (int(read_yaml(folder.config).get("seed_everything", 0)), place, each)
            for folder, _, configuration in _finished(paths)
            for place, each in scored(folder, configuration)
        ]
    )
