"""Rows of truth values in the place of class numbers."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.functional import same_rows, set_numbers, where_rows


@settings(deadline=None, max_examples=30)
@given(samples=st.integers(1, 9), labels=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_numbers_are_equal_where_sets_are(samples, labels, seed):
    sets = torch.randint(2, (2, samples, labels), generator=torch.Generator().manual_seed(seed))
    numbers, distinct = set_numbers(sets)  # [2, samples]
    assert torch.equal(distinct[numbers], sets)
    rows = [tuple(row) for row in sets.flatten(0, 1).tolist()]
    flat = numbers.flatten()
    assert [[one == other for other in rows] for one in rows] == (flat.unsqueeze(0) == flat.unsqueeze(1)).tolist()
    assert same_rows(*sets).tolist() == [
        one == other for one, other in zip(rows[:samples], rows[samples:], strict=True)
    ]


def test_rows_are_taken_whole_and_numbers_one_by_one():
    condition = torch.tensor([True, False, True])
    these, those = torch.arange(6).reshape(3, 2), -torch.ones(3, 2, dtype=torch.int64)
    assert where_rows(condition, these, those).tolist() == [[0, 1], [-1, -1], [4, 5]]
    assert where_rows(condition, these[:, 0], those[:, 0]).tolist() == [0, -1, 4]
    assert same_rows(torch.tensor([1, 2]), torch.tensor([1, 3])).tolist() == [True, False]
