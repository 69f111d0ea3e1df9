"""Every task of the table, read from a small folder that lies as its data set does on the hub."""

from dataclasses import replace

import datasets
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from ee_lightning.data.sources import open_source
from ee_lightning.data.tasks import TASKS, get_task
from ee_lightning.errors import DataError

TEXT, INT = Value("string"), Value("int64")
NLI = ClassLabel(names=["entailment", "neutral", "contradiction"])
PAIR = {"premise": TEXT, "hypothesis": TEXT, "label": NLI}
IDX = {"idx": Value("int32")}

# The columns of each data set, and the labels in each of its splits.
LAYOUTS = {
    "rotten_tomatoes": (
        {"text": TEXT, "label": ClassLabel(names=["neg", "pos"])},
        {"train": [1, 0], "validation": [0], "test": [1]},
    ),
    "sst2": (
        {"sentence": TEXT, "label": ClassLabel(names=["negative", "positive"]), **IDX},
        {"train": [0, 1], "validation": [1], "test": [-1]},
    ),
    "mrpc": (
        {"sentence1": TEXT, "sentence2": TEXT, "label": ClassLabel(names=["not_equivalent", "equivalent"]), **IDX},
        {"train": [1, 0], "validation": [1], "test": [0, 1]},
    ),
    "qqp": (
        {"question1": TEXT, "question2": TEXT, "label": ClassLabel(names=["not_duplicate", "duplicate"]), **IDX},
        {"train": [1, 0], "validation": [0], "test": [-1]},
    ),
    "rte": (
        {"sentence1": TEXT, "sentence2": TEXT, "label": ClassLabel(names=["entailment", "not_entailment"]), **IDX},
        {"train": [1, 0], "validation": [0], "test": [-1]},
    ),
    "wnli": (
        {"sentence1": TEXT, "sentence2": TEXT, "label": ClassLabel(names=["not_entailment", "entailment"]), **IDX},
        {"train": [1, 0], "validation": [0], "test": [-1]},
    ),
    "qnli": (
        {"question": TEXT, "sentence": TEXT, "label": ClassLabel(names=["entailment", "not_entailment"]), **IDX},
        {"train": [1, 0], "validation": [0], "test": [-1]},
    ),
    "mnli": (
        {**PAIR, **IDX},
        {
            "train": [2, 0, 1],
            "validation_matched": [0],
            "validation_mismatched": [2],
            "test_matched": [-1],
            "test_mismatched": [-1, -1],
        },
    ),
    "ax": ({**PAIR, **IDX}, {"test": [-1, -1]}),
    "cola": (
        {"sentence": TEXT, "label": ClassLabel(names=["unacceptable", "acceptable"]), **IDX},
        {"train": [1, 0], "validation": [0], "test": [-1]},
    ),
    "sst5": ({"text": TEXT, "label": INT, "label_text": TEXT}, {"train": [4, 0], "validation": [3], "test": [2]}),
    "snli": (PAIR, {"train": [0, -1, 2], "validation": [1], "test": [-1, 2]}),
}
WITHOUT_VALIDATION = {
    "ag_news": {"text": TEXT, "label": ClassLabel(names=["World", "Sports", "Business", "Sci/Tech"])},
    "trec": {
        "text": TEXT,
        "coarse_label": ClassLabel(names=["ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"]),
        "fine_label": ClassLabel(names=["ABBR:abb", "ABBR:exp"]),
    },
    "imdb": {"text": TEXT, "label": ClassLabel(names=["neg", "pos"])},
}


