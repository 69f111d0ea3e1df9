"""How fast each guarantee lets a criterion be, side by side on the same stored exits.

    python benchmarks/guarantees.py RUN [RUN ...]      # run folders; without any, exits that are drawn
    python benchmarks/guarantees.py RUN --split test --points 1 --criteria confidence,voting

On random halves of a split, every budget chooses a threshold with the same bound: the net loss (by betting), spoilt
samples (by exact binomial tests), and both on average (by conformal risk control). Prints of each the mean speed-up of
what is chosen, 1x where nothing is proven; on how many halves something is; and the mean loss of accuracy, in points,
on the other halves. A guarantee that lets more speed through for the same bound is the sharper one.
"""

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from statistics import fmean

import torch
from curves import random_exits

from ee_lightning.analysis.budgets import Guarantee, MaxLoss, MaxSpoilt
from ee_lightning.analysis.candidates import list_candidates
from ee_lightning.analysis.sweep import fit_spec
from ee_lightning.exits import Criterion, StoredExits, replay
from ee_lightning.exits.naming import criteria
from ee_lightning.functional import halves
from ee_lightning.runs.folder import RunFolder

Found = tuple[float, float, bool]
"""A speed-up, a loss, and whether it was proven."""


def one_half(criterion: Criterion, exits: StoredExits, points: float, guarantee: float, seed: int) -> dict[str, Found]:
    """Return the speed-up and the loss on the other half of each guarantee; None where nothing is proven."""
    first, second = (exits.select(half) for half in halves(exits.num_samples, seed))
    candidates, replayed = list_candidates(criterion, first, "accuracy"), replay(criterion, second)
    full = second.predictions[-1].eq(second.class_numbers()).double().mean().item()
    asked: dict[str, tuple[MaxLoss, Guarantee]] = {
        "net, betting": (MaxLoss(points), guarantee),
        "spoilt, binomial": (MaxSpoilt(points), guarantee),
        "net, on average": (MaxLoss(points), "mean"),
        "spoilt, on average": (MaxSpoilt(points), "mean"),
    }
    found = dict[str, Found]()
    for name, (budget, wanted) in asked.items():
        if (place := budget.find(candidates, wanted)) is None:
            found[name] = (1.0, 0.0, False)
            continue
        _, said = replayed.at(candidates.curve.thresholds[place].item())
        loss = 100 * (full - said.eq(second.class_numbers()).double().mean().item())
        found[name] = (candidates.curve.speedup[place].item(), loss, True)
    return found


def main(options: Namespace) -> None:
    torch.set_num_threads(1)
    print(f"at most {options.points:g} points, with {options.guarantee:g} or on average, {options.halves} halves")
    drawn = not options.runs
    for run in options.runs or ["drawn"]:
        folder = None if drawn else RunFolder(run)
        exits = random_exits(12, 2000) if folder is None else folder.read_exits(options.split)
        calibration = random_exits(12, 500, seed=1) if folder is None else folder.read_calibration()
        print(f"\n{run}: {exits.num_exits} exits, {exits.num_samples} samples")
        print(f"{'criterion':<24}{'guarantee':<22}{'speed-up':>10}{'proven':>9}{'loss there':>12}")
        for spec in criteria(options.criteria):
            rule = fit_spec(spec, calibration).build()
            found = [one_half(rule, exits, options.points, options.guarantee, seed) for seed in range(options.halves)]
            for name in found[0]:
                speedups, losses, proven = zip(*(each[name] for each in found), strict=True)
                shown = f"{fmean(speedups):>9.2f}x{sum(proven):>6}/{len(found)}{fmean(losses):>12.2f}"
                print(f"{rule.name:<24}{name:<22}{shown}", flush=True)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("runs", nargs="*", help="run folders")
    parser.add_argument("--split", default="validation", help="the split")
    parser.add_argument("--criteria", default="confidence,voting,soft_voting,patience", help="the criteria")
    parser.add_argument("--points", type=float, default=2.0, help="the bound, in points of accuracy")
    parser.add_argument("--guarantee", type=float, default=0.95, help="with which probability")
    parser.add_argument("--halves", type=int, default=20, help="how many random halves")
    main(parser.parse_args())
