"""Several labels a row, from every kind of file."""

import json
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from ee_lightning.data import CustomTask, resolve_task
from ee_lightning.data.sources import open_source
from ee_lightning.errors import DataError
from ee_lightning.training.data_module import TaskDataModule

SETS = [["bug"], [], ["billing", "bug"], ["other"]]
FLAGS = [[0, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 1]]
NAMES = ("billing", "bug", "other")


def write_csv(folder: Path, separator: str = "|") -> None:
    rows = [f"text {row},{separator.join(names)}" for row, names in enumerate(SETS)]
    (folder / "train.csv").write_text("\n".join(["text,label", *rows]))


def write_jsonl(folder: Path) -> None:
    rows = [json.dumps({"text": f"text {row}", "label": names}) for row, names in enumerate(SETS)]
    (folder / "train.jsonl").write_text("\n".join(rows))


def write_parquet(folder: Path) -> None:
    Dataset.from_dict({"text": list("abcd"), "label": SETS}).to_parquet(folder / "train.parquet")


def write_numbers(folder: Path) -> None:
    features = Features({"text": Value("string"), "label": List(ClassLabel(names=["billing", "bug", "other"]))})
    numbers = [[NAMES.index(name) for name in names] for names in SETS]
    Dataset.from_dict({"text": list("abcd"), "label": numbers}, features=features).save_to_disk(folder / "train")


def own(**options: object) -> CustomTask:
    return CustomTask(**{"text_columns": ["text"], "multi_label": True, "validation_share": 0, **options})


@pytest.mark.parametrize("write", [write_csv, write_jsonl, write_parquet, write_numbers])
def test_every_kind_of_file_gives_the_same_labels(write, tmp_path):
    write(tmp_path)
    task = resolve_task("mine", own(), tmp_path)
    assert (task.label_names, task.num_classes) == (NAMES, 3)
    assert task.metrics == ("micro_f1", "macro_f1", "exact_match")
    assert open_source(tmp_path, task).load("train")["label"][:] == FLAGS
    given = resolve_task("mine", own(label_names=["other", "bug", "billing", "spam"]), tmp_path)
    turned = [[other, bug, billing, 0] for billing, bug, other in FLAGS]
    assert open_source(tmp_path, given).load("train")["label"][:] == turned


@pytest.mark.parametrize("separator", [";", " ", "||"])
def test_any_separator_will_do(separator, tmp_path):
    write_csv(tmp_path, separator)
    task = resolve_task("mine", own(label_separator=separator), tmp_path)
    assert open_source(tmp_path, task).load("train")["label"][:] == FLAGS


def test_another_separator_than_the_given_is_told(tmp_path, caplog):
    write_csv(tmp_path)
    resolve_task("mine", own(), tmp_path)
    assert not caplog.text
    write_csv(tmp_path, ";")
    assert "billing;bug" in resolve_task("mine", own(), tmp_path).label_names
    assert "look like several: billing;bug; what stands between labels is --data.own.label_separator" in caplog.text
    caplog.clear()
    (tmp_path / "train.csv").unlink()
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": ["a, b"]}\n{"text": "b", "label": ["c"]}')
    resolve_task("mine", own(), tmp_path)
    assert not caplog.text  # lists have no separator


def test_blanks_around_labels_are_nothing(tmp_path):
    write_csv(tmp_path, " | ")
    task = resolve_task("mine", own(), tmp_path)
    assert task.label_names == NAMES
    assert open_source(tmp_path, task).load("train")["label"][:] == FLAGS


COLUMNS = ["billing", "bug", "other"]


@pytest.mark.parametrize("words", [("0", "1"), ("0.0", "1.0"), ("False", "True")])
def test_a_column_for_each_label(words, tmp_path):
    rows = [",".join([f"text {row}", *(words[flag] for flag in flags)]) for row, flags in enumerate(FLAGS)]
    (tmp_path / "train.csv").write_text("\n".join(["text,billing,bug,other", *rows]))
    task = resolve_task("mine", own(label_columns=COLUMNS), tmp_path)
    assert task.label_names == NAMES
    assert open_source(tmp_path, task).load("train")["label"][:] == FLAGS
    named = resolve_task("mine", own(label_columns=COLUMNS[:2], label_names=["money", "fault"]), tmp_path)
    assert (named.label_names, open_source(tmp_path, named).load("train")["label"][:]) == (
        ("money", "fault"),
        [flags[:2] for flags in FLAGS],
    )