@pytest.fixture
def on_the_hub(tmp_path, monkeypatch):
    """Write a data set as it lies on the hub, and give the task that finds it there."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub-cache")

    def write(name, features, splits):
        task, root = get_task(name), tmp_path / "hub"
        config = task.hub_config or "default"
        (root / config).mkdir(parents=True)
        files = "".join(f"  - {{split: {split}, path: {config}/{split}-*.parquet}}\n" for split in splits)
        (root / "README.md").write_text(f"---\nconfigs:\n- config_name: {config}\n  data_files:\n{files}---\n")
        datasets.disable_progress_bars()
        for split, labels in splits.items():
            columns = {
                column: (
                    [f"{split} {column} {row}" for row, _ in enumerate(labels)]
                    if kind == TEXT and "label" not in column
                    else list(labels)
                    if column == task.label_column
                    else ["a word" if kind == TEXT else 0] * len(labels)
                )
                for column, kind in features.items()
            }
            rows = Dataset.from_dict(columns, features=Features(features))
            rows.to_parquet(root / config / f"{split}-00000-of-00001.parquet")
        return replace(task, hub_path=str(root), hub_revision=None)

    yield write
    datasets.enable_progress_bars()


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_split_is_read_as_the_hub_has_it(on_the_hub, name):
    features, splits = LAYOUTS[name]
    source = open_source(None, on_the_hub(name, features, splits))
    texts = get_task(name).text_columns
    for split in ("train", "validation", "test"):
        theirs = get_task(name).hub_splits.get(split, split)
        assert source.has(split) is (theirs in splits)
        if theirs in splits:
            kept = [(row, label) for row, label in enumerate(splits[theirs]) if name != "snli" or label != -1]
            loaded = source.load(split)
            if len(kept) < len(splits[theirs]):
                assert loaded["number"][:] == [row for row, _ in kept]
                loaded = loaded.remove_columns("number")
            assert [tuple(row.values()) for row in loaded] == [
                (*(f"{theirs} {column} {row}" for column in texts), label) for row, label in kept
            ]


def test_the_mismatched_evaluation_has_the_training_rows_of_the_matched_one(on_the_hub):
    source = open_source(None, on_the_hub("mnli_mismatched", *LAYOUTS["mnli"]))
    assert source.load("train")["label"][:] == [2, 0, 1]
    assert source.load("validation").to_list() == [
        {"text_a": "validation_mismatched premise 0", "text_b": "validation_mismatched hypothesis 0", "label": 2}
    ]
    assert len(source.load("test")) == 2


def test_words_of_scitail_become_numbers(on_the_hub):
    features = {"sentence1": TEXT, "sentence2": TEXT, "annotator_labels": TEXT, "gold_label": TEXT}
    words = {"train": ["entailment", "neutral"], "validation": ["neutral"], "test": ["entailment"]}
    source = open_source(None, on_the_hub("scitail", features, words))
    assert [source.load(split)["label"][:] for split in words] == [[1, 0], [0], [1]]


@pytest.mark.parametrize("name", WITHOUT_VALIDATION)
def test_a_tenth_of_the_training_rows_validates_where_the_hub_has_no_such_split(on_the_hub, name):
    task = on_the_hub(name, WITHOUT_VALIDATION[name], {"train": [0, 1] * 200, "test": [1, 0]})
    source = open_source(None, task)
    assert all(source.has(split) for split in ("train", "validation", "test"))
    train, validation = source.load("train"), source.load("validation")
    texts = [*train["text_a"], *validation["text_a"]]
    assert len(set(texts)) == len(texts) == 400
    assert 25 <= len(validation) <= 55
    assert source.load("test")["label"][:] == [1, 0]
    assert open_source(None, task).load("validation").to_list() == validation.to_list()


def test_the_parquet_branch_of_trec_is_asked_for(monkeypatch):
    asked = {}

    def load_dataset(path, config, revision):
        asked.update(path=path, config=config, revision=revision)
        raise OSError("no connection")

    monkeypatch.setattr("ee_lightning.data.sources.load_dataset", load_dataset)
    with pytest.raises(DataError, match="can't be had from the hub: no connection"):
        open_source(None, get_task("trec")).load("train")
    assert asked == {"path": "CogComp/trec", "config": None, "revision": "refs/convert/parquet"}


def test_labels_of_another_order_are_taken_by_their_words(on_the_hub):
    features = {**PAIR, "label": ClassLabel(names=["contradiction", "neutral", "entailment"])}
    source = open_source(None, on_the_hub("snli", features, {"train": [0, 1, 2]}))
    assert source.load("train")["label"][:] == [2, 1, 0]


def test_the_labels_of_another_task_are_refused(on_the_hub):
    features, splits = LAYOUTS["rte"]
    task = on_the_hub("rte", {**features, "label": NLI}, splits)
    with pytest.raises(DataError, match="labels belong to another task: entailment, neutral, contradiction") as caught:
        open_source(None, task).load("train")
    assert "labels of rte: entailment" in caught.value.hint


def test_every_task_of_the_table_has_its_layout_here():
    assert {*LAYOUTS, *WITHOUT_VALIDATION, "mnli_mismatched", "scitail", "stsb"} == set(TASKS)  # stsb: test_hub.py
