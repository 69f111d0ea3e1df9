"""Whether a method is called better: paired over seeds and rows."""

from pathlib import Path
from typing import Any

import pytest
import torch
from factories import exits_of
from page_runs import run_folder

from ee_lightning.analysis.comparison import FIGURES, ComparedRun, by_configuration, compare, configurations
from ee_lightning.analysis.significance import SPEEDUPS, Scored, best_of, by_place, difference, scored
from ee_lightning.cli import main
from ee_lightning.exits import Confidence, trace_curve
from ee_lightning.reporting.run_tables import as_markdown, run_tables
from ee_lightning.runs.folder import RunFolder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two seeds that differ in nothing else, named one by one as by a suite."""
    place = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        exits = exits_of(600, num_exits=6, seed=seed)
        folder = run_folder(place / f"mine-{seed}", exits, backbone="missing", seed=seed, name=f"mine-{seed}")
        folder.config.write_text(folder.config.read_text().replace(str(folder.path), "here"))
    return place


def test_scores_are_those_of_the_curves(root: Path) -> None:
    folder = RunFolder(root / "mine-1")
    found = dict(scored(folder, "mine"))
    curve = trace_curve(Confidence(), folder.read_exits("validation"), ["accuracy"])
    expected = [curve.score_at(speedup, "accuracy") for speedup in SPEEDUPS]
    read = found["mine", "validation", "mine", "confidence"].scores
    assert read[0].tolist() == pytest.approx(expected)
    assert read.shape == (201, len(SPEEDUPS))


def test_the_best_is_named_only_where_it_is_better_than_each_other(root: Path) -> None:
    folders = [RunFolder(root / f"mine-{seed}") for seed in (1, 2)]
    methods = by_place([(seed, *each) for seed, folder in enumerate(folders) for each in scored(folder, "mine")])
    confidence, voting = ((*("mine", "validation", "mine"), name) for name in ("confidence", "voting"))
    found = difference(methods[confidence], methods[voting], 2.0)
    assert found is not None
    assert found.num_seeds == 2
    assert (found.p_value < 0.05) == (best_of(methods, 2.0) == confidence)
    tied = methods | {("mine", "validation", "mine", "entropy"): methods[confidence]}
    assert best_of(tied, 2.0) is None
    other = {0: Scored(methods[voting][0].scores, torch.arange(1, 601))}
    assert difference(methods[confidence], other, 2.0) is None


def test_tables_for_a_paper_name_n_and_what_is_bold(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("md", "tex"):
        assert main(["tables", str(root), "--output", str(root / f"table.{kind}")]) == 0
    markdown, latex = ((root / f"table.{kind}").read_text() for kind in ("md", "tex"))
    line = next(line for line in markdown.splitlines() if "| confidence |" in line)
    assert line.startswith("| mine | confidence | 2 | ")
    assert line.count(" ± ") == 5
    assert "p < 0.05, paired over seeds and 200 resamples" in markdown
    assert latex.count(r"\toprule") == 1
    assert r"$\pm$" in latex
    assert markdown.count("**") // 2 == latex.count(r"\textbf")
    assert main(["tables", str(root), "--output", "table.docx"]) == 1
    assert "use one of .csv, .md, .tex" in capsys.readouterr().err


def test_any_two_methods_are_tested_and_runs_are_drawn(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = root / "runs.svg"
    arguments = ["tables", str(root), "--compare", "confidence", "--against", "mine: voting", "--plot", str(picture)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "mine validation: mine: confidence against mine: voting, points (95 % interval)" in printed
    assert "of 2 seeds" in printed
    assert b"<svg" in picture.read_bytes()
    assert main(["tables", str(root), "--compare", "confidence"]) == 1
    assert main(["tables", str(root), "--compare", "confidence", "--against", "votin"]) == 1
    assert "these are known: mine: voting, mine: confidence" in capsys.readouterr().err


def summary_of(**scores: float) -> dict[str, dict[str, Any]]:
    """Return the figures of a run's only split: of each criterion one score at every speed-up."""
    criteria = {name: {"accuracy": dict.fromkeys(FIGURES.values(), score)} for name, score in scores.items()}
    figures = {"task": "mine", "metrics": ["accuracy"], "full_model": {"accuracy": 0.95}, "criteria": criteria}
    return {"validation": figures}


def test_a_configuration_has_one_name_whatever_the_order_of_its_options() -> None:
    options = [{"z": "1", "b": "8"}, {"z": "2", "b": "8"}, {"z": "2", "b": "9"}]
    runs = [ComparedRun("mine", each, summary_of(voting=0.8)) for each in options]
    names = ["mine, b 8, z 1", "mine, b 8, z 2", "mine, b 9, z 2"]
    assert configurations(runs) == names
    assert [name for name, _ in by_configuration(compare(runs))] == names


def test_nothing_is_bold_beside_a_criterion_that_was_not_tested() -> None:
    noise = 0.01 * torch.randn(201, len(SPEEDUPS), generator=torch.Generator().manual_seed(0))
    methods = {
        ("mine", "validation", "mine", name): {0: Scored(score + share * noise, torch.arange(9))}
        for name, score, share in (("confidence", 0.9, 1), ("voting", 0.8, 0.5))
    }
    (tested,) = run_tables(compare([ComparedRun("mine", {}, summary_of(confidence=0.9, voting=0.8))]), methods)
    assert "| **90.0** |" in as_markdown([tested])
    more = summary_of(confidence=0.9, voting=0.8, own=0.92)
    assert "**" not in as_markdown([*run_tables(compare([ComparedRun("mine", {}, more)]), methods)])
