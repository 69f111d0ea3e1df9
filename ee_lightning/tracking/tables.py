"""What a sweep finds, as rows for trackers of experiments."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ee_lightning.analysis.sweep import Sweep
from ee_lightning.exits import Curve
from ee_lightning.functional import Kind

_MOST_CLASSES = 30


class Rows(NamedTuple):
    """A table: the names of its columns, and its rows."""

    columns: Sequence[str]
    data: Sequence[Sequence[Any]]


def tables_of_epoch(found: Sweep) -> dict[str, Rows]:
    """Return the tables of a sweep after an epoch, by the names that they are logged under: every exit's scores."""
    scores = found.exit_scores
    by_exit = [[exit_layer, *row] for exit_layer, row in enumerate(zip(*scores.values(), strict=True), 1)]
    return {f"{found.stage}/exits": Rows(["exit", *scores], by_exit)}


def tables_of(found: Sweep) -> dict[str, Rows]:
    """Return the tables of an evaluation, by the names that they are logged under.

    These are ``<stage>/curves``, the operating points of ``curves.csv``, ``<stage>/exits``, every exit's scores,
    ``<stage>/exit_histograms``, where samples leave at the named speed-ups, and but for regression
    ``<stage>/pairs_of_exits``, how these differ. Where there is one label a sample, ``<stage>/classes`` has the figures
    of every class at the last exit.
    """
    stage = found.stage
    tables = {
        f"{stage}/curves": _operating_points(found),
        **tables_of_epoch(found),
        f"{stage}/exit_histograms": Rows(["criterion", "at", "exit", "samples"], [*_leaving(found)]),
    }
    if (diversity := found.diagnostics.get("diversity")) is not None:
        matrices = [measure["matrix"] for measure in diversity.values()]
        pairs = [
            [earlier + 1, later + 1, *(matrix[earlier][later] for matrix in matrices)]
            for earlier, later in combinations(range(len(matrices[0])), 2)
        ]
        tables[f"{stage}/pairs_of_exits"] = Rows(["exit", "later_exit", *diversity], pairs)
    if (counts := confusion(found)) is not None:
        tables[f"{stage}/classes"] = Rows(
            ["class", "samples", "precision", "recall", "f1"],
            [[number, *figures] for number, figures in enumerate(_of_classes(counts))],
        )
    return tables


def confusion(found: Sweep) -> Tensor | None:
    """Count the samples of each class, by what the last exit says of them.

    Returns:
        Counts of shape [classes, said]; None of values, of several labels a sample, or of more than 30 classes.
    """
    exits = found.exits
    if exits.target.kind is not Kind.SINGLE_LABEL or exits.num_classes > _MOST_CLASSES:
        return None
    pairs = exits.class_numbers() * exits.num_classes + exits.predictions[-1]  # [samples]
    return torch.bincount(pairs, minlength=exits.num_classes**2).view(exits.num_classes, exits.num_classes)


def _operating_points(found: Sweep) -> Rows:
    """Return them with thresholds as text, as the command line takes them: the first is ``inf``, no number of JSON."""
    metrics = found.summary["metrics"]
    rows = []
    for curve in map(Curve.telling, found.curves):
        columns = [curve.thresholds, curve.speedup, curve.mean_exit, *(curve.scores[name] for name in metrics)]
        points = zip(*(column.tolist() for column in columns), strict=True)
        rows += [[curve.criterion, str(threshold), *point] for threshold, *point in points]
    return Rows(["criterion", "threshold", "speedup", "mean_exit", *metrics], rows)


def _leaving(found: Sweep) -> Iterator[list[Any]]:
    for criterion, by_speedup in found.diagnostics["exit_histograms"].items():
        for at, histogram in by_speedup.items():
            if histogram is not None:
                yield from ([criterion, at, exit_layer, n] for exit_layer, n in enumerate(histogram["samples"], 1))


def _of_classes(counts: Tensor) -> Iterator[list[float]]:
    for number, row in enumerate(counts.tolist()):
        right, samples, said = row[number], sum(row), int(counts[:, number].sum())
        precision, recall = right / max(1, said), right / max(1, samples)
        yield [samples, precision, recall, 2 * right / max(1, said + samples)]
