"""What `tables` makes of run folders beside its table: tests, tables for a paper, and a picture."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pandas as pd

from ee_lightning.analysis.comparison import ComparedRun, compared_run, configurations, named_alike
from ee_lightning.analysis.significance import SPEEDUPS, Place, Scored, by_place, difference, scored
from ee_lightning.errors import OptionError, listed
from ee_lightning.exits import Curve
from ee_lightning.files import UNFINISHED, read_yaml, reading, written_whole
from ee_lightning.runs.folder import RunFolder


def training_runs(path: Path) -> Iterator[RunFolder]:
    """Find the folders of training runs at and below a folder, each once, but for those that are being fetched."""

    def fail(error: OSError) -> NoReturn:
        raise error

    for place in sorted(place for place, folders, _ in os.walk(path, onerror=fail) if "checkpoints" in folders):
        folder = RunFolder(place)
        if folder.config.is_file() and not folder.path.name.endswith(UNFINISHED):
            yield folder


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
                print(f"  {speedup:g}x: no seed has both on the same rows")
                continue
            shown = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.2g}"
            ahead = f"ahead for {found.num_ahead} of {found.num_seeds} seeds"
            print(f"  {speedup:g}x: {found.value:+.1f} ({found.low:+.1f} to {found.high:+.1f}), {shown}, {ahead}")


def _is(named: str, place: Place) -> bool:
    return named in (place[3], f"{place[2]}: {place[3]}")


def draw(folders: Sequence[Path], file: Path) -> None:
    """Draw every configuration, by its criterion of the largest area, on axes for each task and split."""
    from ee_lightning.reporting.run_tables import draw_runs  # the extra `plot`

    lines: dict[tuple[str, str], dict[str, list[Curve]]] = {}
    metrics: dict[tuple[str, str], str] = {}
    for folder, _, configuration in _finished(folders):
        curves = folder.read_curves()
        for split, figures in folder.read_summary().items():
            place, metric = (figures["task"], split), figures["metrics"][0]
            if not figures["criteria"]:
                continue
            areas = {name: by_metric[metric]["area"] or 0.0 for name, by_metric in figures["criteria"].items()}
            of_line = lines.setdefault(place, {})
            known = next((name for name in of_line if name.startswith(f"{configuration}: ")), None)
            name = known or f"{configuration}: {max(areas, key=lambda each: areas[each])}"
            criterion = name.removeprefix(f"{configuration}: ")
            of_line.setdefault(name, []).extend(each for each in curves.get(split, []) if each.criterion == criterion)
            metrics[place] = metric
    with written_whole(file) as unfinished:
        draw_runs(lines, metrics).savefig(unfinished, format=file.suffix[1:].lower())


def _finished(paths: Sequence[Path]) -> list[tuple[RunFolder, ComparedRun, str]]:
    """Return the finished runs below some folders, and the configuration of each."""
    found = [folder for path in paths for folder in training_runs(path) if folder.is_finished]
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
