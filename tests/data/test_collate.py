import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ee_lightning.data.encoding import PadCollator

BATCHES = st.lists(st.lists(st.integers(0, 30_000), min_size=1, max_size=40), min_size=1, max_size=9)


@given(batch=BATCHES, pad_token_id=st.integers(0, 5), multiple=st.sampled_from([None, 1, 8]))
def test_rows_come_back_from_the_padded_batch(batch, pad_token_id, multiple):
    types = [[position % 2 for position, _ in enumerate(tokens)] for tokens in batch]
    places = list(range(len(batch)))
    rows = {"input_ids": batch, "token_type_ids": types, "label": places, "id": places, "length": places}
    out = PadCollator(pad_token_id, 3, multiple)(rows)
    width = out["input_ids"].shape[1]
    assert max(map(len, batch)) <= width < max(map(len, batch)) + (multiple or 1)
    assert width % (multiple or 1) == 0
    for row, tokens in enumerate(batch):
        mask = out["attention_mask"][row].bool()
        assert mask.tolist() == [place < len(tokens) for place in range(width)]
        assert out["input_ids"][row, mask].tolist() == tokens
        assert out["token_type_ids"][row, mask].tolist() == types[row]
        assert (out["input_ids"][row, ~mask] == pad_token_id).all()
        assert (out["token_type_ids"][row, ~mask] == 3).all()


def test_names_and_types_are_what_a_backbone_takes():
    out = PadCollator(0, 0)({"input_ids": [[4, 5], [6]], "label": [1, -1], "id": [7, 2], "length": [2, 1]})
    assert set(out) == {"input_ids", "attention_mask", "labels", "ids"}
    assert all(tensor.dtype == torch.int64 for tensor in out.values())
    assert out["labels"].tolist() == [1, -1]
    assert out["ids"].tolist() == [7, 2]


def test_scores_come_in_float32():
    out = PadCollator(0, 0)({"input_ids": [[4, 5], [6]], "label": [3.75, -1.0], "id": [7, 2]})
    assert out["labels"].dtype == torch.float32
    assert out["labels"].tolist() == [3.75, -1.0]


def test_a_token_equal_to_padding_stays_visible():
    out = PadCollator(0, 0)({"input_ids": [[0, 0, 5]], "label": [0], "id": [0]})
    assert out["attention_mask"].tolist() == [[1, 1, 1]]


def test_a_ragged_column_of_types_is_an_error():
    with pytest.raises(ValueError, match="expected sequence of length"):
        PadCollator(0, 0)(
            {"input_ids": [[1, 2]] * 2, "token_type_ids": [[0, 0], [0, 0, 0]], "label": [0, 0], "id": [0, 1]}
        )
