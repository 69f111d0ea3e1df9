"""Run folders where a package that draws is missing."""

import sys
from pathlib import Path

import pytest
import torch
from factories import stored

from ee_lightning import reporting
from ee_lightning.analysis import sweep_exits
from ee_lightning.exits import Confidence
from ee_lightning.runs import RunFolder


def test_without_matplotlib_all_but_the_picture_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exits = stored(torch.randn(3, 20, 2), torch.randint(2, (20,)))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    monkeypatch.delitem(sys.modules, "ee_lightning.reporting.plots", raising=False)
    monkeypatch.delattr(reporting, "plots", raising=False)
    found = sweep_exits([Confidence()], exits, None, split="validation", task="own", metrics=["accuracy"])
    reporting.write_sweep(RunFolder(tmp_path), found)
    told = "curves.png is not drawn: matplotlib is not installed: pip install 'ee_lightning[plot]'\n"
    assert capsys.readouterr().out == told
    assert (tmp_path / "curves.csv").exists()
    assert not (tmp_path / "curves.png").exists()
