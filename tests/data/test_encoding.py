"""Texts cut as the tokenizer's own truncation cuts them, without the memory that it takes."""

import resource

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ee_lightning.data.encoding import check_max_length, encode
from ee_lightning.errors import OptionError

TEXTS = st.lists(st.sampled_from(["the", "a", "cat", "dog", "[SEP]", "unknown"]), max_size=14).map(" ".join)


@given(
    rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4),
    max_length=st.integers(4, 24),
    side=st.sampled_from(["right", "left"]),
    paired=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_texts_are_cut_as_the_tokenizer_cuts_them(rows, max_length, side, paired, tokenizer):
    tokenizer.truncation_side = side
    texts, pairs = [text for text, _ in rows], [pair for _, pair in rows] if paired else None
    expected = tokenizer(
        texts, pairs, truncation="longest_first", max_length=max_length, padding=False, return_attention_mask=False
    )
    encoded = encode(tokenizer, texts, pairs, max_length)
    assert encoded.columns == dict(expected)
    assert encoded.num_cut == sum(bool(each.overflowing) for each in expected.encodings)


def test_a_pair_of_two_long_texts_fits_the_memory(tokenizer):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    encoded = encode(tokenizer, ["cat " * 20_000], ["dog " * 20_000], 24)
    assert len(encoded.columns["input_ids"][0]) == 24
    assert encoded.num_cut == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


@pytest.mark.parametrize(("max_length", "pairs"), [(25, False), (2, False), (3, True)])
def test_a_length_that_makes_no_sense_names_its_option(max_length, pairs, tokenizer):
    with pytest.raises(OptionError, match=f"max_length is {max_length}") as caught:
        check_max_length(tokenizer, max_length, pairs=pairs, option="max_length")
    assert caught.value.where == "max_length"
