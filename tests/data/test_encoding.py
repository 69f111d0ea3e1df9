"""Texts cut as the tokenizer's own truncation cuts them, without the memory that it takes."""

import resource

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ee_lightning.data.encoding import check_max_length, encode
from ee_lightning.data.read import build_rows
from ee_lightning.data.tokenised import tokenised
from ee_lightning.errors import OptionError
from ee_lightning.exits.naming import CriterionSpec
from ee_lightning.inference.batches import samples_of
from ee_lightning.inference.deployment import Deployment
from ee_lightning.inference.encoder import TokenizerEncoder
from ee_lightning.inference.policy import ExitPolicy
from ee_lightning.models import HeadOptions

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
    assert encoded.cut == [row for row, each in enumerate(expected.encodings) if each.overflowing]


def test_a_pair_of_two_long_texts_fits_the_memory(tokenizer):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    encoded = encode(tokenizer, ["cat " * 20_000], ["dog " * 20_000], 24)
    assert len(encoded.columns["input_ids"][0]) == 24
    assert encoded.cut == [0]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


@pytest.mark.parametrize(("max_length", "pairs"), [(25, False), (2, False), (3, True)])
def test_a_length_that_makes_no_sense_names_its_option(max_length, pairs, tokenizer):
    with pytest.raises(OptionError, match=f"max_length is {max_length}") as caught:
        check_max_length(tokenizer, max_length, pairs=pairs, option="max_length")
    assert caught.value.where == "max_length"


@pytest.fixture
def generic(tokenizer):
    """Return the same tokenizer under a class that does not say that it has token types."""
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    return tokenizer


def test_a_pair_has_token_types_whatever_the_class_of_its_tokenizer(tokenizer, generic):
    columns, _ = encode(generic, ["the cat sat", "a"], ["a dog", "the dog ran"], 7)
    assert columns["token_type_ids"] == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1]]
    assert "token_type_ids" not in encode(generic, ["the cat sat"], None, 7).columns


def test_training_and_predicting_agree_on_token_types(generic):
    rows = build_rows([["the cat sat", "a dog"], ["the cat", "the tree slept on"]], [1, 0])
    trained_on = samples_of(tokenised(rows, generic, 8)[:])
    rule = ExitPolicy(CriterionSpec("ee_lightning.exits.Voting"), 1.1, None)
    deployment = Deployment("pairs", ("a", "b"), ("no", "yes"), 2, 2, 8, HeadOptions(), rule)
    predicted, _ = TokenizerEncoder(generic, deployment)(list(zip(rows["text_a"], rows["text_b"], strict=True)))
    assert predicted == trained_on
    assert [set(sample.token_type_ids or ()) for sample in predicted] == [{0, 1}] * 2
