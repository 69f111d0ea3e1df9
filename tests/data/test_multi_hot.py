"""Labels as vectors of 0 and 1, and lists that were written as text."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from ee_lightning.data import CustomTask, resolve_task
from ee_lightning.data.labels import LONGEST, words_in
from ee_lightning.data.sources import open_source
from ee_lightning.errors import DataError

NAMES = ["fun", "praise", "slow"]
FLAGS = [[0, 1, 1], [0, 0, 0], [1, 0, 0], [1, 1, 1]]
SETS = [[name for name, flag in zip(NAMES, flags, strict=True) if flag] for flags in FLAGS]


def own(**options):
    return CustomTask(**{"text_columns": ["text"], "multi_label": True, "validation_share": 0, **options})


def write(folder, ending, labels, split="train"):
    rows = {"text": [f"text {row}" for row in range(len(labels))], "label": labels}
    if ending == "saved":
        Dataset.from_dict(rows).save_to_disk(folder / split)
    elif ending == "parquet":
        Dataset.from_dict(rows).to_parquet(folder / f"{split}.parquet")
    elif ending == "jsonl":
        lines = (json.dumps(dict(zip(rows, row, strict=True))) for row in zip(*rows.values(), strict=True))
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    else:
        Dataset.from_dict({**rows, "label": [str(label) for label in labels]}).to_csv(folder / f"{split}.csv")


def read(folder, split="train", **options):
    return open_source(folder, resolve_task("mine", own(**options), folder)).load(split)["label"][:]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "saved"])
@pytest.mark.parametrize("kind", [int, float, bool])
def test_vectors_of_0_and_1_are_read_by_position(ending, kind, tmp_path):
    write(tmp_path, ending, [[kind(flag) for flag in flags] for flags in FLAGS])
    assert read(tmp_path, label_names=NAMES) == FLAGS
    with pytest.raises(DataError, match="look like multi-hot vectors: all have 3 entries") as caught:
        read(tmp_path)
    assert "--data.own.label_names" in caught.value.hint
    assert "--data.own.label_columns" in caught.value.hint
    with pytest.raises(DataError, match="look like multi-hot vectors of 3 labels, and there are 4"):
        read(tmp_path, label_names=[*NAMES, "long"])


@pytest.mark.parametrize("words", [("0", "1"), ("0.0", "1.0"), ("False", "True"), ("false", "true")])
def test_vectors_may_have_the_separator_between_their_entries(words, tmp_path):
    cells = ["|".join(words[flag] for flag in flags) for flags in FLAGS]
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(f"text,{cell}\n" for cell in cells))
    assert read(tmp_path, label_names=NAMES) == FLAGS
    with pytest.raises(DataError, match="look like multi-hot vectors"):
        read(tmp_path)


def test_vectors_of_a_data_set_with_names_of_its_own_follow_these(tmp_path):
    features = Features({"text": Value("string"), "label": List(ClassLabel(names=[*reversed(NAMES)]))})
    rows = {"text": [*"abcd"], "label": [[*reversed(flags)] for flags in FLAGS]}
    Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "train")
    assert read(tmp_path) == [[*reversed(flags)] for flags in FLAGS]
    assert read(tmp_path, label_names=[*NAMES, "long"]) == [[*flags, 0] for flags in FLAGS]
    with pytest.raises(DataError, match="the data set's label 'slow' is unknown"):
        read(tmp_path, label_names=["fun", "praise", "long"])


@pytest.mark.parametrize(("unknown", "ending"), [(None, "parquet"), ([-1, -1, -1], "jsonl"), ([-1, -1, -1], "csv")])
def test_vectors_of_a_test_split_may_not_be_known(unknown, ending, tmp_path):
    write(tmp_path, ending, [[0, 1, 0], unknown], split="test")
    assert read(tmp_path, "test", label_names=NAMES) == [[0, 1, 0], [-1, -1, -1]]


@pytest.mark.parametrize("labels", [[[1], [0, 2]], FLAGS, [[flag == 1 for flag in flags] for flags in FLAGS]])
@pytest.mark.parametrize("names", [NAMES, None])
def test_words_in_one_split_and_numbers_in_another_are_refused(labels, names, tmp_path):
    write(tmp_path, "csv", SETS)
    write(tmp_path, "jsonl", labels, split="test")
    source = open_source(tmp_path, resolve_task("mine", own(label_names=names), tmp_path))
    assert source.load("train")["label"][:] == FLAGS
    with pytest.raises(DataError, match="the labels of test are numbers, and those of train are words"):
        source.load("test")


@pytest.mark.parametrize("multi_label", [True, False])
def test_a_number_that_a_data_set_has_no_name_for_is_no_label(multi_label, tmp_path):
    label = ClassLabel(names=["slow", "fun"])
    schema = Features({"text": Value("string"), "label": List(label) if multi_label else label}).arrow_schema
    for wrong in (2, -2):
        numbers = pa.array([[0], [wrong]] if multi_label else [0, wrong], schema.field("label").type)
        pq.write_table(pa.table({"text": ["a", "b"], "label": numbers}, schema=schema), tmp_path / "train.parquet")
        with pytest.raises(DataError, match=rf"label '?{wrong}'? is") as caught:
            read(tmp_path, multi_label=multi_label, label_names=NAMES)
        assert caught.value.where == f"{tmp_path / 'train.parquet'}, row 2"


def test_lists_of_numbers_of_labels_stay_such(tmp_path):
    write(tmp_path, "jsonl", [[0, 2], [1], [], [0, 1]])
    assert read(tmp_path, label_names=NAMES) == [[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 0]]
    write(tmp_path, "jsonl", [[0, 1], [1, 0]])  # as many entries as no vector of three labels has
    assert read(tmp_path, label_names=NAMES) == [[1, 1, 0]] * 2


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_lists_that_can_be_both_are_refused(ending, tmp_path):
    write(tmp_path, ending, [[0, 1], [1, 0]])
    with pytest.raises(DataError, match=r"two label numbers or a multi-hot vector") as caught:
        read(tmp_path, label_names=["fun", "slow"])
    assert "--data.own.label_columns" in caught.value.hint
    write(tmp_path, ending, [[0, 1], [1, 1]])
    assert read(tmp_path, label_names=["fun", "slow"]) == [[0, 1], [1, 1]]
    write(tmp_path, "parquet", [[False, True], [True, False]])
    (tmp_path / f"train.{ending}").unlink()
    assert read(tmp_path, label_names=["fun", "slow"]) == [[0, 1], [1, 0]]


@pytest.mark.parametrize("other", [[0, 1], [0, 1, 2], []])
@pytest.mark.parametrize("names", [NAMES, None])
def test_a_vector_among_other_lists_is_refused(other, names, tmp_path):
    write(tmp_path, "jsonl", [other, [0, 1, 0], [1, 1, 0]])
    with pytest.raises(DataError, match="the list has 0 or 1 twice") as caught:
        read(tmp_path, label_names=names)
    assert caught.value.where == f"{tmp_path / 'train.jsonl'}, line 2"


@pytest.mark.parametrize("write_list", [str, json.dumps, lambda names: f" {names} "])
@pytest.mark.parametrize("sets", [SETS, [["it's", 'a "b"'], ["x, y"], [], ["[z]"]]])
def test_lists_in_a_csv_file_are_read_as_lists(write_list, sets, tmp_path):
    Dataset.from_dict({"text": [*"abcd"], "label": [*map(write_list, sets)]}).to_csv(tmp_path / "train.csv")
    names = sorted({name for names in sets for name in names})
    task = resolve_task("mine", own(), tmp_path)
    assert task.label_names == tuple(names)
    assert read(tmp_path) == [[int(name in names_of_row) for name in names] for names_of_row in sets]


@pytest.mark.parametrize(
    "cell",
    ["['fun' 'slow']", "[1 0 1]", "[fun, slow]", "('fun', 'slow')", "{'fun'}", "set()", "[['fun']]", "['fun', None]"],
)
def test_what_looks_like_a_list_and_is_none_is_refused(cell, tmp_path):
    Dataset.from_dict({"text": [*"ab"], "label": ["fun", cell]}).to_csv(tmp_path / "train.csv")
    with pytest.raises(DataError, match="looks like a list, and can't be read as one") as caught:
        read(tmp_path)
    assert caught.value.where == f"{tmp_path / 'train.csv'}, line 3"
    assert read(tmp_path, label_names=["fun", cell]) == [[1, 0], [0, 1]]


def test_labels_in_brackets_that_are_no_lists_stay_labels(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,[bug]\nb,[bug]|(none)\n")
    assert resolve_task("mine", own(), tmp_path).label_names == ("(none)", "[bug]")


def test_lists_as_text_are_no_labels_of_a_task_with_one(tmp_path):
    write(tmp_path, "csv", SETS)
    with pytest.raises(DataError, match="the labels are lists") as caught:
        resolve_task("mine", own(multi_label=False), tmp_path)
    assert "--data.own.multi_label true" in caught.value.hint
    with pytest.raises(DataError, match="the labels are lists"):
        read(tmp_path, multi_label=False, label_names=NAMES)
    assert read(tmp_path, multi_label=False, label_names=[*map(str, SETS)]) == [0, 1, 2, 3]


@pytest.mark.parametrize("text", ["[" * 100_000, f"[{'1' * 5000}]", f"['{'a' * LONGEST}']", "[1_0 1]", "[nan, x]"])
def test_odd_texts_are_no_lists(text):
    assert words_in(text) is None


WHOLE = [["0", "1"], ["0.0", "1.0"], [0, 1], [0.0, 1.0]]


@pytest.mark.parametrize(("first", "second"), [(first, WHOLE[number - 1]) for number, first in enumerate(WHOLE)])
@pytest.mark.parametrize("several", [False, True])
def test_a_whole_number_with_and_without_a_fraction_is_one_label(first, second, several, tmp_path):
    for split, labels in (("train", first), ("test", second)):
        rows = [[label] if several else label for label in [*labels, labels[1]]]
        write(tmp_path, "csv" if isinstance(labels[0], str) and not several else "jsonl", rows, split)
    task = resolve_task("mine", own(multi_label=several), tmp_path)
    assert task.label_names == ("0", "1")
    for names in (["0", "1"], ["0.0", "1.0"], ["no", "yes"]):
        task = resolve_task("mine", own(multi_label=several, label_names=names), tmp_path)
        source = open_source(tmp_path, task)
        for split in ("train", "test"):
            assert source.load(split)["label"][:] == ([[1, 0], [0, 1], [0, 1]] if several else [0, 1, 1])


def test_both_ways_in_one_file_are_one_label(tmp_path, caplog):
    (tmp_path / "train.csv").write_text("text,label\na,1\nb,1.0\nc,0\n")
    task = resolve_task("mine", own(multi_label=False), tmp_path)
    assert (task.label_names, caplog.text) == (("0", "1"), "")
    assert read(tmp_path, multi_label=False) == [1, 1, 0]
    assert read(tmp_path, multi_label=False, label_names=["0", "1", "1.0"]) == [1, 2, 0]  # named apart


def test_a_number_unknown_as_it_is_written_is_named_so(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,7.0\n")
    with pytest.raises(DataError, match=r"label '7\.0' is out of range"):
        read(tmp_path, multi_label=False, label_names=["0", "1"])


def test_half_a_surrogate_pair_in_a_list_is_named_with_its_line(tmp_path):
    write(tmp_path, "jsonl", [["fun"], ["slow", "\ud800"]])
    with pytest.raises(DataError, match="label is no Unicode") as caught:
        read(tmp_path, label_names=NAMES)
    assert caught.value.where == f"{tmp_path / 'train.jsonl'}, line 2"
