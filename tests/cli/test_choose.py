"""What choose says of what it saves."""

import re
from pathlib import Path

import pytest
import torch
from factories import exits_of

from ee_lightning.analysis.sweep import sweep_exits
from ee_lightning.cli import main
from ee_lightning.exits import CRITERIA, Confidence, StoredExits, replay, spec_of
from ee_lightning.exits.threshold import in_words
from ee_lightning.functional import halves
from ee_lightning.reporting import write_sweep
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.operating_point import OperatingPoint


def easy_and_hard(num_samples: int) -> StoredExits:
    """Three exits of two classes: the first is sure and right of every other sample, else unsure and right by chance.

    The second repeats the first; the last is right of all.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (num_samples,), generator=generator)
    signs = 2.0 * labels - 1
    is_easy = torch.arange(num_samples) % 2 == 0
    guess = torch.randint(2, (num_samples,), generator=generator) * 2.0 - 1
    unsure = 0.1 + 0.1 * torch.rand(num_samples, generator=generator)
    first = torch.where(is_easy, 3 * signs, unsure * guess)  # [samples]
    margins = torch.stack([first, first, 3 * signs])  # [exits, samples]
    return StoredExits(torch.stack([-margins, margins], dim=-1) / 2, labels, torch.arange(num_samples))


def run_folder(exits: StoredExits) -> RunFolder:
    """Write a run folder as `validate` leaves it, without checkpoints."""
    folder = RunFolder("runs/one")
    folder.write_exits("validation", exits)
    swept = [CRITERIA["voting"]()]
    write_sweep(folder, sweep_exits(swept, exits, None, split="validation", task="own", metrics=["accuracy"]))
    return folder


def choose(folder: RunFolder, options: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command and give what it prints in one line."""
    assert main(["choose", str(folder.path), *options.split()]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_a_budget_that_is_met_is_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(easy_and_hard(400))
    printed = choose(folder, "--criterion confidence --max-loss 40", capsys)
    assert re.search(r"--max-loss 40: met on the other samples: loss .*, interval .*, all of which meets it", printed)
    assert OperatingPoint.read(folder.path).met is True
    assert "replaced" not in printed


@pytest.mark.parametrize("budget", ["--max-loss 1", "--consistency 0.99", "--min-speedup 1.4"])
def test_a_budget_that_is_missed_is_said_to_be(budget: str, capsys: pytest.CaptureFixture[str]) -> None:
    exits = easy_and_hard(400)
    _, other = halves(400, seed=0)
    logits = exits.logits.clone()
    if "speedup" in budget:
        logits[:2, other] /= 100  # nobody is sure
    else:
        logits[:2, other] *= -1  # all that are sure are wrong
    folder = run_folder(StoredExits(logits, exits.labels, exits.ids))
    printed = choose(folder, f"--criterion confidence {budget}", capsys)
    assert re.search(rf"{budget}: missed on the other samples: .*, all of which misses it", printed), printed
    assert OperatingPoint.read(folder.path).met is False


def test_an_interval_on_both_sides_of_the_budget_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(easy_and_hard(400))
    speedup = choose(folder, "--criterion confidence --min-speedup 1.5", capsys)
    met = OperatingPoint.read(folder.path).met
    assert f"part of which {'misses' if met else 'meets'} it" in speedup


@pytest.mark.parametrize(("samples", "warns"), [(24, True), (199, True), (200, False)])
def test_few_rows_are_warned_of(samples: int, warns: bool, capsys: pytest.CaptureFixture[str]) -> None:
    printed = choose(run_folder(easy_and_hard(samples)), "--criterion confidence --max-loss 5", capsys)
    assert (f"warning: {samples} samples are few" in printed) == warns


def test_a_criterion_that_is_clearly_more_accurate_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(easy_and_hard(400))
    printed = choose(folder, "--criterion voting --min-speedup 1.2", capsys)
    better = r"note: --criterion '\w+' keeps to --min-speedup 1.2 too, and is better by \d+ points \(interval "
    assert re.search(better, printed), printed
    assert "note: --criterion" not in choose(folder, "--criterion confidence --min-speedup 1.2", capsys)


def test_a_criterion_that_is_clearly_faster_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    exits = easy_and_hard(400)
    exits.logits[1] = exits.logits[2]  # so that the second exit is right of all, and a rule that waits is slow
    printed = choose(run_folder(exits), "--criterion pcee --max-loss 2", capsys)
    faster = r"note: --criterion '\w+' keeps to --max-loss 2 too, and is faster by 0\.\d+x \(interval "
    assert re.search(faster, printed), printed


def test_no_other_criterion_is_looked_for_under_a_guarantee(capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(easy_and_hard(400))
    assert "note: --criterion" not in choose(folder, "--criterion voting --min-speedup 1.2 --guarantee 0.9", capsys)


def test_what_decides_for_another_criterion_is_not_what_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    exits = easy_and_hard(400)
    _, other = halves(400, seed=0)
    labels = exits.labels.clone()
    labels[other] = 1 - labels[other]
    notes = []
    for each in (exits, StoredExits(exits.logits, labels, exits.ids)):
        printed = choose(run_folder(each), "--criterion voting --min-speedup 1.2", capsys)
        notes.append(re.search(r"note: --criterion.*?chosen on", printed))
    assert notes[0] is not None
    assert notes[1] is not None
    assert notes[0][0] == notes[1][0]


def test_the_operating_point_that_is_replaced_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(easy_and_hard(400))
    first = "--criterion confidence --max-loss 1"
    choose(folder, first, capsys)
    threshold = OperatingPoint.read(folder.path).threshold
    assert "replaced" not in choose(folder, first, capsys)
    printed = choose(folder, "--criterion entropy --consistency 0.9 --guarantee 0.8", capsys)
    old = f"replaced: the operating point confidence at threshold {threshold:g}, chosen by "
    assert f"{old}--max-loss 1 --metric accuracy --split validation --seed 0 saved:" in printed
    assert "--consistency 0.9 --metric accuracy --split validation --seed 0 --guarantee 0.8" in choose(
        folder, first, capsys
    )
    (folder.path / "operating_point.json").write_text("{")
    assert "replaced: an operating point that can't be read" in choose(folder, first, capsys)


def test_a_threshold_that_all_samples_reach_at_once_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    printed = choose(run_folder(easy_and_hard(400)), "--criterion voting(k=1) --max-loss 99", capsys)
    assert "warning: all 200 other samples leave at the first exit" in printed


def test_a_file_that_does_not_say_whether_it_was_met_still_reads(capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(easy_and_hard(400))
    choose(folder, "--criterion confidence --max-loss 1", capsys)
    file = Path(folder.path / "operating_point.json")
    file.write_text(file.read_text().replace('  "met": true,\n', ""))
    assert OperatingPoint.read(folder.path).met is None


def calibrated(num_samples: int = 400) -> RunFolder:
    """Write a run folder whose exits stop improving half-way, with rows held out."""
    folder = None
    for split, seed in (("validation", 2), ("calibration", 1)):
        exits = exits_of(num_samples, num_exits=8, seed=seed)
        exits.logits[4:] = exits.logits[3] + 0.1 * exits.logits[4:]
        folder = folder or run_folder(exits)
        folder.write_exits(split, exits)
    assert folder is not None
    return folder


def test_each_exit_gets_a_threshold_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    folder = calibrated()
    printed = choose(folder, "--criterion confidence --per-exit --min-speedup 2", capsys)
    point = OperatingPoint.read(folder.path)
    assert isinstance(point.threshold, tuple)
    assert len(point.threshold) == 8
    assert point.criterion.class_path == "ee_lightning.exits.Confidence"
    assert f"confidence at {in_words(point.threshold)}, chosen on" in printed
    assert point.threshold[0] > point.threshold[6]
    _, other = halves(400, seed=0)
    exit_layer, _ = replay(Confidence(), folder.read_exits("validation").select(other)).at(point.threshold)
    assert point.reached["speedup"].value == pytest.approx(8 / exit_layer.double().mean().item())

    dial = choose(folder, "--criterion scheduled_confidence --min-speedup 2", capsys)
    again = OperatingPoint.read(folder.path)
    assert again.reached == point.reached  # the same rule, told in another way
    assert re.search(r"replaced: the operating point confidence at thresholds .* --per-exit", dial)


def test_a_criterion_with_options_per_exit_keeps_them(capsys: pytest.CaptureFixture[str]) -> None:
    folder = calibrated()
    choose(folder, "--criterion voting(k=0.5) --per-exit --max-loss 5 --guarantee 0.9", capsys)
    point = OperatingPoint.read(folder.path)
    assert point.criterion == spec_of("voting(k=0.5)")
    assert isinstance(point.threshold, tuple)
    assert point.guarantee is not None


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ("--criterion confidence --per-exit --split calibration", "fitted on the calibration rows"),
        ("--criterion scheduled_confidence --per-exit", "scheduled_confidence can't be scheduled"),
        ("--criterion oracle --per-exit", "oracle can't be scheduled"),
    ],
)
def test_what_can_not_be_per_exit_is_refused(options: str, match: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["choose", str(calibrated(40).path), "--min-speedup", "2", *options.split()]) == 1
    assert match in " ".join(capsys.readouterr().err.split())


def test_without_rows_held_out_there_is_no_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(easy_and_hard(100))
    assert main(["choose", str(folder.path), "--criterion", "confidence", "--per-exit", "--min-speedup", "2"]) == 1
    assert "--data.calibration 500" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("few", "warning: 12 calibration rows can't tell thresholds of different exits"),
        ("one_label", "warning: no calibration row has the label 1"),
        ("trained_on", "warning: the full model is right on 100.0% of the calibration rows and on"),
    ],
)
def test_doubtful_calibration_rows_are_warned_of(rows: str, match: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = calibrated()
    calibration = folder.read_calibration()
    assert calibration is not None
    kept = {
        "few": torch.arange(12),
        "one_label": (calibration.labels == 0).nonzero().squeeze(1),
        "trained_on": (calibration.predictions[-1] == calibration.labels).nonzero().squeeze(1),
    }
    folder.write_exits("calibration", calibration.select(kept[rows]))
    printed = choose(folder, "--criterion confidence --per-exit --min-speedup 1.5", capsys)
    assert match in printed
    assert printed.count("warning: ") == 1
    for criterion, times in (("confidence", 0), ("scheduled_confidence", 1)):
        assert main(["curves", str(folder.path), "--criteria", criterion]) == 0
        assert capsys.readouterr().out.count(match) == times


@pytest.mark.parametrize(
    ("budget", "figure", "promise"),
    [
        ("--max-loss 20 --guarantee 0.9", "loss (points)", "by betting"),
        ("--max-spoilt 30 --guarantee 0.9", "spoilt (%)", "by exact binomial tests"),
        ("--max-brier 20 --guarantee 0.9", "Brier score lost (points)", "by betting"),
        ("--max-hellinger 60 --guarantee mean", "Hellinger distance (0.01)", "by conformal risk control"),
        ("--max-loss 30 --guarantee mean", "loss (points)", "by conformal risk control"),
        ("--consistency 0.5 --guarantee mean", "consistency (%)", "by conformal risk control"),
    ],
)
def test_a_guarantee_says_of_what_it_is(
    budget: str, figure: str, promise: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_folder(easy_and_hard(800))
    printed = choose(folder, f"--criterion confidence {budget}", capsys)
    assert figure in printed
    assert promise in printed
    point = OperatingPoint.read(folder.path)
    assert str(point.asked.guarantee) == budget.rpartition(" ")[2]
    assert choose(folder, f"--criterion confidence {budget}", capsys) == printed


def test_a_speed_up_is_not_guaranteed_on_average(capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(easy_and_hard(400))
    options = ["--criterion", "confidence", "--min-speedup", "1.2", "--guarantee", "mean"]
    assert main(["choose", str(folder.path), *options]) != 0
    assert "hint: give a probability" in " ".join(capsys.readouterr().err.split())
