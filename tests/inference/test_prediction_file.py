"""Predictions in a file."""

import csv
import json
import resource
from math import inf, nan
from pathlib import Path

import pytest

from ee_lightning.errors import DataError
from ee_lightning.inference import TextPrediction
from ee_lightning.inference.output import writing

PREDICTIONS = [
    TextPrediction("positive", 1 / 3, 1.0000001, 1, [[0.1, -2.5]]),
    TextPrediction('not, "quite"', 0.75, float("-inf"), 2, [[1.0, 2.0], [3.0, 4.0]]),
]


@pytest.mark.parametrize("with_trail", [True, False])
def test_csv(with_trail: bool, tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.csv"
    with writing(path, is_regression=False, with_trail=with_trail) as file:
        file.write([4, 7], PREDICTIONS)
    with path.open(newline="") as written:
        rows = list(csv.DictReader(written))
    assert list(rows[0]) == ["id", "label", "probability", "score", "exit_layer", *(["trail"] if with_trail else [])]
    assert [int(row["id"]) for row in rows] == [4, 7]
    for row, prediction in zip(rows, PREDICTIONS, strict=True):
        assert (row["label"], float(row["probability"]), float(row["score"])) == prediction[:3]
        assert int(row["exit_layer"]) == prediction.exit_layer
        assert not with_trail or json.loads(row["trail"]) == prediction.trail


@pytest.mark.parametrize("with_trail", [True, False])
def test_jsonl(with_trail: bool, tmp_path: Path) -> None:
    with writing(tmp_path / "a.jsonl", is_regression=False, with_trail=with_trail) as file:
        file.write([4, 7], PREDICTIONS)
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    for number, row, prediction in zip((4, 7), rows, PREDICTIONS, strict=True):
        score = None if prediction.score == -inf else prediction.score
        expected = {"id": number, **prediction._asdict(), "score": score}
        assert row == {name: value for name, value in expected.items() if name != "trail" or with_trail}


def test_json_has_null_where_a_number_is_infinite_or_none(tmp_path: Path) -> None:
    def no_json(constant: str) -> None:
        raise AssertionError(constant)

    odd = TextPrediction("positive", nan, inf, 1, [[0.5, -inf], [nan, 1.0]])
    for name in ("a.jsonl", "a.csv"):
        with writing(tmp_path / name, is_regression=False, with_trail=True) as file:
            file.write([0], [odd])
    row = json.loads((tmp_path / "a.jsonl").read_text(), parse_constant=no_json)
    assert (row["probability"], row["score"], row["trail"]) == (None, None, [[0.5, None], [None, 1.0]])
    with (tmp_path / "a.csv").open(newline="") as written:
        (row,) = csv.DictReader(written)
    assert (row["probability"], row["score"]) == ("nan", "inf")
    assert json.loads(row["trail"], parse_constant=no_json) == [[0.5, None], [None, 1.0]]


def test_values_have_no_probability(tmp_path: Path) -> None:
    with writing(tmp_path / "a.csv", is_regression=True, with_trail=False) as file:
        file.write([0], [TextPrediction(2.5, None, 1.0, 3)])
    assert (tmp_path / "a.csv").read_text() == "id,label,score,exit_layer\n0,2.5,1.0,3\n"


def test_several_labels_are_a_list_and_in_csv_joined(tmp_path: Path) -> None:
    predictions = [TextPrediction(["bug", "a, b"], [0.75, 0.5], 0.5, 1), TextPrediction([], [], 0.25, 2)]
    for name in ("a.csv", "a.jsonl"):
        with writing(tmp_path / name, is_regression=False, with_trail=False, label_separator="; ") as file:
            file.write([0, 1], predictions)
    with (tmp_path / "a.csv").open(newline="") as written:
        rows = list(csv.DictReader(written))
    assert [(row["label"], row["probability"]) for row in rows] == [("bug; a, b", "[0.75, 0.5]"), ("", "[]")]
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [(row["label"], row["probability"]) for row in rows] == [(["bug", "a, b"], [0.75, 0.5]), ([], [])]


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError])
def test_what_was_written_takes_its_place_when_it_breaks_off(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(error), writing(path, is_regression=False, with_trail=False) as file:  # noqa: PT012
        for number in range(3):
            file.write([number], PREDICTIONS[:1])
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
    with pytest.raises(error), writing(path, is_regression=False, with_trail=False):
        raise error("stop")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to("a.csv")
    with writing(tmp_path / "link.csv", is_regression=True, with_trail=False):
        pass
    assert (tmp_path / "a.csv").read_text() == "mine"
    assert not (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "link.csv").read_text() == "id,label,score,exit_layer\n"


def test_the_file_is_not_blamed_for_another_one(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "a.csv", BrokenPipeError(32, "Broken pipe")
    with pytest.raises(BrokenPipeError) as caught, writing(path, is_regression=False, with_trail=False) as file:  # noqa: PT012
        file.write([0], PREDICTIONS[:1])
        raise elsewhere
    assert caught.value is elsewhere
    assert len(path.read_text().splitlines()) == 2


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    (tmp_path / "file").touch()
    for name, match in {
        "a.txt": r"a.txt[\s\S]*\.csv or \.jsonl",
        "a.csv": r"can't be written: this is no file[\s\S]*a.csv",
        "file/b.csv": r"can't be written: [\s\S]*b.csv",
    }.items():
        with pytest.raises(DataError, match=match), writing(tmp_path / name, is_regression=False, with_trail=False):
            pass


def test_a_full_disk_leaves_whole_rows_and_says_how_many(tmp_path: Path) -> None:
    path, (_, most) = tmp_path / "a.csv", resource.getrlimit(resource.RLIMIT_FSIZE)
    rows_left = r"can't be written: File too large; rows written before: 4[\s\S]*a.csv"
    try:
        with pytest.raises(DataError, match=rows_left), writing(path, is_regression=False, with_trail=False) as file:  # noqa: PT012
            file.write(range(4), PREDICTIONS * 2)
            resource.setrlimit(resource.RLIMIT_FSIZE, (500, most))
            file.write(range(4, 44), PREDICTIONS * 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    with path.open(newline="") as written:
        assert [row["id"] for row in csv.DictReader(written)] == ["0", "1", "2", "3"]
