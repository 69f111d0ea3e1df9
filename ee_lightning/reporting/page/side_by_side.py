"""What a page holds of several runs: a line a configuration, folded over seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ee_lightning.analysis.comparison import FIGURES, compare, compared_run, configurations, named_alike, shared_metric
from ee_lightning.analysis.sweep import Sweep
from ee_lightning.exits.drawing import mean_curve
from ee_lightning.files import read_yaml, reading
from ee_lightning.reporting.page.packing import finite, packed
from ee_lightning.runs.folder import RunFolder

Shown = tuple[RunFolder, Sweep]


def compared(shown: Sequence[Shown]) -> list[dict[str, Any]]:
    """Return, task by task, curves and figures of configurations and criteria, over their seeds."""
    runs = []
    for folder, found in shown:
        with reading(folder.config, hint="leave this run folder out"):
            runs.append(compared_run(read_yaml(folder.config), {found.split: found.summary}))
    runs = named_alike(runs)
    names = configurations(runs)
    tasks = dict.fromkeys((found.summary["task"], found.split, found.exits.layers_of_exits[-1]) for _, found in shown)
    return [
        _of_task(
            *key, [(name, run, each) for name, run, each in zip(names, runs, shown, strict=True) if _is_of(each, key)]
        )
        for key in tasks
    ]


def _is_of(shown: Shown, key: tuple[str, str, int]) -> bool:
    _, found = shown
    return (found.summary["task"], found.split, found.exits.layers_of_exits[-1]) == key


def _of_task(task: str, split: str, depth: int, runs: Sequence[tuple[str, Any, Shown]]) -> dict[str, Any]:
    metric = shared_metric({folder.path: found.summary["metrics"] for *_, (folder, found) in runs}, f"{task} {split}")
    lines = []
    for name in dict.fromkeys(name for name, _, _ in runs):
        of_one = [(run, found) for other, run, (_, found) in runs if other == name]
        figures = compare([run for run, _ in of_one])
        for criterion in of_one[0][1].criteria:
            curves = [curve for _, found in of_one for curve in found.curves if curve.criterion == criterion.name]
            if len(curves) < len(of_one):
                continue
            _, scores = mean_curve(curves, metric)  # [seeds, points]
            of_criterion = figures[(figures["criterion"] == criterion.name) & (figures["metric"] == metric)].iloc[0]
            lines.append(
                {
                    "name": name,
                    "criterion": criterion.name,
                    "runs": len(of_one),
                    "mean": _line(scores.mean(0)),
                    "deviation": _line(scores.std(0, ddof=1)) if len(scores) > 1 else None,
                    "figures": [
                        [finite(float(of_criterion[column])) for column in (each, f"{each}_std")]
                        for each in FIGURES.values()
                    ],
                }
            )
    return {"task": task, "split": split, "depth": depth, "metric": metric, "heads": [*FIGURES], "lines": lines}


def _line(percents: NDArray[np.float64]) -> dict[str, str]:
    """Return shares, from slow to fast, packed; NaN where a curve does not reach."""
    return packed(percents / 100, "f4")
