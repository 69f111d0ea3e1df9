"""What decision rules are worth on the stored exits of runs, beside plain confidence.

    python benchmarks/decision_rules.py runs/a/version_0 runs/b/version_0
    python benchmarks/decision_rules.py --synthetic 500    # made-up exits with so many calibration rows

Needs run folders that held rows out (--data.calibration). Every criterion is fitted on these, and reported on the
--split. Prints, for each run and for the mean of runs that evaluated the same rows:

1. Accuracy (%) at 1.5x, 2x, 2.5x and 3x by layers, and its mean over all relative costs, as a difference from
   confidence with 95 % intervals: bootstrap percentiles over the rows, paired, at the thresholds of the whole split.
   A star is an interval without 0, a dash a speed-up that is out of reach.
2. The gain of scheduled confidence over confidence against the number of calibration rows, as mean and range over
   --draws random subsets of them.
"""

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import one_hot

from ee_lightning.analysis.sweep import all_that_apply, fit_criteria
from ee_lightning.exits import Confidence, Criterion, Oracle, Scheduled, StoredExits, replay, trace_curve
from ee_lightning.runs.folder import RunFolder

SPEEDUPS = (1.5, 2.0, 2.5, 3.0)
COSTS = 40
SIZES = (50, 100, 200, 500, 1000, 2000)
BASES = ("margin", "entropy", "soft_voting", "running_ensemble", "learned_ensemble", "eenet", "jei_dnn")
Rows = NDArray[np.float64]


def rules(exits: StoredExits, calibration: StoredExits) -> list[Criterion]:
    """Make all criteria, schedules over several of them, and the oracle, fitted."""
    made = [*all_that_apply(exits, calibration), *(Scheduled(base) for base in BASES), Oracle()]
    fit_criteria(made, calibration)
    return made


def right_at(criterion: Criterion, exits: StoredExits, costs: Sequence[float]) -> Rows:
    """Return how far each row is right at relative costs, [costs, rows], between two operating points linearly.

    It is NaN beyond the slowest and the fastest of these.
    """
    curve, found = trace_curve(criterion, exits, ["accuracy"]), replay(criterion, exits)
    cost = (curve.mean_exit / curve.num_layers).numpy()[::-1]  # from fast to slow
    thresholds, labels = curve.thresholds.numpy()[::-1], exits.class_numbers()
    rows = np.full((len(costs), exits.num_samples), np.nan)
    for place, wanted in enumerate(costs):
        slower = int(np.searchsorted(cost, wanted - 1e-9))
        if slower == len(cost) or (slower == 0 and cost[0] > wanted + 1e-9):
            continue
        faster = max(slower - 1, 0)
        gap = cost[slower] - cost[faster]
        weight = 1.0 if gap <= 0 else (wanted - cost[faster]) / gap
        fast, slow = ((found.at(float(thresholds[each]))[1] == labels).numpy() for each in (faster, slower))
        rows[place] = weight * slow + (1 - weight) * fast
    return rows


def figures(criterion: Criterion, exits: StoredExits) -> Rows:
    """Return how far each row is right at the speed-ups, and last on average over all costs, [figures, rows].

    Costs that are out of reach below the fastest point count as the first exit alone.
    """
    first = (exits.predictions[0] == exits.class_numbers()).double().numpy()
    over_all = right_at(
        criterion, exits, np.linspace(exits.layers_of_exits[0] / exits.layers_of_exits[-1], 1, COSTS).tolist()
    )
    area = np.where(np.isnan(over_all), first, over_all).mean(0)
    return np.concatenate([right_at(criterion, exits, [1 / each for each in SPEEDUPS]), area[None]])


def interval(differences: Rows, resamples: int, seed: int = 0) -> tuple[float, float]:
    """Return the bootstrap percentiles of the mean of differences, [rows]."""
    rows = np.random.default_rng(seed).integers(len(differences), size=(resamples, len(differences)))
    low, high = np.percentile(differences[rows].mean(1), [2.5, 97.5])
    return float(low), float(high)


