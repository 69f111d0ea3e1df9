import os

import numpy as np
import pytest
from datasets import Value, concatenate_datasets, load_from_disk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

from ee_lightning.data.read import build_rows
from ee_lightning.data.tokenised import column, column_in_parts, tokenised
from ee_lightning.errors import OptionError

CLS, SEP = 2, 3
SENTENCES = st.lists(st.sampled_from(["the", "a", "cat", "dog", "sat", "ran", "unknown"]), max_size=30).map(" ".join)


@pytest.fixture
def pairs():
    return build_rows([["the cat sat", "a dog"], ["the cat", "the tree slept on"]], [1, 0])


@pytest.fixture
def singles():
    return build_rows([["the cat sat", "a dog"]], [1, -1])


@pytest.fixture
def entries(cache_folder):
    return lambda: {path.name for path in cache_folder.iterdir() if path.is_dir()}


def test_single_texts(singles, tokenizer):
    facts = ("is_cut", "text_hash")
    assert tokenised(singles, tokenizer, 10).remove_columns(facts).to_list() == [
        {"label": 1, "input_ids": [CLS, 4, 6, 8, SEP], "token_type_ids": [0] * 5, "id": 0, "length": 5},
        {"label": -1, "input_ids": [CLS, 5, 7, SEP], "token_type_ids": [0] * 4, "id": 1, "length": 4},
    ]


def test_pairs_have_types(pairs, tokenizer):
    first = tokenised(pairs, tokenizer, 20)[0]
    assert first["input_ids"] == [CLS, 4, 6, 8, SEP, 4, 6, SEP]
    assert first["token_type_ids"] == [0] * 5 + [1] * 3


def test_the_longer_text_of_a_pair_is_cut_first(tokenizer):
    rows = build_rows([["cat " * 9, "cat"], ["dog dog", "dog " * 9]], [0, 0])
    assert [row["input_ids"] for row in tokenised(rows, tokenizer, 8)] == [
        [CLS, 6, 6, 6, SEP, 7, 7, SEP],
        [CLS, 6, SEP, 7, 7, 7, 7, SEP],
    ]


@given(texts=st.lists(SENTENCES, min_size=1, max_size=5), max_length=st.integers(3, 24))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
def test_rows_are_what_the_tokenizer_says_and_no_longer_than_asked(texts, max_length, tokenizer):
    rows = tokenised(build_rows([texts], [0] * len(texts)), tokenizer, max_length)
    for place, (text, row) in enumerate(zip(texts, rows, strict=True)):
        whole = tokenizer(text)["input_ids"]
        assert row["input_ids"] == [*whole[:-1][: max_length - 1], SEP]
        assert (row["id"], row["length"]) == (place, len(row["input_ids"]))


def test_rows_that_lost_tokens_are_marked(tokenizer):
    rows = tokenised(build_rows([["the cat sat", "a dog", "a cat sat on"]], [0, 1, 0]), tokenizer, 5)
    assert rows["is_cut"][:] == [False, False, True]


def test_equal_texts_share_a_number_whatever_their_tokens(tokenizer):
    texts = [["unseen", "unheard", "unseen", "the"], ["cat", "cat", "cat", "cat"]]
    numbers = tokenised(build_rows(texts, [0, 1, 1, 0]), tokenizer, 10)["text_hash"][:]
    assert numbers[0] == numbers[2]
    assert len(set(numbers)) == 3
    joined = [["a b", "a"], ["c", "b c"]]
    assert len(set(tokenised(build_rows(joined, [0, 0]), tokenizer, 10)["text_hash"])) == 2


def test_a_backbone_without_types_gets_none(singles, tokenizer):
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    rows = tokenised(singles, tokenizer, 10)
    assert rows.column_names == ["label", "input_ids", "id", "length", "is_cut", "text_hash"]
    assert rows.features["label"] == Value("int64")


