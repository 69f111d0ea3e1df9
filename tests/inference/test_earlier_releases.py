"""Run folders and saved models of an earlier release predict what they predicted then."""

import csv
from pathlib import Path

import pytest

from ee_lightning.inference import EarlyExitPredictor

REPOSITORY = Path(__file__).parents[2]
FIXTURES = REPOSITORY / "tests/fixtures"


@pytest.mark.parametrize(
    ("load", "folder"),
    [
        (EarlyExitPredictor.from_run, FIXTURES / "run_0.1.0"),
        (EarlyExitPredictor.from_pretrained, FIXTURES / "saved_model_0.1.0"),
    ],
    ids=["run", "saved"],
)
def test_release_0_1_0(load, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)  # the run's configuration names its backbone by a relative path
    rows = (FIXTURES / "glue/SST-2/test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    predictions = load(folder, device="cpu")([row.partition("\t")[2] for row in rows])
    with (FIXTURES / "predictions_0.1.0.csv").open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))
    assert [each.label for each in predictions] == [row["label"] for row in expected]
    assert [each.exit_layer for each in predictions] == [int(row["exit_layer"]) for row in expected]
    assert [each.probability for each in predictions] == pytest.approx(
        [float(row["probability"]) for row in expected], abs=1e-6
    )
