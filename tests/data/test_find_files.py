import os
from pathlib import Path
from shutil import rmtree

import pytest
from datasets import Dataset, DatasetDict

from ee_lightning.data.custom import CustomTask
from ee_lightning.data.sources import LocalSource, open_source
from ee_lightning.data.tasks import Task, get_task
from ee_lightning.errors import DataError

ROWS = Dataset.from_dict({"text": ["a", "b"], "label": ["bug", "other"]})


def own_task(root: Path, **options: object) -> Task:
    return CustomTask(["text"], label_names=["bug", "other"], validation_share=0, **options).as_task("mine", root)


def test_a_folder_without_the_task_is_named_with_what_it_holds(tmp_path):
    (tmp_path / "RTE").mkdir()
    with pytest.raises(DataError, match="no folder CoLA for task cola; there is RTE") as caught:
        LocalSource(tmp_path, get_task("cola")).load("train")
    assert caught.value.where == tmp_path
    assert "a folder that holds CoLA/" in caught.value.hint
    assert ".tsv, .csv, .jsonl, .parquet" in caught.value.hint


def save_splits(folder: Path, *splits: str) -> None:
    DatasetDict(dict.fromkeys(splits, ROWS)).save_to_disk(folder)


@pytest.mark.parametrize("lost", [["validation"], ["validation/state.json"]])
@pytest.mark.parametrize("is_listed", [True, False])
def test_a_split_that_a_saved_data_set_lost_is_not_held_out_elsewhere(tmp_path, lost, is_listed):
    save_splits(tmp_path, "train", "validation")
    for name in lost:
        place = tmp_path / name
        rmtree(place) if place.is_dir() else place.unlink()
    if not is_listed:
        (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    task = CustomTask(["text"], label_names=["bug", "other"]).as_task("mine", tmp_path)
    source = open_source(tmp_path, task)
    if lost == ["validation"] and not is_listed:
        assert source.has("validation")  # held out of the training rows
        return
    with pytest.raises(DataError, match="the validation split of the saved data set is gone") as caught:
        source.has("validation")
    assert caught.value.where == tmp_path / "validation" / "state.json"
    assert "dataset_dict.json" in caught.value.hint


def test_a_lost_split_may_have_another_file(tmp_path):
    save_splits(tmp_path, "train", "validation")
    (tmp_path / "validation").rename(tmp_path / "dev")
    assert len(LocalSource(tmp_path, own_task(tmp_path)).load("validation")) == 2


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"splits": 1}', '{"splits": [1]}', "\udcff"])
def test_a_damaged_list_of_splits_is_refused(tmp_path, content):
    save_splits(tmp_path, "train")
    (tmp_path / "dataset_dict.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match="it can't be read") as caught:
        LocalSource(tmp_path, own_task(tmp_path)).has("validation")
    assert caught.value.where == tmp_path / "dataset_dict.json"


def link(kind: str, target: Path, other: Path) -> str:
    if kind == "symbolic":
        other.symlink_to(target)
    if kind == "hard":
        other.hardlink_to(target)
    spelt = {"same": target.name, "spelling": f"./below/../{target.name}", "absolute": str(target)}
    return spelt.get(kind, other.name)


@pytest.mark.parametrize("kind", ["same", "spelling", "absolute", "symbolic", "hard"])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_one_file_for_two_splits_is_refused(tmp_path, kind, split):
    (tmp_path / "below").mkdir()
    (tmp_path / "rows.csv").write_text("text,label\na,bug\nb,other\n")
    files = {"train": "rows.csv", split: link(kind, tmp_path / "rows.csv", tmp_path / "others.csv")}
    with pytest.raises(DataError, match=f"the train and {split} splits are the same file") as caught:
        LocalSource(tmp_path, own_task(tmp_path, files=files)).load("train")
    assert caught.value.where == tmp_path / "rows.csv"
    assert "--data.own.files" in caught.value.hint


def test_one_data_set_for_two_splits_is_refused(tmp_path):
    save_splits(tmp_path, "train", "test")
    files = {"train": "train", "validation": "test", "test": "./test"}
    source = LocalSource(tmp_path, own_task(tmp_path, files=files))
    assert len(source.load("train")) == 2
    with pytest.raises(DataError, match="the validation and test splits are the same file"):
        source.load("test")


def test_splits_of_a_folder_that_are_one_file_are_refused(tmp_path):
    ROWS.to_csv(tmp_path / "train.csv")
    (tmp_path / "test.csv").symlink_to("train.csv")
    with pytest.raises(DataError, match="the train and test splits are the same file") as caught:
        LocalSource(tmp_path, own_task(tmp_path)).load("train")
    assert "--data.own.files" not in caught.value.hint


@pytest.mark.parametrize("task", ["cola", "mine"])
def test_a_place_that_is_not_there_is_told(tmp_path, task):
    root = tmp_path / "nowhere.csv"
    with pytest.raises(DataError, match="the data can't be read: No such file or directory") as caught:
        LocalSource(root, own_task(root) if task == "mine" else get_task(task)).load("train")
    assert caught.value.where == root
    assert "--data.root" in caught.value.hint


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
    assert "--data.own.files '{train: FILE}'" in caught.value.hint
    assert "share" not in caught.value.hint


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
