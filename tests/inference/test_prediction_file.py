"""Predictions in a file."""

import csv
import json
from pathlib import Path

import pytest

from ee_lightning.errors import DataError
from ee_lightning.inference import TextPrediction
from ee_lightning.inference.prediction_file import writing

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
        expected = {"id": number, **prediction._asdict()}
        assert row == {name: value for name, value in expected.items() if name != "trail" or with_trail}


def test_values_have_no_probability(tmp_path: Path) -> None:
    with writing(tmp_path / "a.csv", is_regression=True, with_trail=False) as file:
        file.write([0], [TextPrediction(2.5, None, 1.0, 3)])
    assert (tmp_path / "a.csv").read_text() == "id,label,score,exit_layer\n0,2.5,1.0,3\n"


def test_what_is_written_is_there_before_the_end_and_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), writing(path, is_regression=False, with_trail=False) as file:  # noqa: PT012
        for number in range(3):
            file.write([number], PREDICTIONS[:1])
            assert len(path.read_text().splitlines()) == 2 + number
            assert file.num_rows == number + 1
        raise KeyboardInterrupt
    assert len(path.read_text().splitlines()) == 4


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"a.txt[\s\S]*\.csv or \.jsonl"),
        writing(tmp_path / "a.txt", is_regression=False, with_trail=False),
    ):
        pass
    (tmp_path / "a.csv").mkdir()
    with (
        pytest.raises(DataError, match=r"can't be written: Is a directory[\s\S]*a.csv"),
        writing(tmp_path / "a.csv", is_regression=False, with_trail=False),
    ):
        pass
    full = writing(tmp_path / "b.csv", is_regression=False, with_trail=False)
    with pytest.raises(DataError, match="can't be written: No space left"), full:
        raise OSError(28, "No space left on device")