def test_scores_stay_numbers_and_are_another_entry_than_classes(tokenizer, entries):
    texts = [["the cat sat", "a dog"]]
    scores = tokenised(build_rows(texts, [0.25, 1.0], "float32"), tokenizer, 10)
    assert scores.features["label"] == Value("float32")
    assert scores["label"][:] == [0.25, 1.0]
    tokenised(build_rows(texts, [0, 1], "float32"), tokenizer, 10)
    tokenised(build_rows(texts, [0, 1]), tokenizer, 10)
    assert len(entries()) == 3


def test_the_same_rows_are_tokenised_once(singles, tokenizer, entries, monkeypatch):
    first = tokenised(singles, tokenizer, 10).to_list()
    monkeypatch.setattr("ee_lightning.data.tokenised._tokenise", None)
    assert tokenised(singles, tokenizer, 10).to_list() == first
    assert len(entries()) == 1


def test_where_rows_lie_does_not_matter(singles, tokenizer, entries, tmp_path):
    tokenised(singles, tokenizer, 10)
    tokenised(singles.select([1, 0]).select([1, 0]), tokenizer, 10)
    tokenised(concatenate_datasets([singles.select([0]), singles.select([1])]), tokenizer, 10)
    singles.save_to_disk(tmp_path / "rows", max_shard_size=1)
    tokenised(load_from_disk(tmp_path / "rows"), tokenizer, 10)
    assert len(entries()) == 1


def test_a_column_in_parts_is_the_column(singles, tokenizer):
    rows = tokenised(concatenate_datasets([singles] * 5), tokenizer, 10)
    assert np.concatenate([*column_in_parts(rows, "length")]).tolist() == column(rows, "length").tolist() == [5, 4] * 5


def test_what_the_tokenizer_did_before_changes_nothing(singles, tokenizer, entries):
    tokenised(singles, tokenizer, 10)
    tokenizer(["the cat"], padding="max_length", max_length=7, truncation=True)
    tokenised(singles, tokenizer, 10)
    assert len(entries()) == 1


def test_whatever_changes_the_result_is_another_entry(singles, pairs, tokenizer, entries):
    tokenised(singles, tokenizer, 10)
    tokenised(singles, tokenizer, 11)
    tokenised(pairs, tokenizer, 10)
    tokenised(build_rows([["the cat sat", "a dog"]], [1, 0]), tokenizer, 10)
    tokenised(build_rows([["a dog", "the cat sat"]], [1, -1]), tokenizer, 10)
    tokenizer.model_input_names = ["input_ids"]
    tokenised(singles, tokenizer, 10)
    tokenizer.truncation_side = "left"
    tokenised(singles, tokenizer, 10)
    tokenizer.add_tokens(["sat"])
    tokenised(singles, tokenizer, 10)
    assert len(entries()) == 8


@pytest.mark.parametrize("max_length", [25, 1_000, 2, 1])
def test_a_length_the_tokenizer_cannot_do_is_refused(singles, tokenizer, max_length, cache_folder):
    with pytest.raises(OptionError, match=f"max_length is {max_length}, the tokenizer takes 3 to 24 tokens") as caught:
        tokenised(singles, tokenizer, max_length)
    assert caught.value.where == "--data.max_length"
    assert not cache_folder.exists()


def test_a_tokenizer_without_a_limit_names_none(singles, tokenizer):
    tokenizer.model_max_length = VERY_LARGE_INTEGER
    with pytest.raises(OptionError, match="the tokenizer takes 3 or more tokens"):
        tokenised(singles, tokenizer, 2)


def test_a_pair_needs_room_for_one_more_special_token(pairs, tokenizer):
    with pytest.raises(OptionError, match="takes 4 to 24"):
        tokenised(pairs, tokenizer, 3)


def test_tokenizers_are_told_to_stay_alone_before_data_workers_fork(singles, tokenizer):
    tokenised(singles, tokenizer, 10)
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"


def test_what_the_user_says_of_parallel_tokenizers_stands(singles, tokenizer, monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    tokenised(singles, tokenizer, 10)
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"


def test_nothing_is_drawn_on_the_screen(singles, tokenizer, capfd):
    tokenised(singles, tokenizer, 10)
    assert capfd.readouterr() == ("", "")
