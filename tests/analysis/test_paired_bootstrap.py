"""The bootstrap beside drawing samples one by one."""

import random
from statistics import NormalDist

import pytest
import torch

from ee_lightning.analysis.comparison import bootstrap_differences, mean_difference


def naive_f1(labels, said):
    both = sum(a == b == 1 for a, b in zip(labels, said, strict=True))
    return 2 * both / (sum(labels) + sum(said))


def naive_matthews(labels, said):
    pairs = list(zip(labels, said, strict=True))
    tp, tn, fp, fn = (pairs.count(pair) for pair in ((1, 1), (0, 0), (0, 1), (1, 0)))
    return (tp * tn - fp * fn) / ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5


NAIVE = {
    "accuracy": lambda labels, said: sum(a == b for a, b in zip(labels, said, strict=True)) / len(labels),
    "f1": naive_f1,
    "matthews": naive_matthews,
}


def predictions(labels, right, seed):
    rng = random.Random(seed)
    return torch.tensor([label if rng.random() < right else 1 - label for label in labels])


@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews"])
def test_resampled_differences_are_those_of_drawing_samples_one_by_one(metric):
    rng = random.Random(0)
    labels = [rng.randrange(2) for _ in range(60)]
    tested = [predictions(labels, 0.85, seed) for seed in (1, 2)]
    other = [predictions(labels, 0.8, seed) for seed in (3, 4)]
    found = bootstrap_differences(tested, other, labels=torch.tensor(labels), metric=metric, num_classes=2)

    pairs = [(a.tolist(), b.tolist()) for a, b in zip(tested, other, strict=True)]

    def differences(rows):
        true = [labels[row] for row in rows]
        return [
            NAIVE[metric](true, [a[row] for row in rows]) - NAIVE[metric](true, [b[row] for row in rows])
            for a, b in pairs
        ]

    assert found[:, 0].tolist() == pytest.approx(differences(range(60)))
    drawn = torch.tensor([differences(rng.choices(range(60), k=60)) for _ in range(1000)], dtype=torch.float64).T
    scale = drawn.var(1).mean().item()
    assert found[:, 1:].cov().flatten().tolist() == pytest.approx(drawn.cov().flatten().tolist(), abs=0.15 * scale)


def test_rows_that_say_the_same_are_not_told_apart():
    labels = torch.tensor([0, 1] * 20)
    said = predictions(labels.tolist(), 0.7, 0)
    found = mean_difference([bootstrap_differences([said], [said], labels=labels, metric="f1", num_classes=2)])
    assert (found.value, found.low, found.high, found.p_value, found.num_ahead) == (0, 0, 0, 1, 0)


def test_the_test_is_two_sided_and_pairs_the_samples():
    labels = torch.tensor([0, 1] * 100)
    worse = labels.clone()
    worse[:15] = 1 - worse[:15]  # a difference that only pairing tells
    both = [
        mean_difference([bootstrap_differences([a], [b], labels=labels, metric="accuracy", num_classes=2)])
        for a, b in ((labels, worse), (worse, labels))
    ]
    assert [found.value for found in both] == pytest.approx([7.5, -7.5])
    deviation = (0.075 * 0.925 / 200) ** 0.5  # of 15 rows of 200 that differ
    assert both[0].p_value == pytest.approx(2 * NormalDist().cdf(-0.075 / deviation), rel=0.5)
    assert both[0].p_value == pytest.approx(both[1].p_value)
    assert [found.num_ahead for found in both] == [1, 0]


def test_values_are_compared_too():
    labels = torch.linspace(0, 5, 50)
    noise = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    good, bad = labels + 0.1 * noise[0], labels + 2 * noise[1]
    found = mean_difference([bootstrap_differences([good], [bad], labels=labels, metric="pearson", num_classes=1)])
    expected = torch.corrcoef(torch.stack([labels, good]))[0, 1] - torch.corrcoef(torch.stack([labels, bad]))[0, 1]
    assert found.value == pytest.approx(100 * expected.item(), rel=1e-4)
    assert found.p_value < 0.001


def test_seeds_are_averaged_before_the_test():
    found = mean_difference([torch.tensor([[0.2, 0.3, 0.1], [-0.1, -0.4, 0.1]])])
    assert (found.value, found.num_seeds, found.num_ahead) == (pytest.approx(5), 2, 1)


def test_runs_that_differ_on_any_samples_alike_are_compared_by_the_t_test():
    of_seeds = [0.05, 0.05, -0.01]
    found = mean_difference([torch.tensor(of_seeds, dtype=torch.float64).unsqueeze(1).expand(3, 101)])
    t = 0.03 / (0.0012 / 3) ** 0.5  # of a variance of 0.0012 with two degrees of freedom
    assert found.p_value == pytest.approx(1 - t / (2 + t * t) ** 0.5)  # the distribution in closed form
    assert (found.low, found.high) == pytest.approx((3 - 200 * 0.043026, 3 + 200 * 0.043026), abs=1e-3)


def test_runs_that_agree_by_chance_are_no_surer_than_other_samples_of_them():
    noise = torch.randn(3, 20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = mean_difference([torch.cat([torch.full((3, 1), 0.02, dtype=torch.float64), 0.02 + 0.01 * noise], dim=1)])
    deviation = 0.01 / 3**0.5  # of the mean of three independent runs
    assert found.p_value == pytest.approx(2 * NormalDist().cdf(-0.02 / deviation), rel=0.2)
    assert found.high - found.low == pytest.approx(200 * 1.96 * deviation, rel=0.02)


def test_runs_of_several_tasks_say_more_than_those_of_one():
    one = torch.tensor([0.02, 0.03, 0.04], dtype=torch.float64).unsqueeze(1).expand(3, 101)
    alone, together = (mean_difference([one] * tasks) for tasks in (1, 6))
    assert together.value == pytest.approx(alone.value)
    assert alone.p_value == pytest.approx(0.0351, abs=1e-4)  # t = 3 * sqrt(3), with two degrees of freedom
    assert together.p_value < 1e-6  # with twelve, of a deviation that averages out over the tasks


def drawn_differences(seeds, between_runs, generator, samples=200, resamples=80):
    """Draw the runs of two rows on one task, of accuracies spread around the same mean, and compare them."""
    difficulty = 0.5 * torch.randn(samples, generator=generator)  # shared by all runs
    skill = 1 + between_runs * torch.randn(2 * seeds, 1, generator=generator)
    right = skill + difficulty + torch.randn(2 * seeds, samples, generator=generator) > 0
    tested, other = right.double().chunk(2)  # [seeds, samples] each
    drawn = torch.randint(samples, (resamples, samples), generator=generator)
    rows = torch.cat([torch.arange(samples).unsqueeze(0), drawn])  # [1 + resamples, samples]
    return (tested - other)[:, rows].mean(-1)


@pytest.mark.parametrize(
    ("seeds", "tasks", "between_runs"),
    [(1, 1, 0.0), (2, 1, 0.3), (3, 1, 0.0), (3, 1, 0.3), (3, 2, 0.1)],
)
def test_the_level_holds_whether_runs_spread_or_not(seeds, tasks, between_runs):
    generator, draws = torch.Generator().manual_seed(0), 600
    found = [
        mean_difference([drawn_differences(seeds, between_runs, generator) for _ in range(tasks)]) for _ in range(draws)
    ]
    rejected = sum(each.p_value < 0.05 for each in found) / draws
    assert 0.01 <= rejected <= 0.07  # nominal 0.05, and two standard errors of 600 draws
    missed = sum(not each.low <= 0 <= each.high for each in found) / draws
    assert missed == rejected
