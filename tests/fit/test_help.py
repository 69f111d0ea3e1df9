"""The help of fit: ours first and short, Lightning's on request."""

import pytest

from ee_lightning.cli import main


def test_it_is_short_and_ours_come_first(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["fit", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 200
    assert max(map(len, lines)) <= 120
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings[:4] == ["options:", "the run:", "the data:", "the model:"]
    shown = {line.split()[0] for line in lines if line.startswith("  --")}
    assert {"--run.name", "--data.task", "--model.heads.exits", "--sweep.criteria", "--help.trainer"} <= shown
    assert not any(option.startswith(("--trainer.", "--checkpoint.")) for option in shown)
    assert "  --data.batch_size VALUE         Rows in a training batch, on each process (32)." in lines


def test_a_narrow_terminal_has_narrow_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["fit", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("  --model.objective.help CLASS") for line in lines)


def test_what_is_folded_is_shown_when_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--help.trainer"]) == 0
    shown = capsys.readouterr().out
    assert "usage: ee-lightning validate" in shown
    assert "  --trainer.max_epochs VALUE" in shown
    assert "--data.task" not in shown
    assert main(["fit", "--help.optimiser"]) == 1
    assert "no option begins with optimiser" in capsys.readouterr().err
