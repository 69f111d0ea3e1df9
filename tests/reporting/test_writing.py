"""Run folders with what is drawn of them."""

import sys
from pathlib import Path

import pytest
import torch
from factories import exits_of, operating_point, stored

from ee_lightning import reporting
from ee_lightning.analysis import sweep_exits
from ee_lightning.exits import Confidence, Patience
from ee_lightning.exits.naming import spec_of
from ee_lightning.reporting.writing import chosen_in
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


def test_a_split_that_lacks_the_first_metric_stays_as_it_is_and_is_not_drawn(tmp_path: Path) -> None:
    exits, folder = exits_of(40), RunFolder(tmp_path)
    for split, metric in (("validation", "accuracy"), ("test", "macro_f1")):
        found = sweep_exits([Confidence()], exits, None, split=split, task="own", metrics=[metric])
        reporting.write_sweep(folder, found)
    curves = folder.read_curves()
    assert [list(curves[split][0].scores) for split in ("validation", "test")] == [["accuracy"], ["macro_f1"]]
    assert folder.curves_picture.is_file()


def test_an_operating_point_of_other_exits_is_not_on_the_curves(tmp_path: Path) -> None:
    point = operating_point(criterion=spec_of(Patience()), threshold=-1.0, layers_of_exits=(2, 4))
    point.write(tmp_path / "operating_point.json")
    assert chosen_in(RunFolder(tmp_path), (2, 4)) == ("patience", -1.0)
    assert chosen_in(RunFolder(tmp_path), (1, 2, 3, 4)) is None
