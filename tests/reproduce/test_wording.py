"""The sentence that a reader sees first, and the footnotes."""

from dataclasses import replace

import pytest

from ee_lightning.reproduce.comparison import Comparison, Difference, compare
from ee_lightning.reproduce.evaluation import evaluate
from ee_lightning.reproduce.results import Cell, tabulate
from ee_lightning.reproduce.suite import Row
from ee_lightning.reproduce.wording import beside, footnotes, p_value, score, signed, speeds, verdict

CELL = Cell(61.44, 0.75, 3, 1.532, None, 1.2, published=61.2)
ROWS = Row("Ours", "ours", "voting", 1.5), Row("PABEE", "pabee", "patience", 1.5)


def comparison(difference, variant="held_out", speedups=(1.52, 1.48)):
    return Comparison(*ROWS, variant, {"RTE": difference, "CoLA": difference}, difference, speedups)


def test_cells_in_words():
    assert score(CELL, most_seeds=3) == "61.4 ± 0.8"
    assert score(CELL, most_seeds=5) == "61.4 ± 0.8 (n=3)"
    assert score(replace(CELL, deviation=None, score=-3.2), most_seeds=3) == "−3.2"
    assert beside(CELL) == "[61.2, +0.2]"
    assert beside(replace(CELL, published=None)) == ""
    assert speeds(CELL) == "1.53x · – · 1.20x"
    assert [signed(points) for points in (-0.04, -1.25, 2)] == ["+0.0", "−1.2", "+2.0"]


@pytest.mark.parametrize(
    ("value", "p", "ahead", "expected"),
    [
        (
            0.92, 0.004, 3,
            "Ours scores 0.9 points above PABEE on average over 2 tasks, at 1.52x and 1.48x "
            "(p = 0.004, ahead for 3 of 3 seeds): "
            "the data say that it is better.",
        ),
        (
            -0.92, 0.0004, 0,
            "Ours scores 0.9 points below PABEE on average over 2 tasks, at 1.52x and 1.48x "
            "(p < 0.001, ahead for 0 of 3 seeds): "
            "the data say that it is worse.",
        ),
        (
            0.3, 0.31, 2,
            "Ours scores 0.3 points above PABEE on average over 2 tasks, at 1.52x and 1.48x "
            "(p = 0.31, ahead for 2 of 3 seeds): "
            "the data do not tell the two apart.",
        ),
    ],
)  # fmt: skip
def test_the_verdict_says_what_the_data_say(make_suite, make_folder, noisy_exits, value, p, ahead, expected):
    suite = make_suite(*ROWS, tasks=("RTE", "CoLA"), compare=("Ours", "PABEE"))
    results = tabulate(evaluate(suite, {("RTE", "ours", 1): make_folder(noisy_exits(20, 0))}))
    found = [comparison(Difference(value, -1, 2, p, 3, ahead), variant) for variant in ("dev", "held_out")]
    honest, usual = verdict(results, found).split(" With ")
    assert honest == f"With thresholds chosen on rows held out of training, {expected}"
    assert usual == f"thresholds chosen on the dev set, {expected}"
    assert p_value(found[0].average) in honest


@pytest.mark.parametrize(
    ("p", "seeds", "speedups", "told"),
    [
        (0.004, 2, (1.5, 1.5), "on these 2 seeds it is better."),
        (0.004, 1, (1.5, 1.5), "on this 1 seed it is better."),
        (0.3, 2, (1.5, 1.5), "on these 2 seeds the two are not told apart."),
        (0.004, 3, (1.5, 1.6), "the speeds differ by more than 5 %, so neither is called better."),
        (0.004, 3, (1.5, 1.57), "the data say that it is better."),
        (0.004, 3, None, "the data say that it is better."),
    ],
)
def test_the_verdict_claims_no_more_than_the_seeds_and_speeds_allow(
    make_suite, make_folder, noisy_exits, p, seeds, speedups, told
):
    suite = make_suite(*ROWS, tasks=("RTE", "CoLA"), compare=("Ours", "PABEE"))
    results = tabulate(evaluate(suite, {("RTE", "ours", 1): make_folder(noisy_exits(20, 0))}))
    said = verdict(results, [comparison(Difference(0.92, -1, 2, p, seeds, seeds), speedups=speedups)])
    assert said.endswith(f"): {told}")
    assert (", at 1.50x and " in said) == (speedups is not None)


def test_the_verdict_of_what_is_not_there_yet(make_suite, make_folder, noisy_exits):
    suite = make_suite(*ROWS, compare=("Ours", "PABEE"))
    assert verdict(tabulate(evaluate(suite, {})), []) == "No run of this suite has finished yet."
    results = tabulate(evaluate(suite, {("RTE", "ours", 1): make_folder(noisy_exits(20, 0))}))
    assert verdict(results, []).startswith("Ours and PABEE have no finished runs of the same seed yet. The best score")
    assert verdict(replace(results, suite=replace(suite, compare=None)), []) == (
        "The best score on RTE, over 1 seed: Ours."
    )


def test_the_footnotes_tell_what_the_paper_leaves_open(whole):
    notes = "\n".join(footnotes(whole, tabulate(whole), compare(whole)))
    for said in (
        "RTE accuracy, CoLA matthews",
        "Ours w/ Voting: voting(k=0.75, fallback=last)",
        "The published model is ALBERT-base; measured: no/such/backbone.",
        "Unlike in the paper, training lacks the rows held out for (b): about 100 % of RTE, about 100 % of CoLA.",
        "over the samples of the dev set and over the seeds",
        "full 0.2, 6l 0.2, pabee 0.2, ours 0.2",
        "No grid of thresholds",
        "arXiv 2105.13792",
        "these are PABEE's published figures",
        "by val/score",
        "The oracle reads the labels",
        "Left out: speed-ups of 6l on RTE: no backbone can be read there",
        "Left out: FLOPs of ours on CoLA: no tokenizer can be loaded",
    ):
        assert said in notes
    assert "is not known; here it is" not in notes


def test_the_rows_that_are_reported_are_named(make_suite, make_folder, noisy_exits):
    folder = make_folder(noisy_exits(20, 0))
    folder.write_exits("test", noisy_exits(20, 1))
    folder.write_summary("test", {"task": "rte", "metrics": ["accuracy"]})
    notes = {}
    for split in ("validation", "test"):
        suite = make_suite(Row("PABEE", "pabee", "patience", 1.5), split=split, published="multiclass_test")
        found = evaluate(suite, {("RTE", "pabee", 1): folder})
        notes[split] = "\n".join(footnotes(found, tabulate(found), []))
    assert "Scores on the dev set (validation split)" in notes["validation"]
    assert "published figures are of the test set, those measured of the dev set" in notes["validation"]
    assert "Scores on the test set (test split)" in notes["test"]
    assert "applied to the test set" in notes["test"]
    assert "those measured of" not in notes["test"]
    assert "honest" not in notes["test"]


def test_a_metric_that_was_not_published_is_said(make_suite, make_folder, noisy_exits):
    suite = make_suite(Row("PABEE", "pabee", "patience", 1.5), tasks=("MRPC", "RTE"), published="glue_dev")
    folders = {(task, "pabee", 1): make_folder(noisy_exits(20, 0), metrics=("f1",)) for task in suite.tasks}
    found = evaluate(suite, folders)
    notes = footnotes(found, tabulate(found), [])
    assert "The metric of the published MRPC is not known; here it is f1 for MRPC." in notes
    assert "The published metric of RTE is accuracy, measured is f1." in notes
