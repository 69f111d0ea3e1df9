"""curves leaves alone what it can't make anew."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from ee_lightning.analysis.sweep import sweep_exits
from ee_lightning.cli import main
from ee_lightning.exits import Confidence, Conformal, Criterion, Decision, ExitOutput, StoredExits, Voting
from ee_lightning.exits.criterion import State
from ee_lightning.reporting import write_sweep
from ee_lightning.runs.folder import RunFolder


class Largest(Criterion):
    """A criterion of a user's own: the largest logit."""

    name = "largest(of=logits)"

    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        """See `Criterion.step`."""
        return Decision(output.logits.amax(-1), output.predictions), state


@pytest.fixture
def folder() -> RunFolder:
    """Return a run folder that was swept by criteria of ours and of a user's own, one of them fitted."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (120,), generator=generator)
    signal = torch.nn.functional.one_hot(labels, 3) * torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1)
    exits = StoredExits(signal + torch.randn(3, 120, 3, generator=generator), labels, torch.arange(120))
    run, methods = RunFolder("runs/one"), [Largest(), Voting(k=0.5), Confidence(), Conformal()]
    run.write_exits("validation", exits)
    write_sweep(run, sweep_exits(methods, exits, exits, split="validation", task="own", metrics=["accuracy"]))
    return run


def results(folder: RunFolder, name: str) -> tuple[list[str], object, object]:
    """Return all that a folder has of a criterion."""
    lines = [line for line in (folder.path / "curves.csv").read_text().splitlines() if f",{name}," in line]
    summary, diagnostics = (
        json.loads((folder.path / file).read_text())["validation"] for file in ("summary.json", "diagnostics.json")
    )
    return lines, summary["criteria"].get(name), diagnostics["exit_histograms"].get(name)


def names(folder: RunFolder) -> set[str]:
    """Name the criteria in the curves."""
    return set(pd.read_csv(Path(folder.path) / "curves.csv")["criterion"])


def test_results_of_ones_own_criterion_and_of_one_that_cant_be_fitted_stay(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: results(folder, name) for name in (Largest.name, Conformal.name, "voting(k=0.5)")}
    fitted = json.loads((folder.path / "fitted.json").read_text())
    assert main(["curves", str(folder.path)]) == 0
    assert {name: results(folder, name) for name in before} == before
    assert json.loads((folder.path / "fitted.json").read_text()) == fitted
    assert {"entropy", "margin", "oracle", "fixed"} <= names(folder)
    printed = capsys.readouterr().out
    assert "not replayed on validation, and kept as they were: largest(of=logits), conformal. " in printed
    picture = (folder.path / "curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")


def test_a_list_of_criteria_takes_the_place_of_those_that_have_names_alone(folder: RunFolder) -> None:
    before = results(folder, Largest.name)
    assert main(["curves", str(folder.path), "--criteria", "patience"]) == 0
    assert names(folder) == {Largest.name, "conformal", "patience", "oracle", "fixed"}
    assert results(folder, Largest.name) == before


def test_a_criterion_without_a_point_between_all_and_nothing_is_warned_of(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["curves", str(folder.path), "--criteria", "voting(k=1),voting(k=0.5)"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("warning: ") == 1
    assert "warning: voting(k=1) lets all samples leave at their first chance or none" in printed
