"""Numbers of the command line that make no sense are refused with one message, before anything is loaded."""

from pathlib import Path

import pytest
import torch

from ee_lightning.cli import main
from ee_lightning.cli.command import parser_of
from ee_lightning.errors import OptionError
from ee_lightning.exits import StoredExits
from ee_lightning.exits.naming import spec_of
from ee_lightning.runs.folder import RunFolder

WRONG = ("0", "-1", "1.5", "nan", "inf", "1e3", "", "9" * 30, "9" * 5000, "x")
SPEED = ("batch-sizes", "threads", "repeats", "max-samples", "speedups")
CHOOSE = {
    "min-speedup": ("0", "-1", "1", "nan", "inf", "-inf", "1e400", "x"),
    "max-loss": ("-1", "100", "nan", "inf", "1e400", "x"),
    "consistency": ("0", "-1", "1.5", "nan", "inf", "x"),
    "seed": ("-1", "1.5", "nan", "9" * 30, "x"),
    "guarantee": ("0", "1", "-1", "nan", "inf", "x"),
}
CRITERIA = ("pcee(patience={})", "f_pabee(patience={})", "voting(k={})", "soft_voting(k={})", "patience(tolerance={})")
OUT_OF_RANGE = ("-1", "nan", "inf", "1e400", "9" * 400, "True", "[1]", "x")


@pytest.mark.parametrize("option", SPEED)
def test_numbers_of_speed_are_bounded(option: str) -> None:
    parser = parser_of("speed")
    for value in WRONG:
        if option == "speedups" and value in ("1.5", "1e3", "9" * 30):
            continue
        with pytest.raises(OptionError):
            parser.read(["run", f"--{option}={value}"])


def test_numbers_of_predict_are_bounded(capfd: pytest.CaptureFixture[str]) -> None:
    for value in WRONG:
        assert main(["predict", "run", "--input", "x.txt", f"--batch-size={value}"]) == 1
        assert "--batch-size" in (printed := capfd.readouterr().err)
        assert printed.count("error: ") == 1


@pytest.mark.parametrize("criterion", CRITERIA)
def test_numbers_of_criteria_are_bounded(criterion: str) -> None:
    for value in (*OUT_OF_RANGE, *(["0", "1.5", "10000"] if "(patience" in criterion else [])):
        with pytest.raises(OptionError):
            spec_of(criterion.format(value)).build()


@pytest.mark.parametrize("option", CHOOSE)
def test_numbers_of_choose_are_bounded(option: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logits = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(0))
    RunFolder(tmp_path).write_exits("validation", StoredExits(logits, logits[-1].argmax(-1), torch.arange(40)))
    budget = [] if option in ("min-speedup", "max-loss", "consistency") else ["--max-loss", "50"]
    for value in CHOOSE[option]:
        chosen = ["choose", str(tmp_path), "--criterion", "voting", "--metric", "accuracy", *budget]
        assert main([*chosen, f"--{option}", value]) == 1, value
        assert capfd.readouterr().err.count("error: ") == 1
    assert not (tmp_path / "operating_point.json").exists()