def print_table(title: str, by_rule: dict[str, Rows], resamples: int) -> None:
    base = by_rule[Confidence.name]
    print(f"\n{title}, {base.shape[1]} rows")
    print(f"{'':<40}" + "".join(f"{name:>22}" for name in [*(f"{each:g}x" for each in SPEEDUPS), "all costs"]))
    print(f"{'confidence, accuracy':<40}" + "".join(f"{100 * each:>22.2f}" for each in base.mean(1)))
    ordered = sorted(by_rule, key=lambda name: -by_rule[name][-1].mean())
    for name in ordered:
        cells = []
        for theirs, ours in zip(by_rule[name], base, strict=True):
            if np.isnan(theirs).any() or np.isnan(ours).any():
                cells.append("–")
                continue
            difference = 100 * (theirs - ours)
            low, high = interval(difference, resamples)
            star = "*" if low > 0 or high < 0 else " "
            cells.append(f"{difference.mean():+.2f} ({low:+.2f}, {high:+.2f}){star}")
        print(f"{name:<40}" + "".join(f"{cell:>22}" for cell in cells))


def print_gain(title: str, exits: StoredExits, calibration: StoredExits, draws: int) -> None:
    sizes = [size for size in SIZES if size < calibration.num_samples] + [calibration.num_samples]
    base = figures(Confidence(), exits).mean(1)
    print(f"\n{title}: gain of scheduled confidence by calibration rows, mean (range) of {draws} draws")
    print(f"{'rows':>6}" + "".join(f"{name:>24}" for name in [*(f"{each:g}x" for each in SPEEDUPS), "all costs"]))
    for size in sizes:
        gains = []
        for draw in range(draws if size < calibration.num_samples else 1):
            some = torch.randperm(calibration.num_samples, generator=torch.Generator().manual_seed(draw))[:size]
            criterion = Scheduled()
            criterion.fit(calibration.select(some))
            gains.append(100 * (figures(criterion, exits).mean(1) - base))
        cells = zip(np.mean(gains, 0), np.min(gains, 0), np.max(gains, 0), strict=True)
        print(f"{size:>6}" + "".join(f"{f'{mean:+.2f} ({low:+.2f}, {high:+.2f})':>24}" for mean, low, high in cells))


def synthetic(num_samples: int, seed: int, num_exits: int = 12) -> StoredExits:
    """Make exits of two classes that grow surer with depth, and stop improving at two thirds of it."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (num_samples,), generator=generator)
    easy = 1.3 + torch.randn(num_samples, generator=generator)
    depth = torch.arange(1, num_exits + 1).view(-1, 1) / num_exits  # [exits, 1]
    noise, drawn = list[torch.Tensor](), torch.randn(num_exits, num_samples, generator=generator)
    for each in drawn:
        noise.append(0.8 * noise[-1] + 0.6 * each if noise else each)
    knows = (0.2 + 1.3 * depth).clamp_max(1)
    margin = (0.6 + 3 * depth) * (knows * easy + (1.3 * (1 - knows)).clamp_min(0.05) * torch.stack(noise))
    logits = margin.unsqueeze(-1) * (one_hot(labels, 2) - 0.5)  # [exits, samples, classes]
    return StoredExits(logits, labels, torch.arange(num_samples))


def main(options: Namespace) -> None:
    torch.set_num_threads(1)
    runs = {}
    if options.synthetic:
        runs["synthetic"] = synthetic(2000, seed=0), synthetic(options.synthetic, seed=1)
    for path in options.runs:
        folder = RunFolder(path)
        calibration = folder.read_calibration()
        if calibration is None:
            raise SystemExit(f"{path} held no rows out; train with --data.calibration 500")
        runs[str(path)] = folder.read_exits(options.split), calibration
    if not runs:
        raise SystemExit("name run folders, or --synthetic 500")
    tables = {}
    for title, (exits, calibration) in runs.items():
        made = rules(exits, calibration)
        tables[title] = {criterion.name: figures(criterion, exits) for criterion in made}
        print_table(f"{title}, {calibration.num_samples} calibration rows", tables[title], options.resamples)
    ids = [exits.ids for exits, _ in runs.values()]
    if len(runs) > 1 and all(torch.equal(each, ids[0]) for each in ids):
        shared = [name for name in next(iter(tables.values())) if all(name in table for table in tables.values())]
        mean = {name: np.mean([table[name] for table in tables.values()], axis=0) for name in shared}
        print_table(f"mean of {len(runs)} runs", mean, options.resamples)
    for title, (exits, calibration) in runs.items():
        print_gain(title, exits, calibration, options.draws)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders")
    parser.add_argument("--split", default="validation", help="the split to report on")
    parser.add_argument("--synthetic", type=int, default=0, help="calibration rows of made-up exits; 0 for none")
    parser.add_argument("--resamples", type=int, default=2000, help="resamples of the intervals")
    parser.add_argument("--draws", type=int, default=5, help="subsets of the calibration rows")
    main(parser.parse_args())
