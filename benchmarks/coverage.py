"""How often the promise of a guarantee is broken, at the boundary, over many draws from a population that is known.

    python benchmarks/coverage.py --draws 2000

A made-up population of 5,000 rows stands for the world. Of every kind of budget one is taken that a point half-way
along the criterion's curve misses by a hair. On each of many samples, thresholds are proven to keep to the budget.
Prints the share of the samples on which any proven threshold breaks it in the population, with the standard error,
which should not exceed the nominal rate; and the share on which any threshold that lets rows leave early is proven.
"""

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace

import torch
from curves import random_exits

from ee_lightning.analysis.budgets import Budget, Consistency, MaxBrier, MaxHellinger, MaxLoss, MaxSpoilt, MinSpeedup
from ee_lightning.analysis.candidates import Candidates, list_candidates
from ee_lightning.exits import Confidence, Criterion, Scheduled, Voting


def reached(kind: type[Budget], population: Candidates) -> torch.Tensor:
    """Return what every operating point reaches of what is promised, in the budget's unit, ``[points]``."""
    if kind is MinSpeedup:
        return population.curve.speedup
    if kind is Consistency:
        return 1 - population.differing.double() / population.num_samples
    return 100 * population.figure(kind.figure)


def main(options: Namespace) -> None:
    torch.set_num_threads(1)
    world = random_exits(6, 5000)
    scheduled = Scheduled()
    scheduled.fit(random_exits(6, 500, seed=1))
    print(f"{options.draws} samples of {options.rows} rows, at most {1 - options.guarantee:.2f} may be broken")
    print(f"{'criterion':<24}{'budget':<16}{'broken':>20}{'anything proven':>18}")
    rules: list[Criterion] = [Confidence(), Voting(), scheduled]
    for rule in rules:
        population, generator = list_candidates(rule, world, "accuracy"), torch.Generator().manual_seed(0)
        drawn = [torch.randint(world.num_samples, (options.rows,), generator=generator) for _ in range(options.draws)]
        samples = [list_candidates(rule, world.select(rows), "accuracy") for rows in drawn]
        ascending = population.curve.thresholds.flip(0)
        for kind in (MaxLoss, MaxSpoilt, MaxBrier, MaxHellinger, Consistency, MinSpeedup):
            is_loss, found = issubclass(kind, MaxLoss), reached(kind, population)
            share = 0.35 if is_loss else 0.7
            at = int((population.curve.mean_exit <= share * population.curve.num_layers).nonzero()[0])
            budget = kind(found[at].item() + (-1e-4 if is_loss else 1e-4))
            breaks = found > budget.value if is_loss else found < budget.value  # [points]
            broken, proven = 0, 0
            for sample in samples:
                allowed = budget.guaranteed(sample, budget.value, 1 - options.guarantee)
                points = len(ascending) - 1 - torch.searchsorted(ascending, sample.curve.thresholds[allowed])
                broken += bool(breaks[points].any())
                proven += bool(population.is_early[points].any())
            rate = broken / options.draws
            error = (rate * (1 - rate) / options.draws) ** 0.5
            cells = f"{rate:>12.3f} ± {error:.3f}{proven / options.draws:>18.3f}"
            print(f"{rule.name:<24}{kind.__name__:<16}{cells}", flush=True)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000, help="how many samples")
    parser.add_argument("--rows", type=int, default=200, help="rows of each")
    parser.add_argument("--guarantee", type=float, default=0.9, help="with which probability")
    main(parser.parse_args())
