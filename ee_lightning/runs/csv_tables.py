"""The tables of a run folder: curves, speeds and exits' scores as CSV files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ee_lightning.exits import Curve
from ee_lightning.exits.curve import BAND_ENDS
from ee_lightning.exits.threshold import from_numbers
from ee_lightning.files import reading, typed, written_whole
from ee_lightning.runs.figures import MeasuredSpeed

POINT = ("split", "criterion", "threshold", "speedup", "mean_exit")
_ROUNDING = 1e-9


def points_of(split: str, curves: Sequence[Curve], *, all_points: bool = False) -> pd.DataFrame:
    """Return the operating points of some curves of a split, one a row: all, or those of `Curve.telling`."""
    shown = curves if all_points else [curve.telling() for curve in curves]
    tables = []
    for curve in shown:
        table = curve.to_frame()
        table.insert(0, "split", split)
        table.insert(1, "criterion", curve.criterion)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def read_curves(path: Path) -> dict[str, list[Curve]]:
    """Read the curves of every split, in order; raise a `ValueError` where the file is damaged."""
    curves: dict[str, list[Curve]] = {}
    points = pd.read_csv(path, dtype={"split": str, "criterion": str})
    _check_points(points)
    for (split, criterion), rows in points.groupby(["split", "criterion"], sort=False):
        curves.setdefault(split, []).append(_curve(criterion, rows.dropna(axis="columns")))
    return curves


def read_speeds(path: Path) -> dict[str, list[MeasuredSpeed]]:
    """Read the measured speeds of every split, in order; raise a `ValueError` where the file is damaged."""
    measured = pd.read_csv(path, dtype={"batch_size": str, "torch": str, "threshold": str})
    _check_named(measured, "split", "threshold")
    measured["threshold"] = measured["threshold"].map(from_numbers)
    return {
        str(split): typed(list[MeasuredSpeed], rows.drop(columns="split").to_dict("records"))
        for split, rows in measured.groupby("split", sort=False)
    }


def write_rows(
    path: Path, rows: pd.DataFrame | list[dict[str, Any]], fixed: Sequence[str], key: Sequence[str], hint: str
) -> None:
    """Write rows into a CSV file in place of those with the same key, beside the others.

    Args:
        path: The file; it need not be there.
        rows: The rows.
        fixed: Columns that a file which is there must have.
        key: Columns by which rows take the place of others.
        hint: How to write the file again if it is damaged.
    """
    rows = pd.DataFrame(rows)
    if path.is_file():
        with reading(path, hint=f"delete it, and {hint}"):
            others = pd.read_csv(path)
            _check_columns(others, fixed)
        written, now = (pd.MultiIndex.from_frame(some[list(key)]) for some in (others, rows))
        rows = pd.concat([others[~written.isin(now)], rows], ignore_index=True)
    with written_whole(path) as file:
        rows.to_csv(file, index=False)


def _check_columns(rows: pd.DataFrame, needed: Sequence[str]) -> None:
    if lacking := [column for column in needed if column not in rows]:
        raise ValueError(f"it lacks the columns {', '.join(lacking)}")


def _check_named(rows: pd.DataFrame, *columns: str) -> None:
    for column in columns:
        if rows[column].isna().any():
            raise ValueError(f"a row has no {column}")


def _check_points(points: pd.DataFrame) -> None:
    """Raise an error for operating points that are none: without a name, or with a speed-up or an exit below 1."""
    _check_columns(points, POINT)
    _check_named(points.astype({"threshold": float}), "split", "criterion", "threshold")
    for name in ("speedup", "mean_exit"):
        if not points[name].astype("float64").between(1 - _ROUNDING, float("inf"), inclusive="left").all():
            raise ValueError(f"a row has a {name} that is no number from 1")


def _curve(criterion: str, points: pd.DataFrame) -> Curve:
    columns = {name: torch.tensor(points[name].to_numpy(), dtype=torch.float64) for name in points.columns[2:]}
    thresholds, speedup, mean_exit = (columns.pop(name) for name in ("threshold", "speedup", "mean_exit"))
    num_layers = round((speedup * mean_exit)[0].item())
    suffixes = tuple(f"_{end}" for end in BAND_ENDS)
    scores = {name: values for name, values in columns.items() if not name.endswith(suffixes)}
    ends = {name: [columns.get(f"{name}{suffix}") for suffix in suffixes] for name in scores}
    return Curve(
        criterion,
        num_layers,
        attained=thresholds,
        thresholds=thresholds,
        mean_exit=mean_exit,
        scores=scores,
        bands={name: (low, high) for name, (low, high) in ends.items() if low is not None and high is not None},
    )
