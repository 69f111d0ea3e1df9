"""Predictions in a file."""

import csv
import json
import resource
from math import inf, nan
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ee_lightning.errors import DataError
from ee_lightning.functional import Kind
from ee_lightning.inference import TextPrediction
from ee_lightning.inference.input import InputRows, Row
from ee_lightning.inference.output import writing

PREDICTIONS = [
    TextPrediction("positive", 1 / 3, 1.0000001, 1, [[0.1, -2.5]]),
    TextPrediction('not, "quite"', 0.75, float("-inf"), 2, [[1.0, 2.0], [3.0, 4.0]]),
]


PREDICTIONS_WITH_TRAILS = [each._replace(trail=[*(each.trail or [])[:-1], [1.5, 1.5]]) for each in PREDICTIONS]


def rows(*numbers: int) -> list[Row]:
    return [Row(number, ("a film",)) for number in numbers]


@pytest.mark.parametrize("with_trail", [True, False])
def test_csv(with_trail: bool, tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.csv"
    with writing(path, with_trail=with_trail) as file:
        file.write(rows(4, 7), PREDICTIONS)
    with path.open(newline="") as written:
        found = list(csv.DictReader(written))
    assert list(found[0]) == [
        "id",
        "label",
        "probability",
        "score",
        "exit_layer",
        *(["trail"] if with_trail else []),
        "empty",
    ]
    assert [int(row["id"]) for row in found] == [4, 7]
    for row, prediction in zip(found, PREDICTIONS, strict=True):
        assert (row["label"], float(row["probability"]), float(row["score"])) == prediction[:3]
        assert int(row["exit_layer"]) == prediction.exit_layer
        assert not with_trail or json.loads(row["trail"]) == prediction.trail


@pytest.mark.parametrize("with_trail", [True, False])
def test_jsonl(with_trail: bool, tmp_path: Path) -> None:
    with writing(tmp_path / "a.jsonl", with_trail=with_trail) as file:
        file.write(rows(4, 7), PREDICTIONS)
    found = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    for number, row, prediction in zip((4, 7), found, PREDICTIONS, strict=True):
        score = None if prediction.score == -inf else prediction.score
        expected = {"id": number, **prediction._asdict(), "score": score, "empty": False}
        assert row == {name: value for name, value in expected.items() if name != "trail" or with_trail}


def test_json_has_null_where_a_number_is_infinite_or_none(tmp_path: Path) -> None:
    def no_json(constant: str) -> None:
        raise AssertionError(constant)

    odd = TextPrediction("positive", nan, inf, 1, [[0.5, -inf], [nan, 1.0]])
    for name in ("a.jsonl", "a.csv"):
        with writing(tmp_path / name, with_trail=True) as file:
            file.write(rows(0), [odd])
    row = json.loads((tmp_path / "a.jsonl").read_text(), parse_constant=no_json)
    assert (row["probability"], row["score"], row["trail"]) == (None, None, [[0.5, None], [None, 1.0]])
    with (tmp_path / "a.csv").open(newline="") as written:
        (row,) = csv.DictReader(written)
    assert (row["probability"], row["score"]) == ("nan", "inf")
    assert json.loads(row["trail"], parse_constant=no_json) == [[0.5, None], [None, 1.0]]


def test_values_have_no_probability(tmp_path: Path) -> None:
    with writing(tmp_path / "a.csv", Kind.REGRESSION) as file:
        file.write(rows(0), [TextPrediction(2.5, None, 1.0, 3)])
    assert (tmp_path / "a.csv").read_text() == "id,label,score,exit_layer,empty\n0,2.5,1.0,3,False\n"


def test_several_labels_are_a_list_and_in_csv_joined(tmp_path: Path) -> None:
    predictions = [TextPrediction(["bug", "a, b"], [0.75, 0.5], 0.5, 1), TextPrediction([], [], 0.25, 2)]
    for name in ("a.csv", "a.jsonl"):
        with writing(tmp_path / name, label_separator="; ") as file:
            file.write(rows(0, 1), predictions)
    with (tmp_path / "a.csv").open(newline="") as written:
        found = list(csv.DictReader(written))
    assert [(row["label"], row["probability"]) for row in found] == [("bug; a, b", "[0.75, 0.5]"), ("", "[]")]
    found = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [(row["label"], row["probability"]) for row in found] == [(["bug", "a, b"], [0.75, 0.5]), ([], [])]


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError])
def test_what_was_written_takes_its_place_when_it_breaks_off(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(error), writing(path) as file:  # noqa: PT012
        for number in range(3):
            file.write(rows(number), PREDICTIONS[:1])
            (unfinished,) = tmp_path.glob(".a.csv.*.unfinished")  # which a killed process leaves
            assert len(unfinished.read_text().splitlines()) == 2 + number
            assert file.num_rows == number + 1
            assert path.read_text() == "old"
        raise error("stop")
    assert len(path.read_text().splitlines()) == 4
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError])
def test_what_stood_there_stays_where_nothing_was_written(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(error), writing(path):
        raise error("stop")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to("a.csv")
    with writing(tmp_path / "link.csv", Kind.REGRESSION):
        pass
    assert (tmp_path / "a.csv").read_text() == "mine"
    assert not (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "link.csv").read_text() == "id,label,score,exit_layer,empty\n"


def test_the_file_is_not_blamed_for_another_one(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "a.csv", BrokenPipeError(32, "Broken pipe")
    with pytest.raises(BrokenPipeError) as caught, writing(path) as file:  # noqa: PT012
        file.write(rows(0), PREDICTIONS[:1])
        raise elsewhere
    assert caught.value is elsewhere
    assert len(path.read_text().splitlines()) == 2


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    (tmp_path / "file").touch()
    for name, match in {
        "a.txt": r"a.txt[\s\S]*\.csv, \.jsonl, \.parquet",
        "a.csv": r"can't be written: this is no file[\s\S]*a.csv",
        "file/b.csv": r"can't be written: [\s\S]*b.csv",
    }.items():
        with pytest.raises(DataError, match=match), writing(tmp_path / name):
            pass


def test_a_full_disk_leaves_whole_rows_and_says_how_many(tmp_path: Path) -> None:
    path, (_, most) = tmp_path / "a.csv", resource.getrlimit(resource.RLIMIT_FSIZE)
    rows_left = r"can't be written: File too large; rows written before: 4[\s\S]*a.csv"
    try:
        with pytest.raises(DataError, match=rows_left), writing(path) as file:  # noqa: PT012
            file.write(rows(*range(4)), PREDICTIONS * 2)
            resource.setrlimit(resource.RLIMIT_FSIZE, (500, most))
            file.write(rows(*range(4, 44)), PREDICTIONS * 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    with path.open(newline="") as written:
        assert [row["id"] for row in csv.DictReader(written)] == ["0", "1", "2", "3"]


def test_the_columns_of_the_input_stand_beside_the_predictions(tmp_path: Path) -> None:
    given = [{"id": "a7", "text": "x", "label": "no"}, {"id": "b8", "more": [1], "text": "\udc80"}]
    inputs = [Row(n, (str(columns["text"]),), columns) for n, columns in enumerate(given)]
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        with writing(tmp_path / name, names=["no", "yes"]) as file:
            if name == "a.parquet":
                inputs[1] = Row(1, (" ",), {**given[1], "text": " "})
            file.write(inputs[:1], PREDICTIONS_WITH_TRAILS[:1])
            file.write(inputs[1:], PREDICTIONS_WITH_TRAILS[1:])
            assert file.num_empty == (name == "a.parquet")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as written:
        first, second = csv.DictReader(written)
    names = ["id", "text", "input_label", "label", "probability", "score", "exit_layer", "empty"]
    assert list(first) == [*names, "probability_no", "probability_yes"]
    assert (first["id"], first["input_label"], second["id"], second["input_label"]) == ("a7", "no", "b8", "")
    assert second["text"] == r"\udc80"
    assert float(first["probability_yes"]) == pytest.approx(0.5)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert (lines[1]["more"], lines[1]["text"]) == ([1], "\udc80")
    table = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [(row["id"], row["empty"], row["exit_layer"]) for row in table] == [("a7", False, 1), ("b8", True, 2)]


def test_a_table_of_no_rows_or_of_two_types_in_a_column(tmp_path: Path) -> None:
    with writing(tmp_path / "a.parquet"):
        pass
    assert pq.read_table(tmp_path / "a.parquet").column_names[:2] == ["id", "label"]
    match = r"can't be written[\s\S]*jsonl"
    with writing(tmp_path / "b.parquet") as file:
        file.write([Row(0, ("x",), {"n": 1})], PREDICTIONS[:1])
        for other in ("one", 2**70):
            with pytest.raises(DataError, match=match):
                file.write([Row(1, ("x",), {"n": other})], PREDICTIONS[:1])
    assert pq.read_table(tmp_path / "b.parquet").column("n").to_pylist() == [1]


def test_no_column_of_the_input_replaces_another(tmp_path: Path) -> None:
    given = {"label": "second", "input_label": "first", "input_note": "mine"}
    with writing(tmp_path / "a.jsonl") as file:
        file.write([Row(0, ("x",), given)], PREDICTIONS[:1])
    row = json.loads((tmp_path / "a.jsonl").read_text())
    assert [row[f"{'input_' * times}label"] for times in range(3)] == ["positive", "second", "first"]
    assert row["input_note"] == "mine"


def test_columns_that_the_first_row_lacks_are_said(tmp_path: Path) -> None:
    given = [Row(0, ("x",), {"a": 1}), Row(1, ("x",), {"a": 2, "b": 3}), Row(2, ("x",), {"c": 4})]
    for ending, lost in ((".csv", {"b", "c"}), (".parquet", {"b", "c"}), (".jsonl", set())):
        with writing(tmp_path / f"a{ending}") as file:
            file.write(given[:1], PREDICTIONS[:1])
            file.write(given[1:], PREDICTIONS)
        assert file.left_out == lost


def test_tables_keep_the_types_of_their_input(tmp_path: Path) -> None:
    columns = {
        "text": pa.array(["a film"] * 4).dictionary_encode(),
        "label": pa.array([0, 1, 1, 0], pa.int8()),
        "late": pa.array([None, None, None, 0.5]),
        "when": pa.array([None, None, None, 10**18], pa.timestamp("ns", "UTC")),
        "nested": pa.array([None, None, [], [{"key": 1}]]),
        "trail": ["a", "b", "c", "d"],
    }
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    source = InputRows(tmp_path / "in.parquet", [("text",)])
    given = [*source]
    with writing(tmp_path / "out.parquet", header=lambda: source.header) as file:
        for half in (given[:2], given[2:]):
            file.write(half, PREDICTIONS)
    written, before = pq.read_table(tmp_path / "out.parquet"), pq.read_table(tmp_path / "in.parquet")
    for name in columns:
        there = written["input_label" if name == "label" else name]
        assert (there.type, there.to_pylist()) == (before[name].type, before[name].to_pylist())


def test_what_the_first_rows_lack_is_text_in_a_table(tmp_path: Path) -> None:
    first, later = {"tags": [], "more": {"a": None}}, {"tags": ["new"], "more": {"a": "b"}}
    with writing(tmp_path / "a.parquet") as file:
        for number, columns in enumerate((first, later)):
            file.write([Row(number, ("x",), columns)], PREDICTIONS[:1])
    table = pq.read_table(tmp_path / "a.parquet", columns=["tags", "more"])
    assert table.to_pylist() == [first, later]


def test_a_file_without_rows_has_all_columns_and_their_types(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text,author,label\n")
    source = InputRows(tmp_path / "in.csv", [("text",)])
    assert [*source] == []
    with writing(tmp_path / "a.parquet", header=lambda: source.header, names=["no"], with_trail=True):
        pass
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert dict(zip(schema.names, map(str, schema.types), strict=True)) == {
        **{"id": "int64", "text": "string", "author": "string", "input_label": "string", "label": "string"},
        **{"probability": "double", "score": "double", "exit_layer": "int32", "empty": "bool"},
        **{"trail": "list<element: list<element: double>>", "probability_no": "double"},
    }
