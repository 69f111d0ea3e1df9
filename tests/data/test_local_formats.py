"""Local files of every kind, and what can be wrong with them."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from ee_lightning.data import CustomTask, resolve_task
from ee_lightning.data.arrow_files import read_parquet
from ee_lightning.data.local_files import shards_of
from ee_lightning.data.row_files import Chooser
from ee_lightning.data.sources import LocalSource
from ee_lightning.data.tasks import get_task
from ee_lightning.errors import DataError

ROWS = [
    {"sentence1": 'He said "a cat, sat".', "sentence2": "Two\nlines.", "label": "entailment"},
    {"sentence1": "A dog ran.", "sentence2": "Naïve.", "label": "not_entailment"},
]
EXPECTED = [(row["sentence1"], row["sentence2"], number) for number, row in enumerate(ROWS)]
CSV = (
    '\ufefflabel,sentence1,sentence2\nentailment,"He said ""a cat, sat"".","Two\nlines."\n'
    "not_entailment,A dog ran.,Naïve.\n"
)


def write_csv(folder):
    (folder / "train.csv").write_text(CSV, encoding="utf-8")


def write_jsonl(folder):
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n\n" for row in ROWS))


def write_parquet(folder):
    Dataset.from_list(ROWS).to_parquet(folder / "train.parquet")


def write_shards(folder):
    for shard, row in enumerate(ROWS):
        Dataset.from_list([row]).to_parquet(folder / f"train-0000{shard}-of-00002.parquet")


def write_saved(folder):
    features = Features({**dict.fromkeys(("sentence1", "sentence2"), Value("string")), "label": ClassLabel(2)})
    features["label"] = ClassLabel(names=["not_entailment", "entailment"])  # the other way round
    rows = Dataset.from_list([{**row, "label": 1 - number} for number, row in enumerate(ROWS)], features=features)
    DatasetDict({"train": rows}).save_to_disk(folder)


@pytest.mark.parametrize(
    ("write", "inside"),
    [
        (write_csv, ""),
        (write_csv, "rte"),
        (write_jsonl, "RTE"),
        (write_parquet, ""),
        (write_shards, ""),
        (write_saved, ""),
    ],
)
def test_every_kind_of_file_gives_the_same_rows(tmp_path, write, inside, capfd):
    (tmp_path / inside).mkdir(exist_ok=True)
    write(tmp_path / inside)
    capfd.readouterr()
    source = LocalSource(tmp_path, get_task("rte"))
    assert [tuple(row.values()) for row in source.load("train")] == EXPECTED
    assert source.has("train")
    assert not source.has("validation")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("task", "names"),
    [("mrpc", ["yes", "no"]), ("mrpc", ["no", "equivalent"]), ("snli", ["no", "so", "yes"])],
)
def test_a_saved_data_set_with_the_labels_of_another_task_is_refused(tmp_path, task, names):
    columns = get_task(task).text_columns
    features = Features({**dict.fromkeys(columns, Value("string")), "label": ClassLabel(names=names)})
    Dataset.from_list([{**dict.fromkeys(columns, "a"), "label": 0}], features=features).save_to_disk(tmp_path / "train")
    with pytest.raises(DataError, match=f"the labels belong to another task: {', '.join(names)}"):
        LocalSource(tmp_path, get_task(task)).load("train")


@pytest.mark.parametrize("stem", ["validation", "dev", "val", "valid"])
def test_the_validation_file_goes_by_any_of_its_names(tmp_path, stem):
    (tmp_path / f"{stem}.csv").write_text("text,label\na film,positive\n")
    source = LocalSource(tmp_path, get_task("rotten_tomatoes"))
    assert source.load("validation").to_list() == [{"text_a": "a film", "label": 1}]


@pytest.mark.parametrize(
    ("task", "folder", "texts", "label"),
    [
        ("sst2", "SST-2", ["sentence"], 1),
        ("imdb", "IMDb", ["sentence"], 0),
        ("mrpc", "MRPC", ["sentence1", "sentence2"], 1),
        ("stsb", "STS-B", ["sentence1", "sentence2"], 2.5),
        ("snli", "SNLI", ["premise", "hypothesis"], 2),
        ("scitail", "SciTail", ["premise", "hypothesis"], 1),
    ],
)
def test_files_of_elue_have_texts_first_and_unlabelled_tests(tmp_path, task, folder, texts, label):
    header, row = "\t".join(texts), ("a film", "b")[: len(texts)]
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "train.tsv").write_text(f"{header}\tlabel\n{chr(9).join(row)}\t{label}\n")
    (tmp_path / folder / "test.tsv").write_text(f"index\t{header}\n0\t{chr(9).join(row)}\n")
    source = LocalSource(tmp_path, get_task(task))
    assert tuple(source.load("train")[0].values()) == (*row, label)
    (unlabelled,) = source.load("test")
    assert tuple(unlabelled.values())[:-1] == row
    assert not get_task(task).accepts(unlabelled["label"])


def test_an_exported_test_split_keeps_its_missing_labels(tmp_path):
    (tmp_path / "test.csv").write_text("sentence,label,idx\na film,-1,0\n")
    (tmp_path / "train.csv").write_text("sentence,label,idx\na film,-1,0\n")
    source = LocalSource(tmp_path, get_task("sst2"))
    assert source.load("test")["label"][:] == [-1]
    with pytest.raises(DataError, match="label '-1' is out of range"):
        source.load("train")


SST2 = "sentence,label\na film,1\n"
BAD = {
    "ragged": ("train.csv", SST2 + "a film\n", "1 cells where 2 are expected: sentence, label", "train.csv, line 3"),
    "ragged after a long cell": (
        "train.csv",
        SST2 + '"two\nlines",1\na film\n',
        "1 cells where 2",
        "train.csv, line 5",
    ),
    "no CSV": ("train.csv", SST2 + '"a" film,1\n', "it is no CSV", "train.csv, line 3"),
    "an open quote": ("train.csv", SST2 + '"a film,1\nend', "it is no CSV", "train.csv, line 3"),
    "an empty CSV": ("train.csv", "", "no rows", "train.csv"),
    "a header alone": ("train.csv", "sentence,label\n", "no rows", "train.csv"),
    "wrong columns": ("train.csv", "phrase,label\na,1\n", "no column 'sentence'", "train.csv"),
    "no label": ("train.csv", "sentence,mark\na,1\n", "no column 'label'", "train.csv"),
    "an unknown word": (
        "train.csv",
        SST2 + "a film,entailment\n",
        "label 'entailment' is unknown",
        "train.csv, line 3",
    ),
    "words and numbers": (
        "train.csv",
        SST2 + "a film,0\na dull film,negative\nmore,positive\n",
        "labels are words in some rows and numbers in others",
        "train.csv, line 4",
    ),
    "numbers for texts": ("train.csv", "sentence,label\n3.5,1\n-2,0\n", "column 'sentence' holds numbers", "line 2"),
    "another encoding": ("train.csv", (SST2 + "un café,1\n").encode("latin-1"), "not UTF-8", "train.csv, line 3"),
    "no JSON": ("train.jsonl", '{"sentence": "a", "label": 1}\n{"sentence":\n', "it is no JSON", "train.jsonl, line 2"),
    "no object": ("train.jsonl", '["a", 1]\n', "no JSON object", "train.jsonl, line 1"),
    "an empty JSONL": ("train.jsonl", "\n", "no rows", "train.jsonl"),
    "a row that lacks a label": (
        "train.jsonl",
        '{"sentence": "a", "label": 1}\n{"sentence": "b"}\n',
        "no column 'label'",
        "train.jsonl, line 2",
    ),
    "kinds that differ": (
        "train.jsonl",
        '{"sentence": "a", "label": 1}\n{"sentence": "b", "label": "one"}\n',
        "'label' is text, and was a number in the rows before",
        "train.jsonl, line 2",
    ),
    "a list for a text": (
        "train.jsonl",
        '{"sentence": ["a"], "label": 1}\n',
        "'sentence' is .*, and no text",
        "train.jsonl, line 1",
    ),
    "JSON numbers for texts": (
        "train.jsonl",
        '{"sentence": 5, "label": 1}\n',
        "'sentence' is 5, and no text",
        "line 1",
    ),
    "null for a label": ("train.jsonl", '{"sentence": "a", "label": null}\n', "the row has no label", "line 1"),
    "half a label": ("train.jsonl", '{"sentence": "a", "label": 0.5}\n', "label 0.5 is out of range", "line 1"),
    "no Parquet": ("train.parquet", "PAR", "it can't be read", "train.parquet"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_file_is_one_error_with_its_place(tmp_path, case):
    name, content, problem, place = BAD[case]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=problem) as caught:
        LocalSource(tmp_path, get_task("sst2")).load("train")
    assert str(caught.value.where).endswith(place)
    assert caught.value.hint


def test_who_mixed_tasks_up_is_told_whose_label_it_is(tmp_path):
    (tmp_path / "train.csv").write_text("sentence1,sentence2,label\na,b,entailment\nc,d,contradiction\n")
    with pytest.raises(DataError, match="label 'contradiction' is unknown") as caught:
        LocalSource(tmp_path, get_task("rte")).load("train")
    assert "'contradiction' is one of mnli, mnli_mismatched, ax, snli" in caught.value.hint


def test_a_text_that_is_missing_is_named_with_its_row(tmp_path):
    rows = [{"sentence": "a", "label": 1}, {"sentence": None, "label": 0}]
    Dataset.from_list(rows).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(DataError, match="the row has no 'sentence'") as caught:
        LocalSource(tmp_path, get_task("sst2")).load("train")
    assert str(caught.value.where).endswith("train.parquet, row 2")


@pytest.mark.parametrize("kind", ["parquet", "saved"])
def test_no_rows_on_the_disk_are_an_error(tmp_path, kind):
    rows = Dataset.from_list([{"sentence": "a", "label": 1}]).select([])
    rows.to_parquet(tmp_path / "train.parquet") if kind == "parquet" else rows.save_to_disk(tmp_path / "train")
    with pytest.raises(DataError, match="no rows"):
        LocalSource(tmp_path, get_task("sst2")).load("train")


def test_a_damaged_folder_of_datasets_is_named(tmp_path):
    Dataset.from_list([{"sentence": "a", "label": 1}]).save_to_disk(tmp_path / "train")
    next((tmp_path / "train").glob("*.arrow")).write_bytes(b"ARROW")
    with pytest.raises(DataError, match="it can't be read") as caught:
        LocalSource(tmp_path, get_task("sst2")).load("train")
    assert caught.value.where == tmp_path / "train"


def test_two_files_for_a_split_are_refused(tmp_path):
    write_csv(tmp_path)
    write_jsonl(tmp_path)
    with pytest.raises(DataError, match=r"several files could be the train split: train\.csv, train\.jsonl"):
        LocalSource(tmp_path, get_task("rte")).load("train")


def test_parquet_is_read_from_the_disk(tmp_path):
    write_parquet(tmp_path)
    assert pq.read_metadata(tmp_path / "train.parquet").num_rows == 2
    rows = LocalSource(tmp_path, get_task("rte")).load("train")
    assert rows.cache_files  # empty for rows that are in memory


@pytest.mark.parametrize("write", [write_parquet, write_shards])
def test_parquet_that_changed_without_its_time_is_read_anew(tmp_path, cache_folder, write):
    write(tmp_path)
    path = sorted(tmp_path.glob("train*.parquet"))[-1]
    source, time = LocalSource(tmp_path, get_task("rte")), path.stat().st_mtime_ns
    assert source.load("train")[-1]["text_b"] == "Naïve."
    changed = pq.read_table(path).to_pylist()
    changed[-1]["sentence2"] = "Trite."
    Dataset.from_list(changed).to_parquet(path)
    os.utime(path, ns=(time, time))
    assert source.load("train")[-1]["text_b"] == "Trite."
    assert len(list(cache_folder.rglob("*.arrow"))) == 1  # what was read before is gone
    os.utime(path, ns=(time + 10**9, time + 10**9))
    source.load("train")
    assert len(list(cache_folder.rglob("*.arrow"))) == 1


def write_hub_shards(folder, splits):
    folder.mkdir()
    for name, rows in splits.items():
        rows.to_parquet(folder / f"{name}-00000-of-00001.parquet")


def write_hub_saved(folder, splits):
    DatasetDict(splits).save_to_disk(folder)


@pytest.mark.parametrize(("write", "inside"), [(write_hub_shards, "mnli"), (write_hub_saved, "")])
@pytest.mark.parametrize("half", ["matched", "mismatched"])
def test_the_halves_of_mnli_are_read_as_the_hub_calls_them(tmp_path, write, half, inside):
    names = ["train", *(f"{split}_{half}" for split in ("validation", "test") for half in ("matched", "mismatched"))]
    rows = {
        name: [{"premise": f"of {name}", "hypothesis": "b", "label": -1 if "test" in name else 2}] for name in names
    }
    write(tmp_path / "data", {name: Dataset.from_list(row) for name, row in rows.items()})
    if inside:
        (tmp_path / "glue").mkdir()
        (tmp_path / "data").rename(tmp_path / "glue" / inside)
    root = tmp_path / ("glue" if inside else "data")
    source = LocalSource(root, get_task("mnli" if half == "matched" else "mnli_mismatched"))
    assert all(map(source.has, ("train", "validation", "test")))
    assert source.load("train")["text_a"][:] == ["of train"]
    assert source.load("validation").to_list() == [{"text_a": f"of validation_{half}", "text_b": "b", "label": 2}]
    assert source.load("test")["text_a"][:] == [f"of test_{half}"]


def test_shards_of_two_names_are_not_put_together(tmp_path):
    write_shards(tmp_path)
    for stem in ("dev", "validation"):
        Dataset.from_list(ROWS).to_parquet(tmp_path / f"{stem}-00000-of-00001.parquet")
    with pytest.raises(DataError, match="several files could be the validation split"):
        LocalSource(tmp_path, get_task("rte")).load("validation")


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["train-00000-of-00002"], "shards are missing: train-00001-of-00002.parquet"),
        (["train-00001-of-00003-0f1e"], r"missing: train-00000-of-00003\.parquet, train-00002-of-00003\.parquet"),
        (["train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"], "of several data sets lie together"),
        (["train-00000-of-00001-0f1e", "train-00000-of-00001-2d3c"], "of several data sets lie together"),
    ],
)
def test_shards_that_are_not_those_of_one_data_set_are_refused(tmp_path, names, problem):
    for name in names:
        Dataset.from_list(ROWS).to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match=problem) as caught:
        LocalSource(tmp_path, get_task("rte")).load("train")
    assert caught.value.where == tmp_path


def test_shards_with_fingerprints_are_read(tmp_path):
    for shard, (row, fingerprint) in enumerate(zip(ROWS, ("0f1e", "2d3c"), strict=True)):
        Dataset.from_list([row]).to_parquet(tmp_path / f"train-0000{shard}-of-00002-{fingerprint}.parquet")
    assert len(LocalSource(tmp_path, get_task("rte")).load("train")) == 2


def write_tables(folder, *tables):
    for shard, columns in enumerate(tables):
        pq.write_table(pa.table(columns), folder / f"train-{shard:05}-of-{len(tables):05}.parquet")


TEXTS, NUMBERS = pa.array(["a film", "a tale"]), pa.array([1, 0])


WORDS = pa.array(["positive", "negative"])
LISTS = pa.array([["a", "b"], []])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (WORDS, WORDS.cast(pa.large_string())),
        (WORDS.cast(pa.large_string()), WORDS.dictionary_encode()),
        (WORDS.dictionary_encode(), WORDS),
        (NUMBERS, NUMBERS.cast(pa.int8())),
        (NUMBERS.cast(pa.int32()), NUMBERS),
        (NUMBERS.cast(pa.float64()), NUMBERS.cast(pa.float32())),
        (LISTS, LISTS.cast(pa.large_list(pa.large_string()))),
        (LISTS.cast(pa.large_list(pa.string())), LISTS),
    ],
)
def test_types_that_say_the_same_go_together(tmp_path, first, second):
    write_tables(tmp_path, {"sentence": TEXTS, "label": first}, {"sentence": TEXTS, "label": second})
    table = read_parquet(shards_of(tmp_path, "train"), Chooser([("sentence",)], [("label",)]))
    assert table.rows["label"][:] == first.to_pylist() * 2


@pytest.mark.parametrize("names_first", [True, False])
def test_only_one_shard_need_name_the_labels(tmp_path, names_first):
    named = Features({"sentence": Value("string"), "label": ClassLabel(names=["negative", "positive"])})
    for shard, features in enumerate([named, None] if names_first else [None, named]):
        rows = Dataset.from_dict({"sentence": ["a film"], "label": [shard]}, features=features)
        rows.to_parquet(tmp_path / f"train-0000{shard}-of-00002.parquet")
    assert LocalSource(tmp_path, get_task("sst2")).load("train")["label"][:] == [0, 1]


def test_shards_that_name_their_labels_apart_are_refused(tmp_path):
    for shard, names in enumerate((["negative", "positive"], ["positive", "negative"])):
        features = Features({"sentence": Value("string"), "label": ClassLabel(names=names)})
        rows = Dataset.from_dict({"sentence": ["a film"], "label": [0]}, features=features)
        rows.to_parquet(tmp_path / f"train-0000{shard}-of-00002.parquet")
    with pytest.raises(DataError, match=r"positive, negative, and in .*00000.* negative, positive") as caught:
        LocalSource(tmp_path, get_task("sst2")).load("train")
    assert caught.value.where == tmp_path / "train-00001-of-00002.parquet"


def test_a_later_shard_may_hold_nulls_alone(tmp_path):
    write_tables(tmp_path, {"sentence": TEXTS, "label": NUMBERS}, {"sentence": TEXTS, "label": pa.nulls(2)})
    for shard in tmp_path.iterdir():
        shard.rename(tmp_path / shard.name.replace("train", "test"))
    assert LocalSource(tmp_path, get_task("sst2")).load("test")["label"][:] == [1, 0, -1, -1]


WRITTEN = {"sentence": TEXTS, "label": NUMBERS}
UNLIKE = {
    "words, then numbers": ({**WRITTEN, "label": TEXTS}, WRITTEN, "'label' holds int64, and in .*00000.* string"),
    "numbers, then words": (WRITTEN, {**WRITTEN, "label": TEXTS}, "'label' holds string, and in .*00000.* int64"),
    "whole, then not": (WRITTEN, {**WRITTEN, "label": NUMBERS.cast(pa.float64())}, "'label' holds double.* int64"),
    "nulls, then numbers": ({**WRITTEN, "label": pa.nulls(2)}, WRITTEN, "'label' holds int64.* null"),
    "no label": (WRITTEN, {"sentence": TEXTS}, "no column 'label'"),
    "other names": (WRITTEN, {"text": TEXTS, "label": NUMBERS}, "columns are text, label; those of .* sentence, label"),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_shards_that_are_unlike_are_refused(tmp_path, case, capfd):
    *tables, problem = UNLIKE[case]
    write_tables(tmp_path, *tables)
    with pytest.raises(DataError, match=problem) as caught:
        LocalSource(tmp_path, get_task("sst2")).load("train")
    assert caught.value.where == tmp_path / "train-00001-of-00002.parquet"
    assert capfd.readouterr() == ("", "")


def test_a_first_shard_without_the_label_is_named(tmp_path):
    write_tables(tmp_path, {"sentence": TEXTS}, WRITTEN)
    with pytest.raises(DataError, match="no column 'label'") as caught:
        LocalSource(tmp_path, get_task("sst2")).load("train")
    assert caught.value.where == tmp_path / "train-00000-of-00002.parquet"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_shards_without_rows_are_left_out(tmp_path, cache_folder, place):
    tables = [WRITTEN, {**WRITTEN, "label": pa.array([0, 1])}]
    tables.insert(place, {"sentence": pa.nulls(0), "label": pa.nulls(0)})  # as pandas writes them
    write_tables(tmp_path, *tables)
    source = LocalSource(tmp_path, get_task("sst2"))
    assert source.load("train")["label"][:] == [1, 0, 0, 1]
    write_tables(tmp_path, *[WRITTEN] * 3)
    assert source.load("train")["label"][:] == [1, 0] * 3
    assert len(list(cache_folder.rglob("*.arrow"))) == 1


def test_a_damaged_shard_is_named(tmp_path):
    write_shards(tmp_path)
    (tmp_path / "train-00001-of-00002.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="it can't be read") as caught:
        LocalSource(tmp_path, get_task("rte")).load("train")
    assert caught.value.where == tmp_path / "train-00001-of-00002.parquet"


LONG = [{"sentence": "a film " * 2000, "label": 1}]


def test_a_file_with_a_damaged_page_is_blamed_and_not_the_cache(tmp_path):
    path = tmp_path / "train.parquet"
    Dataset.from_list(LONG).to_parquet(path)
    content = bytearray(path.read_bytes())
    content[100:200] = b"\xff" * 100
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"it can't be read: (?!An error)") as caught:
        LocalSource(tmp_path, get_task("sst2")).load("train")
    assert caught.value.where == path


def test_a_full_disk_is_blamed_on_the_cache_and_harms_nothing(tmp_path, cache_folder, full_disk):
    Dataset.from_list(LONG).to_parquet(tmp_path / "train.parquet")
    source = LocalSource(tmp_path, get_task("sst2"))
    with full_disk(), pytest.raises(DataError, match=r"the cache can't be used: .*File too large") as caught:
        source.load("train")
    assert caught.value.where == cache_folder
    assert "EE_LIGHTNING_CACHE" in caught.value.hint
    assert source.load("train")["text_a"][:] == [LONG[0]["sentence"]]


def test_a_cache_that_is_a_file_is_blamed(tmp_path, cache_folder):
    write_parquet(tmp_path)
    cache_folder.touch()
    with pytest.raises(DataError, match="the cache can't be used") as caught:
        LocalSource(tmp_path, get_task("rte")).load("train")
    assert caught.value.where == cache_folder


def bad_bytes(rows, kind):
    """Texts of which the last is not UTF-8."""
    texts = pa.array([b"fine"] * (rows - 1) + [b"\xff\xfe"])
    column = pa.Array.from_buffers(pa.string(), rows, texts.buffers())
    if kind == "list":
        return pa.ListArray.from_arrays(list(range(rows + 1)), column)
    return column


@pytest.mark.parametrize(
    ("place", "names"),
    [("train.parquet", None), ("train-00001-of-00002.parquet", ["fine", "other"]), ("saved", ["fine", "other"])],
)
@pytest.mark.parametrize(("column", "kind"), [("text", "plain"), ("label", "plain"), ("label", "list")])
def test_texts_and_labels_that_are_not_utf_8_are_named_with_their_row(place, column, kind, names, tmp_path):
    fine = pa.array([f"label {row % 2}" for row in range(1500)])
    if kind == "list":
        fine = pa.ListArray.from_arrays(list(range(1501)), fine)
    table = pa.table({"text": ["a"] * 1500, "label": ["b"] * 1500, column: bad_bytes(1500, kind)})
    if place == "saved":
        Dataset(table).save_to_disk(tmp_path / "train")
    else:
        pq.write_table(table, tmp_path / place)
    if "-of-" in place:
        good = table.set_column(table.column_names.index(column), column, fine)
        pq.write_table(good, tmp_path / "train-00000-of-00002.parquet")
    options = CustomTask(["text"], label_names=names, multi_label=kind == "list", validation_share=0)
    with pytest.raises(DataError, match=f"{column!r} is not UTF-8") as caught:
        LocalSource(tmp_path, resolve_task("mine", options, tmp_path)).load("train")
    assert caught.value.where.endswith("row 3000" if "-of-" in place else "row 1500")
