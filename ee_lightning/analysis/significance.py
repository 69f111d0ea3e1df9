"""Whether a method is better than another: paired over seeds and resampled rows, from stored exits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ee_lightning.analysis.comparison import Difference, mean_difference
from ee_lightning.analysis.sweep import named, sweep_exits
from ee_lightning.exits.bands import Bands
from ee_lightning.runs.figures import NAMED_SPEEDUPS
from ee_lightning.runs.folder import RunFolder

SPEEDUPS = tuple(speedup for speedup in NAMED_SPEEDUPS if speedup > 1)
SIGNIFICANT = 0.05
Place = tuple[str, str, str, str]
"""Task, split, configuration and criterion."""


@dataclass(frozen=True, eq=False)
class Scored:
    """A criterion's first metric at :data:`SPEEDUPS`, on the rows and on resamples, [1 + resamples, speed-ups].

    The ``ids`` name the rows, [samples].
    """

    scores: Tensor
    ids: Tensor


def scored(folder: RunFolder, configuration: str) -> Iterator[tuple[Place, Scored]]:
    """Score the criteria of a run, on every split that it has, but for those that can't be computed again."""
    calibration = folder.read_calibration()
    for split, figures in folder.read_summary().items():
        if not folder.has_exits(split):
            continue
        exits, metric = folder.read_exits(split), figures["metrics"][0]
        criteria, _ = named(list(figures["criteria"]), exits, calibration)
        found = sweep_exits(criteria, exits, calibration, split=split, task=figures["task"], metrics=[metric])
        bands = Bands(exits)
        for curve, criterion in zip(found.curves, criteria, strict=False):
            place = (figures["task"], split, configuration, criterion.name)
            yield place, Scored(bands.scores_at(curve, criterion, metric, SPEEDUPS), exits.ids)


def difference(one: Mapping[int, Scored], other: Mapping[int, Scored], speedup: float) -> Difference | None:
    """Test the difference of two methods, scored by seed, at one of :data:`SPEEDUPS`, over the seeds that both have.

    None where there is no such seed, one does not reach the speed-up, or they are of other rows.
    """
    at = SPEEDUPS.index(speedup)
    pairs = [(one[seed], other[seed]) for seed in one if seed in other]
    if not all(
        torch.equal(first.ids, pairs[0][0].ids) and torch.equal(second.ids, first.ids) for first, second in pairs
    ):
        return None
    differences = [first.scores[:, at] - second.scores[:, at] for first, second in pairs]  # [1 + resamples] each
    if not differences or any(each.isnan().any() for each in differences):
        return None
    return mean_difference([torch.stack(differences)])


def best_of(methods: Mapping[Place, Mapping[int, Scored]], speedup: float) -> Place | None:
    """Return the method that is better than each of the others at a speed-up, p < 0.05; None where none is."""
    at = SPEEDUPS.index(speedup)
    means = {
        place: torch.stack([each.scores[0, at] for each in by_seed.values()]).mean()
        for place, by_seed in methods.items()
    }
    known = {place: mean.item() for place, mean in means.items() if not mean.isnan()}
    if len(known) < 2:
        return None
    first = max(known, key=lambda place: known[place])
    tests = [difference(methods[first], methods[place], speedup) for place in known if place != first]
    is_best = all(each is not None and each.value > 0 and each.p_value < SIGNIFICANT for each in tests)
    return first if is_best else None


def of_task(methods: Mapping[Place, Mapping[int, Scored]], task: str, split: str) -> dict[Place, Mapping[int, Scored]]:
    """Return those methods that are of a task and split."""
    return {place: by_seed for place, by_seed in methods.items() if place[:2] == (task, split)}


def by_place(found: Sequence[tuple[int, Place, Scored]]) -> dict[Place, dict[int, Scored]]:
    """Put what was scored, with its seed, together by method."""
    methods: dict[Place, dict[int, Scored]] = {}
    for seed, place, each in found:
        methods.setdefault(place, {})[seed] = each
    return methods
