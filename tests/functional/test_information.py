import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.functional import InformationSplit, information_bias, information_split, joint_states


@st.composite
def predicted(draw):
    """Draw predictions [exits, samples] and labels [samples] of few classes with gaps between their numbers."""
    num_exits, num_samples = draw(st.integers(1, 5)), draw(st.integers(1, 30))
    classes = torch.tensor(draw(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    rows = classes[torch.randint(len(classes), (num_exits + 1, num_samples), generator=generator)]
    return rows[:-1], rows[draw(st.integers(0, num_exits))]  # labels of their own, or those that an exit predicts


def naive_information(one, other):
    """Mutual information in bits by its definition: the mean log ratio of joint to independent shares."""
    of_one, of_other, of_both = Counter(one), Counter(other), Counter(zip(one, other, strict=True))
    n = len(one)
    return sum(count / n * math.log2(count * n / (of_one[a] * of_other[b])) for (a, b), count in of_both.items())


def naive_split(predictions, labels):
    exits, n = predictions.tolist(), len(labels)
    labels = labels.tolist()
    relevancy = sum(naive_information(exit_, labels) for exit_ in exits)
    redundancy = conditional = 0.0
    for m in range(1, len(exits)):
        before = list(zip(*exits[:m], strict=True))
        redundancy += naive_information(exits[m], before)
        for label, count in Counter(labels).items():
            among = [i for i in range(n) if labels[i] == label]
            conditional += count / n * naive_information([exits[m][i] for i in among], [before[i] for i in among])
    together = naive_information(list(zip(*exits, strict=True)), labels)
    return InformationSplit(relevancy, redundancy, conditional, together)


def naive_bias(predictions, labels):
    """Count the states of every entropy in the split, one by one."""
    rows, labels = predictions.tolist(), labels.tolist()

    def states(*variables):
        return len(set(zip(*variables, strict=True))) - 1 if variables else 0

    relevancy = redundancy = conditional = 0
    for m, row in enumerate(rows):
        relevancy += states(row, labels) - states(row) - states(labels)
        redundancy += states(*rows[: m + 1]) - states(row) - states(*rows[:m])
        conditional += states(*rows[: m + 1], labels) + states(labels) - states(row, labels) - states(*rows[:m], labels)
    together = states(*rows, labels) - states(*rows) - states(labels)
    unit = 2 * len(labels) * math.log(2)
    return [total / unit for total in (relevancy, redundancy, conditional, together)]


@settings(deadline=None, max_examples=300)
@given(data=predicted(), seed=st.integers(0, 100))
def test_split_equals_the_definitions_and_holds_exactly(data, seed):
    predictions, labels = data
    split = information_split(*data)
    assert list(split) == pytest.approx(list(naive_split(*data)), abs=1e-12)
    assert_the_parts_add_up(split)
    assert_terms_lie_within_their_bounds(split, *data)
    assert_neither_names_of_classes_nor_order_of_samples_matter(information_split, split, *data, seed)
    turned = information_split(predictions.flip(0), labels)  # only redundancies depend on the order of exits
    assert turned.relevancy == pytest.approx(split.relevancy, abs=1e-12)
    assert turned.information == pytest.approx(split.information, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(data=predicted(), seed=st.integers(0, 100))
def test_bias_equals_a_count_of_states_and_splits_in_the_same_way(data, seed):
    bias = information_bias(*data)
    assert list(bias) == pytest.approx(naive_bias(*data), abs=1e-12)
    assert_the_parts_add_up(bias)
    assert_neither_names_of_classes_nor_order_of_samples_matter(information_bias, bias, *data, seed)


def assert_the_parts_add_up(split):
    parts = split.relevancy - split.redundancy + split.conditional_redundancy
    assert parts == pytest.approx(split.information, abs=1e-12)


def assert_terms_lie_within_their_bounds(split, predictions, labels):
    assert min(split) >= -1e-12
    of_label = naive_information(labels.tolist(), labels.tolist())
    of_exits = [naive_information(row, row) for row in predictions.tolist()]
    assert split.information <= of_label + 1e-12
    assert split.relevancy <= len(of_exits) * of_label + 1e-12
    assert split.redundancy <= sum(of_exits[1:]) + 1e-12
    assert split.conditional_redundancy <= sum(of_exits[1:]) + 1e-12
    assert split.information >= max(information_split(row, labels).information for row in predictions[:, None]) - 1e-12


def assert_neither_names_of_classes_nor_order_of_samples_matter(measure, measured, predictions, labels, seed):
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    names = torch.randperm(10, generator=generator)
    moved = measure(names[predictions[:, order]], names.flip(0)[labels[order]])
    assert list(moved) == pytest.approx(list(measured), abs=1e-12)


@pytest.mark.parametrize("num_exits", [1, 2, 12])
def test_identical_exits_repeat_all_they_know(num_exits):
    one = torch.tensor([0, 0, 1, 1, 1, 1, 2, 2])  # an entropy of 1.5 bits
    labels = torch.tensor([0, 0, 1, 1, 0, 0, 0, 1])
    split = information_split(one.expand(num_exits, -1), labels)
    alone = naive_information(one.tolist(), labels.tolist())
    noise = 1.5 - alone  # what one exit's class does not tell of the label
    expected = [num_exits * alone, (num_exits - 1) * 1.5, (num_exits - 1) * noise, alone]
    assert list(split) == pytest.approx(expected, abs=1e-12)


def test_independent_exits_repeat_nothing():
    states = torch.cartesian_prod(*[torch.arange(2)] * 4).T  # [4, 16], every combination once
    labels = states[0] * 8 + states[1] * 4 + states[2] * 2 + states[3]
    assert list(information_split(states, labels)) == pytest.approx([4, 0, 0, 4], abs=1e-12)


def test_noise_tells_nothing():
    states = torch.cartesian_prod(*[torch.arange(3)] * 3).T  # [3, 27]
    assert list(information_split(states[:2], states[2])) == pytest.approx([0, 0, 0, 0], abs=1e-12)


def test_errors_that_only_both_exits_together_reveal_are_conditional_redundancy():
    exits = torch.cartesian_prod(torch.arange(2), torch.arange(2)).T  # [2, 4]
    assert list(information_split(exits, exits[0] ^ exits[1])) == pytest.approx([0, 0, 1, 1], abs=1e-12)


def test_exits_that_copy_the_label_are_redundant_but_not_given_the_label():
    labels = torch.tensor([0, 1, 0, 1])
    assert list(information_split(labels.expand(3, -1), labels)) == pytest.approx([3, 2, 0, 1], abs=1e-12)


def test_many_exits_of_many_classes_do_not_overflow():
    predictions = torch.randint(150, (24, 2000), generator=torch.Generator().manual_seed(0))  # 150**24 joint states
    split = information_split(predictions, predictions[0])
    assert split.information == pytest.approx(naive_information(*[predictions[0].tolist()] * 2), abs=1e-9)
    parts = split.relevancy - split.redundancy + split.conditional_redundancy
    assert parts == pytest.approx(split.information, abs=1e-9)


def test_bias_is_what_independent_variables_seem_to_share():
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randint(3, (3, 400), generator=generator) for _ in range(300)]
    splits = torch.tensor([information_split(draw[:2], draw[2]) for draw in draws], dtype=torch.float64)
    biases = torch.tensor([information_bias(draw[:2], draw[2]) for draw in draws], dtype=torch.float64)
    mean, expected = splits.mean(0), biases.mean(0)  # [terms]; the true values are all 0
    assert expected[0].item() == pytest.approx(2 * 4 / (2 * 400 * math.log(2)))  # (9 - 3 - 3 + 1) for each exit
    torch.testing.assert_close(mean, expected, rtol=0.1, atol=0)


@pytest.mark.parametrize("measure", [information_split, information_bias])
@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        (torch.zeros(2, 3).long(), torch.zeros(1).long(), r"`labels` of shape \[3\], but got \[1\]"),
        (torch.zeros(3).long(), torch.zeros(3).long(), r"`predictions` of shape \[exits, samples\], but got \[3\]"),
        (torch.zeros(2, 0).long(), torch.zeros(0).long(), r"`predictions` of shape \[exits, samples\], but got"),
    ],
)
def test_other_shapes_are_refused(measure, predictions, labels, message):
    with pytest.raises(ValueError, match=message):
        measure(predictions, labels)


@settings(deadline=None, max_examples=100)
@given(data=predicted())
def test_joint_states_are_those_of_counting(data):
    predictions, labels = data
    assert joint_states(predictions, labels) == len({*zip(*predictions.tolist(), labels.tolist(), strict=True)})
