import os
from pathlib import Path

import pytest
from datasets import Dataset

from ee_lightning.data.own import OwnTask
from ee_lightning.data.sources import open_source
from ee_lightning.data.sources.local import LocalSource
from ee_lightning.data.task import Task
from ee_lightning.data.tasks import get_task
from ee_lightning.errors import DataError

ROWS = Dataset.from_dict({"text": ["a", "b"], "label": ["bug", "other"]})


def own_task(root: Path, **options: object) -> Task:
    return OwnTask(["text"], label_names=["bug", "other"], validation_share=0, **options).as_task("mine", root)


def test_a_folder_without_the_task_is_named_with_what_it_holds(tmp_path):
    (tmp_path / "RTE").mkdir()
    with pytest.raises(DataError, match="no folder CoLA for task cola; there is RTE") as caught:
        LocalSource(tmp_path, get_task("cola")).load("train")
    assert caught.value.where == tmp_path
    assert "a folder that holds CoLA/" in caught.value.mend
    assert ".tsv, .csv, .jsonl, .parquet" in caught.value.mend


@pytest.mark.parametrize("task", ["cola", "mine"])
def test_a_place_that_is_not_there_is_told(tmp_path, task):
    root = tmp_path / "nowhere.csv"
    with pytest.raises(DataError, match="the data can't be read: No such file or directory") as caught:
        LocalSource(root, own_task(root) if task == "mine" else get_task(task)).load("train")
    assert caught.value.where == root
    assert "--data.root" in caught.value.mend


@pytest.mark.parametrize("task", ["cola", "mine"])
def test_a_folder_that_may_not_be_read_is_told(tmp_path, task, no_rights):
    closed = tmp_path / "closed" / "data"
    if os.geteuid() != 65_534:  # to which pytest's folder, of the superuser, is closed as it is
        closed.parent.mkdir(mode=0)
    with pytest.raises(DataError, match="the data can't be read: Permission denied") as caught:
        LocalSource(closed, own_task(closed) if task == "mine" else get_task(task)).load("train")
    assert caught.value.where == closed


def test_what_is_there_is_told_where_no_file_trains(tmp_path):
    for name in ("TRAIN.CSV", "train.json"):
        (tmp_path / name).touch()
    with pytest.raises(
        DataError, match=r"no train file of task mine; the folder holds TRAIN\.CSV, train\.json"
    ) as caught:
        open_source(tmp_path, own_task(tmp_path)).load("train")
    assert "--data.own.files '{train: FILE}'" in caught.value.mend
    assert "share" not in caught.value.mend


def test_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    ROWS.to_csv(tmp_path / "rows.csv")
    expected = [{"text_a": "a", "label": 0}, {"text_a": "b", "label": 1}]
    assert open_source("~/rows.csv", own_task(tmp_path)).load("train").to_list() == expected
    named = own_task(tmp_path, files={"train": "~/rows.csv"})
    assert open_source(None, named).load("train").to_list() == expected


def test_a_saved_data_set_is_training_rows_as_a_file_is(tmp_path):
    ROWS.save_to_disk(tmp_path / "saved")
    source = open_source(tmp_path / "saved", own_task(tmp_path / "saved"))
    assert source.load("train")["label"][:] == [0, 1]
    assert not source.has("validation")


def test_a_folder_that_is_no_data_set_is_told(tmp_path):
    (tmp_path / "rows").mkdir()
    task = own_task(tmp_path, files={"train": "rows"})
    with pytest.raises(DataError, match="the folder is no data set") as caught:
        open_source(tmp_path, task).load("train")
    assert caught.value.where == tmp_path / "rows"