def test_columns_of_a_data_set_may_be_truth_values_or_numbers(tmp_path):
    columns = {"bug": [True, False], "billing": [0, 1], "other": [0.0, 1.0]}
    Dataset.from_dict({"text": ["a", "b"], **columns}).to_parquet(tmp_path / "train.parquet")
    task = resolve_task("mine", own(label_columns=list(columns)), tmp_path)
    assert open_source(tmp_path, task).load("train")["label"][:] == [[1, 0, 0], [0, 1, 1]]


@pytest.mark.parametrize("test_rows", ["text\na\n", "text,bug,billing\na,-1,-1\n"])
def test_a_test_split_may_lack_labels(test_rows, tmp_path):
    (tmp_path / "train.csv").write_text("text,bug,billing\na,1,0\n")
    (tmp_path / "test.csv").write_text(test_rows)
    task = resolve_task("mine", own(label_columns=["bug", "billing"]), tmp_path)
    assert open_source(tmp_path, task).load("test")["label"][:] == [[-1, -1]]


def test_a_test_split_may_lack_the_labels_of_some_rows(tmp_path):
    write_jsonl(tmp_path)
    rows = [{"text": "a", "label": None}, {"text": "b", "label": ["bug"]}, {"text": "c", "label": []}]
    Dataset.from_list(rows).to_parquet(tmp_path / "test.parquet")
    task = resolve_task("mine", own(), tmp_path)
    assert open_source(tmp_path, task).load("test")["label"][:] == [[-1] * 3, [0, 1, 0], [0, 0, 0]]


