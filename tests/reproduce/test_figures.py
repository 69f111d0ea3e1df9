"""The picture of a task."""

import numpy as np
import pytest

from ee_lightning.exits.drawing import mean_curve
from ee_lightning.reproduce.evaluation import StoredRun, evaluate
from ee_lightning.reproduce.report.figures import draw_task
from ee_lightning.reproduce.results import tabulate
from ee_lightning.reproduce.suite import Row


def test_curves_of_seeds_are_read_at_the_same_speeds(make_folder, noisy_exits):
    runs = [StoredRun.read(make_folder(noisy_exits(30, seed))) for seed in (1, 2)]
    curves = [run.curve(run.criterion("confidence")) for run in runs]
    speedups, scores = mean_curve(curves, "accuracy")
    assert (speedups[0], speedups[-1]) == (1, 4)
    assert np.allclose(np.diff(4 / speedups), -3 / 200)
    for at in (0, 77, 200):
        assert scores[:, at].tolist() == pytest.approx(
            [100 * curve.score_at(speedups[at].item(), "accuracy") for curve in curves]
        )


def test_a_picture_has_every_row_its_point_and_what_was_published(whole):
    results = tabulate(whole)
    (axes,) = draw_task(whole, results, "RTE").axes
    assert axes.get_title() == "RTE, dev set, 3 seeds"
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["published", "PABEE", "Ours w/ Patience", "Ours w/ Voting", "oracle (pabee)", "oracle (ours)"]
    assert [text.get_text() for text in axes.texts] == ["Oracle"]  # how many layers the others save is not known
    points = {tuple(line.get_xydata()[0]) for line in axes.lines if len(line.get_xydata()) == 1}
    for row in whole.suite.rows[2:]:
        cell = results.cell(row, "RTE", "dev")
        assert (cell.layer_speedup, cell.score) in points
    assert {(1.5, 80.1), (1.5, 80.9), (2.0, 73.6)} <= points
    lines = {line.get_label(): line for line in axes.lines}
    curves = [run.curve(run.criterion("patience")) for run in whole.runs_of("RTE", "pabee")]
    _, scores = mean_curve(curves, "accuracy")
    assert (scores[0] != scores.mean(0)).any()
    assert np.allclose(lines["PABEE"].get_ydata(), scores.mean(0), equal_nan=True)


def test_the_line_of_a_shorter_model_goes_through_its_points(make_suite, make_folder, noisy_exits, tiny_backbone):
    suite = make_suite(Row("Shorter", "short", "confidence", 1.6), Row("Oracle", "short", "oracle"))
    folder = make_folder(noisy_exits(60, 1, num_exits=2), model__num_layers=2, model__backbone=str(tiny_backbone))
    found = evaluate(suite, {("RTE", "short", 1): folder})
    results = tabulate(found)
    (axes,) = draw_task(found, results, "RTE").axes
    lines = {line.get_label(): line for line in axes.lines}
    shorter, oracle = (results.cell(row, "RTE", "dev") for row in suite.rows)
    line = lines["Shorter"].get_xydata()
    assert (line[:, 0].min(), line[:, 0].max()) == (1.5, 3)  # of 3 layers the model has 2
    assert np.interp(shorter.layer_speedup, *line.T) == pytest.approx(shorter.score, abs=0.5)
    assert lines["oracle (short)"].get_xydata()[0] == pytest.approx((oracle.layer_speedup, oracle.score))
    assert axes.get_xlim()[1] > 3


def test_a_task_without_runs_has_no_picture(whole_suite):
    found = evaluate(whole_suite, {})
    assert draw_task(found, tabulate(found), "RTE") is None
