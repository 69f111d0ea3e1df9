"""What rows reach, on exits made by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
from summaries import figures

from ee_lightning.exits import CalibratedConfidence
from ee_lightning.reproduce.evaluation import StoredRun, evaluate
from ee_lightning.reproduce.report.words import spelt_out
from ee_lightning.reproduce.suite import Row
from ee_lightning.runs.figures import MeasuredSpeed

# Exit 1 of 2 is right on the dev set where it is sure; on the rows held out it is right but for the surest.
LABELS = [0, 1, 0, 1]
DEV = ([[0, 1, 1, 0], [0, 1, 0, 1]], LABELS, [[4.0, 3.0, 2.0, 1.0], [5.0] * 4])
HELD_OUT = ([[1, 1, 0, 1], [1, 1, 0, 1]], LABELS, [[4.0, 3.0, 2.0, 1.0], [5.0] * 4])
MEASURED = MeasuredSpeed(
    "confidence", 0.9, "depth_first", "32", 32, 2, 4, 1.30, 1.2, 1.1, 1.0, 1.2, 1, 1, 1, 1, 1, 1, "cpu", 1, "fp32", "2"
)


@pytest.fixture
def folder(make_folder, make_exits):
    return make_folder(make_exits(*DEV), make_exits(*HELD_OUT))


def test_thresholds_are_chosen_on_the_dev_set_and_on_rows_held_out(make_suite, folder):
    row = Row("Confidence", "ours", "confidence", 4 / 3)
    found = evaluate(make_suite(row), {("RTE", "ours", 1): folder})
    (dev,), (held_out,) = (list(found.of("RTE", row, variant).values()) for variant in ("dev", "held_out"))
    assert (dev.score, dev.layer_speedup) == (1.0, pytest.approx(4 / 3))
    assert dev.exit_layers.tolist() == [1, 1, 2, 2]
    assert dev.predictions.tolist() == LABELS
    # Held out, all points score 3/4, and of equals the fastest is taken: everybody leaves at once.
    assert (held_out.score, held_out.layer_speedup) == (0.5, 2.0)
    assert held_out.exit_layers.tolist() == [1, 1, 1, 1]


def test_the_dev_threshold_is_the_best_of_those_that_are_fast_enough(folder):
    run = StoredRun.read(folder)
    criterion = run.criterion("confidence")
    curve = run.curve(criterion)
    reached = {}
    for speedup in (1.0, 4 / 3, 1.4, 2.0):
        at = curve.index_at(run.choose_threshold(criterion, speedup, "dev"))
        reached[speedup] = (curve.speedup[at].item(), curve.scores["accuracy"][at].item())
    assert reached[1.0] == reached[4 / 3] == (pytest.approx(4 / 3), 1.0)
    assert reached[1.4] == (pytest.approx(8 / 5), 0.75)
    assert reached[2.0] == (2.0, 0.5)


def test_of_the_test_split_thresholds_are_chosen_on_the_dev_set_all_the_same(make_suite, folder, make_exits):
    folder.write_exits("test", make_exits(*HELD_OUT))
    folder.write_summary("test", figures())
    row = Row("Confidence", "ours", "confidence", 4 / 3)
    found = evaluate(make_suite(row, split="test"), {("RTE", "ours", 1): folder})
    (dev,), (held_out,) = (list(found.of("RTE", row, variant).values()) for variant in ("dev", "held_out"))
    assert dev.exit_layers.tolist() == [1, 1, 2, 2]  # at the dev set's threshold
    assert (dev.score, held_out.score) == (0.75, 0.75)
    assert held_out.exit_layers.tolist() == [1, 1, 1, 1]


def test_what_no_threshold_reaches_is_absent(make_suite, folder):
    row = Row("Patience", "ours", "patience", 2.5)
    found = evaluate(make_suite(row), {("RTE", "ours", 1): folder})
    assert found.of("RTE", row, "dev") == {}
    assert not [problem for problem in found.problems if "Patience" in problem]


def test_a_row_without_a_criterion_reads_the_last_exit(make_suite, folder):
    row = Row("Full", "ours")
    found = evaluate(make_suite(row), {("RTE", "ours", 1): folder})
    for variant in ("dev", "held_out"):
        outcome = found.of("RTE", row, variant)[1]
        assert (outcome.score, outcome.layer_speedup, outcome.threshold) == (1.0, 1.0, 2.0)


def test_without_rows_held_out_there_is_no_honest_variant(make_suite, make_folder, make_exits):
    row = Row("Confidence", "ours", "confidence", 1.2)
    found = evaluate(make_suite(row), {("RTE", "ours", 1): make_folder(make_exits(*DEV))})
    assert list(found.of("RTE", row, "dev")) == [1]
    assert found.of("RTE", row, "held_out") == {}


def test_what_is_fitted_is_fitted_on_other_rows_than_its_threshold_is_chosen_on(make_folder, noisy_exits):
    run = StoredRun.read(make_folder(noisy_exits(40, 0), noisy_exits(200, 1)))
    first, second = run.halves
    assert set(first.ids.tolist()).isdisjoint(second.ids.tolist())
    assert first.num_samples == second.num_samples == 100
    criterion, expected = run.criterion("calibrated_confidence"), CalibratedConfidence()
    expected.fit(first)
    assert criterion.fitted == expected.fitted
    chosen = {
        "first": replace(run, dev=first).choose_threshold(criterion, 1.5, "dev"),
        "second": replace(run, dev=second).choose_threshold(criterion, 1.5, "dev"),
    }
    assert run.choose_threshold(criterion, 1.5, "held_out") == chosen["second"] != chosen["first"]


def test_a_criterion_of_ones_own_is_named_by_its_class(make_suite, folder, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    own = Row("Own", "ours", "own_criterion.RecentMean(decay=0.3)", 4 / 3)
    found = evaluate(make_suite(own), {("RTE", "ours", 1): folder})
    (outcome,) = found.of("RTE", own, "dev").values()
    assert outcome.layer_speedup >= 4 / 3
    assert spelt_out("own_criterion.RecentMean") == "own_criterion.RecentMean(decay=0.5)"


def test_the_oracle_leaves_at_the_first_exit_that_is_right(make_suite, folder):
    row = Row("Oracle", "ours", "oracle")
    outcome = evaluate(make_suite(row), {("RTE", "ours", 1): folder}).of("RTE", row, "dev")[1]
    assert (outcome.score, outcome.exit_layers.tolist()) == (1.0, [1, 1, 2, 2])


def test_what_cannot_be_read_is_left_out_and_noted_once(make_suite, make_folder, make_exits):
    rows = Row("Confidence", "ours", "confidence", 1.2), Row("Tolerance", "ours", "patience(tolerance=1)", 1.2)
    broken, sound = (make_folder(make_exits(*DEV)) for _ in range(2))
    (broken.path / "exits" / "validation.safetensors").write_bytes(b"cut off")
    found = evaluate(make_suite(*rows, seeds=(1, 2)), {("RTE", "ours", 1): broken, ("RTE", "ours", 2): sound})
    assert list(found.of("RTE", rows[0], "dev")) == [2]
    assert list(found.of("RTE", rows[1], "dev")) == []
    broken_one, flops, option = found.problems
    assert broken_one.startswith("ours on RTE, seed 1: validation.safetensors can't be read")
    assert flops.startswith("FLOPs of ours on RTE: no tokenizer")
    assert option.startswith("ours on RTE, seed 2, Tolerance: Patience needs a tolerance")


def test_the_clock_is_read_at_the_threshold_itself_alone(folder):
    others = [
        replace(MEASURED, threshold=0.8, wall_speedup=1.7, wall_speedup_high=1.7),
        replace(MEASURED, threshold=0.7, batch_size="8"),
        replace(MEASURED, threshold=0.7, criterion="voting"),
        replace(MEASURED, threshold=0.7, full_layers=1),  # not beside the whole backbone
    ]
    folder.write_speed("validation", [MEASURED, *others])
    run = StoredRun.read(folder)
    criterion = run.criterion("confidence")
    assert [run.wall_speedup(criterion, threshold) for threshold in (0.9, 0.8, 0.7, 0.89)] == [1.1, 1.7, None, None]


def test_speeds_that_cannot_be_read_take_no_score_away(make_suite, folder):
    (folder.path / "speed.csv").write_text("split,what\nvalidation,nothing\n")
    row = Row("Confidence", "ours", "confidence", 1.2)
    outcome = evaluate(make_suite(row), {("RTE", "ours", 1): folder}).of("RTE", row, "dev")[1]
    assert (outcome.score, outcome.wall_speedup) == (1.0, None)


def test_a_summary_without_metrics_is_noted_and_stops_nothing(make_suite, folder):
    (folder.path / "summary.json").write_text('{"validation": {}}')
    found = evaluate(make_suite(Row("Full", "ours")), {("RTE", "ours", 1): folder})
    assert found.problems == ["ours on RTE, seed 1: summary.json can't be read: validation.task is missing"]
