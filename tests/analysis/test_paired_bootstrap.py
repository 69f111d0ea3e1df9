"""The bootstrap beside drawing samples one by one."""

import random

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
def test_p_value_and_interval_are_those_of_drawing_samples_one_by_one(metric):
    rng = random.Random(0)
    labels = [rng.randrange(2) for _ in range(60)]
    tested = [predictions(labels, 0.85, seed) for seed in (1, 2)]
    other = [predictions(labels, 0.8, seed) for seed in (3, 4)]
    found = mean_difference(
        list(bootstrap_differences(tested, other, labels=torch.tensor(labels), metric=metric, num_classes=2))
    )

    pairs = [(a.tolist(), b.tolist()) for a, b in zip(tested, other, strict=True)]

    def difference(rows, seeds=(0, 1)):
        true = [labels[row] for row in rows]
        per_seed = [
            NAIVE[metric](true, [a[row] for row in rows]) - NAIVE[metric](true, [b[row] for row in rows])
            for a, b in (pairs[seed] for seed in seeds)
        ]
        return 100 * sum(per_seed) / 2

    assert found.value == pytest.approx(difference(range(60)))
    drawn = sorted(difference(rng.choices(range(60), k=60), rng.choices((0, 1), k=2)) for _ in range(1000))
    naive = 2 * min(sum(value <= 1e-12 for value in drawn), sum(value >= -1e-12 for value in drawn)) / 1000
    assert found.p_value == pytest.approx(naive, abs=0.035)
    assert 0.01 < found.p_value < 0.7
    spread = drawn[-1] - drawn[0]
    assert found.low == pytest.approx(drawn[25], abs=0.06 * spread)
    assert found.high == pytest.approx(drawn[975], abs=0.06 * spread)


def test_rows_that_say_the_same_are_not_told_apart():
    labels = torch.tensor([0, 1] * 20)
    said = predictions(labels.tolist(), 0.7, 0)
    found = mean_difference(list(bootstrap_differences([said], [said], labels=labels, metric="f1", num_classes=2)))
    assert (found.value, found.low, found.high, found.p_value, found.num_ahead) == (0, 0, 0, 1, 0)


def test_the_test_is_two_sided_and_pairs_the_samples():
    labels = torch.tensor([0, 1] * 100)
    worse = labels.clone()
    worse[:15] = 1 - worse[:15]  # a difference that only pairing tells
    both = [
        mean_difference(list(bootstrap_differences([a], [b], labels=labels, metric="accuracy", num_classes=2)))
        for a, b in ((labels, worse), (worse, labels))
    ]
    assert [found.value for found in both] == pytest.approx([7.5, -7.5])
    assert both[0].p_value == both[1].p_value == pytest.approx(2 / 10_001)
    assert [found.num_ahead for found in both] == [1, 0]


def test_values_are_compared_too():
    labels = torch.linspace(0, 5, 50)
    noise = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    good, bad = labels + 0.1 * noise[0], labels + 2 * noise[1]
    found = mean_difference(list(bootstrap_differences([good], [bad], labels=labels, metric="pearson", num_classes=1)))
    expected = torch.corrcoef(torch.stack([labels, good]))[0, 1] - torch.corrcoef(torch.stack([labels, bad]))[0, 1]
    assert found.value == pytest.approx(100 * expected.item(), rel=1e-4)
    assert found.p_value < 0.001


def test_seeds_are_averaged_before_the_test():
    first, second = torch.tensor([0.2, 0.3, 0.1]), torch.tensor([-0.1, -0.4, 0.1])
    found = mean_difference([first, second])
    assert (found.value, found.num_seeds, found.num_ahead) == (pytest.approx(5), 2, 1)


def test_seeds_are_drawn_as_the_samples_are():
    by_seed = [torch.full((10_001,), value) for value in (0.05, 0.05, -0.01)]  # the same on any samples
    found = mean_difference(by_seed)
    assert found.value == pytest.approx(3)
    assert found.p_value == pytest.approx(2 / 27, abs=0.01)  # all three draws are the last seed
    assert (found.low, found.high) == pytest.approx((-1, 5))
