import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from ee_lightning.data.batches import select_rows

ROWS = Dataset.from_dict({"text": list("abcdefgh"), "label": list(range(8))})
NUMBERS = st.lists(st.integers(0, 3), min_size=1, max_size=6)


@pytest.mark.parametrize(
    "rows", [ROWS, ROWS.select([7, 1, 2, 0]), ROWS.select([2, 3, 4, 5])], ids=["all", "some", "run"]
)
@given(numbers=NUMBERS, again=NUMBERS)
def test_it_is_the_selection_of_datasets(rows, numbers, again):
    selected, expected = select_rows(rows, np.array(numbers)), rows.select(numbers)
    assert selected.to_list() == expected.to_list()
    assert selected.features == expected.features
    assert selected[len(numbers) - 1] == expected[-1]
    assert [batch["text"] for batch in selected.iter(2)] == [batch["text"] for batch in expected.iter(2)]
    again = [number % len(numbers) for number in again]
    assert select_rows(selected, np.array(again)).to_list() == expected.select(again).to_list()
