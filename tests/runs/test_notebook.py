"""What a notebook shows of a run."""

from pathlib import Path

from factories import exits_of
from page_runs import run_folder

from ee_lightning.runs.folder import RunFolder


def test_a_run_shows_its_figures_and_its_curves(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run & co", exits_of(50, num_exits=3), backbone="missing")
    shown = folder._repr_html_()
    full = folder.read_figures("validation")["full_model"]["accuracy"]
    assert "run &amp; co" in shown
    assert "<tr><th>criterion</th><th>1x</th><th>1.5x</th><th>2x</th><th>3x</th><th>area</th></tr>" in shown
    assert f"<tr><td>full model</td><td>{100 * full:.1f}</td>" in shown
    assert shown.count("<td>voting</td>") == shown.count("data:image/png;base64,") == 1


def test_a_run_that_did_not_finish_says_so(tmp_path: Path) -> None:
    assert "not there yet" in RunFolder(tmp_path / "run")._repr_html_()
