import numpy as np
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.data.arrow_files import arrow_column, select_rows

ROWS = Dataset.from_dict({"text": list("abcdefgh"), "label": list(range(8))})
NUMBERS = st.lists(st.integers(0, 3), min_size=1, max_size=6)


@given(
    rows=st.sampled_from([ROWS, ROWS.select([7, 1, 2, 0]), ROWS.select([2, 3, 4, 5])]), numbers=NUMBERS, again=NUMBERS
)
@settings(max_examples=40, deadline=None)
def test_it_is_the_selection_of_datasets(rows, numbers, again):
    selected, expected = select_rows(rows, np.array(numbers)), rows.select(numbers)
    assert selected.features == expected.features
    assert selected[:] == expected[:]
    assert selected[len(numbers) - 1] == expected[-1]
    assert arrow_column(selected, "text").to_pylist() == expected["text"][:]
    again = [number % len(numbers) for number in again]
    assert select_rows(selected, np.array(again))[:] == expected.select(again)[:]
