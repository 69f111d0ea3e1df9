"""The sentence that a reader sees first."""

from dataclasses import replace

import pytest

from ee_lightning.analysis.comparison import Difference
from ee_lightning.reproduce.evaluation import evaluate
from ee_lightning.reproduce.report.words import p_value, verdict
from ee_lightning.reproduce.results import Comparison, tabulate
from ee_lightning.reproduce.suite import Row

ROWS = Row("Ours", "ours", "voting", 1.5), Row("PABEE", "pabee", "patience", 1.5)


def comparison(difference, variant="held_out", speedups=(1.52, 1.48)):
    return Comparison(*ROWS, variant, {"RTE": difference, "CoLA": difference}, difference, speedups)


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
    honest, usual = verdict(results, found).split(" Chosen ")
    assert honest == f"With thresholds chosen on rows held out of training, {expected}"
    assert usual == f"on the dev set instead: {value:+.1f} points ({p_value(found[0].average)}).".replace("-", "−")
    assert p_value(found[0].average) in honest


@pytest.mark.parametrize(
    ("p", "seeds", "speedups", "told"),
    [
        (0.004, 2, (1.5, 1.5), "the data say that it is better."),
        (0.004, 1, (1.5, 1.5), "of this seed it is better."),
        (0.3, 1, (1.5, 1.5), "of this seed the two are not told apart."),
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
    assert verdict(tabulate(evaluate(suite, {})), []) == "No row of this suite has a score yet."
    results = tabulate(evaluate(suite, {("RTE", "ours", 1): make_folder(noisy_exits(20, 0))}))
    assert verdict(results, []).startswith("Ours and PABEE have no finished runs of the same seed yet. The best score")
    assert verdict(replace(results, suite=replace(suite, compare=None)), []) == (
        "The best score on RTE, over 1 seed: Ours."
    )