MISTAKES = {
    "an unknown label": (["text,label", "a,bug", "b,bug|bugg"], {}, 3, "label 'bugg' is unknown", "labels of mine: "),
    "a label that is empty": (["text,label", "a,", "b,bug||billing"], {}, 3, "a label is empty", "label_separator"),
    "another separator": (["text,label", "a,bug;billing"], {}, 2, "'bug;billing' is unknown", "--data.own.label_separ"),
    "a flag that is none": (
        ["text,bug,billing", "a,1,0", "b,0,2"],
        {"label_columns": ["bug", "billing"]},
        3,
        "'billing' is '2', and neither 0 nor 1",
        "write 1 in the rows that have the label",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_bad_cell_is_named_with_its_row(mistake, tmp_path):
    lines, options, line, problem, hint = MISTAKES[mistake]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    task = resolve_task("mine", own(label_names=["bug", "billing"], **options), tmp_path)
    with pytest.raises(DataError, match=problem) as caught:
        open_source(tmp_path, task).load("train")
    assert caught.value.where == f"{tmp_path / 'train.csv'}, line {line}"
    assert hint in caught.value.hint


def test_a_training_row_needs_labels(tmp_path):
    rows = [{"text": "a", "label": ["bug"]}, {"text": "b", "label": None}]
    Dataset.from_list(rows).to_parquet(tmp_path / "train.parquet")
    task = resolve_task("mine", own(label_names=["bug", "billing"]), tmp_path)
    with pytest.raises(DataError, match="the row has no labels") as caught:
        open_source(tmp_path, task).load("train")
    assert caught.value.where == f"{tmp_path / 'train.parquet'}, row 2"


@pytest.mark.parametrize("labels", [[1, 2], [0.5, 1.0], [[0.5], [1.0]], [[True], [False]]])
def test_a_column_of_something_else_is_no_column_of_labels(labels, tmp_path):
    Dataset.from_dict({"text": ["a", "b"], "label": labels}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(DataError, match="neither lists of labels nor texts") as caught:
        resolve_task("mine", own(), tmp_path)
    assert "--data.own.label_columns" in caught.value.hint


@pytest.mark.parametrize("write", [write_jsonl, write_parquet])
@pytest.mark.parametrize("names", [None, ["bug", "billing"]])
def test_lists_are_no_labels_of_a_task_with_one(write, names, tmp_path):
    write(tmp_path)
    options = own(multi_label=False, label_names=names)
    with pytest.raises(DataError, match="the labels are lists") as caught:
        open_source(tmp_path, resolve_task("mine", options, tmp_path)).load("train")
    assert "--data.own.multi_label true" in caught.value.hint


def test_a_list_of_labels_holds_one_kind_of_them(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": ["bug", 1]}')
    with pytest.raises(DataError, match="'label' is neither text nor a number"):
        resolve_task("mine", own(), tmp_path)
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": ["bug"]}\n{"text": "b", "label": "bug"}')
    with pytest.raises(DataError, match="'label' is text, and was a list of texts in the rows before"):
        resolve_task("mine", own(), tmp_path)


def test_whole_numbers_are_labels_too(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": [10, 9]}\n{"text": "b", "label": []}')
    task = resolve_task("mine", own(), tmp_path)
    assert task.label_names == ("9", "10")
    assert open_source(tmp_path, task).load("train")["label"][:] == [[1, 1], [0, 0]]


def test_lists_are_no_texts(tmp_path):
    write_parquet(tmp_path)
    task = resolve_task("mine", own(text_columns=["label"], label_column="text", label_names=["a", "b"]), tmp_path)
    with pytest.raises(DataError, match="'label' holds lists, and no texts"):
        open_source(tmp_path, task).load("train")


def test_a_missing_label_column_is_named(tmp_path):
    write_csv(tmp_path)
    with pytest.raises(DataError, match="no column 'bug'") as caught:
        resolve_task("mine", own(label_columns=["bug", "billing"]), tmp_path)
    assert caught.value.hint.startswith("it has the columns text, label")


@pytest.mark.parametrize("as_text", [True, False])
def test_labels_of_many_rows_which_lie_in_several_parts(as_text, tmp_path):
    sets = [[f"label {number}" for number in range(8) if row % (number + 2) == 0] for row in range(2500)]
    column = ["|".join(names) for names in sets] if as_text else sets
    Dataset.from_dict({"text": ["a text"] * 2500, "label": column}).to_parquet(tmp_path / "train.parquet")
    task = resolve_task("mine", own(), tmp_path)
    flags = open_source(tmp_path, task).load("train")["label"][:]
    assert flags == [[int(row % (number + 2) == 0) for number in range(8)] for row in range(2500)]
    whole = Dataset.from_parquet(str(tmp_path / "train.parquet"), cache_dir=str(tmp_path)).with_format("arrow")[:]
    assert len(whole.column("label").chunks) > 1
    (tmp_path / "train.parquet").unlink()
    sets[2100] = ["label 9"]
    Dataset.from_dict({"text": ["a text"] * 2500, "label": sets}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(DataError, match="label 'label 9' is unknown") as caught:
        open_source(tmp_path, task).load("train")
    assert caught.value.where == f"{tmp_path / 'train.parquet'}, row 2101"


def test_batches_and_counts_of_labels(tmp_path, tokenizer_folder):
    sets = [SETS[row % 4] for row in range(200)]
    rows = [json.dumps({"text": f"the cat {row}", "label": names}) for row, names in enumerate(sets)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    options = own(validation_share=0.2)
    data = TaskDataModule("mine", str(tmp_path), str(tokenizer_folder), max_length=12, own=options)
    data.setup("fit")
    seen = {
        number: flags
        for loader in (data.train_dataloader(), *data.val_dataloader())
        for batch in loader
        for number, flags in zip(batch["input_ids"][:, 3].tolist(), batch["labels"].tolist(), strict=True)
    }
    assert {tuple(flags) for flags in seen.values()} <= {tuple(flags) for flags in FLAGS}
    trained_on = [flags for batch in data.train_dataloader() for flags in batch["labels"].tolist()]
    there = [sum(column) for column in zip(*trained_on, strict=True)]
    assert data.class_counts == [[len(trained_on) - count, count] for count in there]
    assert (data.multi_label, data.num_classes, data.label_names) == (True, 3, NAMES)


@pytest.mark.parametrize(("labels", "words"), [(["bug", "billing"], "the labels 'billing|bug'"), ([], "no label")])
def test_rows_that_all_have_the_same_labels_are_refused(labels, words, tmp_path, tokenizer_folder):
    rows = [json.dumps({"text": f"the cat {row}", "label": labels}) for row in range(100)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    options = own(validation_share=0.2, label_names=["billing", "bug"])
    data = TaskDataModule("mine", str(tmp_path), str(tokenizer_folder), max_length=12, own=options)
    with pytest.raises(DataError, match="training rows of mine have") as caught:
        data.setup("fit")
    assert words in caught.value.what


def test_unlabelled_rows_are_counted(tmp_path, tokenizer_folder):
    (tmp_path / "train.csv").write_text("text,bug,billing\na,1,0\nb,0,0\n")
    (tmp_path / "test.csv").write_text("text,bug,billing\na,-1,-1\nb,0,1\n")
    options = own(label_columns=["bug", "billing"])
    data = TaskDataModule("mine", str(tmp_path), str(tokenizer_folder), max_length=12, own=options)
    with pytest.raises(DataError, match="1 of 2 rows lack one"):
        data.setup("test")
