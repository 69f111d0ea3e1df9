"""Cells: means over seeds, beside what was published."""

import pytest

from ee_lightning.errors import OptionError
from ee_lightning.reproduce.evaluation import evaluate
from ee_lightning.reproduce.results import AVERAGE, tabulate
from ee_lightning.reproduce.suite import Row

RIGHT = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]


@pytest.fixture
def run_that_scores(make_folder, make_exits):
    """Return a function that makes a run whose last exit, its only one, has so many of ten right."""

    def make(right):
        return make_folder(make_exits([[*RIGHT[:right], *(1 - label for label in RIGHT[right:])]], RIGHT))

    return make


ROWS = Row("ALBERT-base", "full"), Row("PABEE", "pabee", speedup=1.5)


def test_mean_and_sample_deviation_over_seeds_beside_what_was_published(make_suite, run_that_scores):
    suite = make_suite(*ROWS, tasks=("RTE", "CoLA"), seeds=(1, 2, 3), published="glue_dev")
    rights = {("RTE", 1): 8, ("RTE", 2): 9, ("RTE", 3): 10, ("CoLA", 1): 6, ("CoLA", 2): 8}
    folders = {(task, "full", seed): run_that_scores(right) for (task, seed), right in rights.items()}
    results = tabulate(evaluate(suite, folders))
    rte, cola, average = (results.cell(ROWS[0], column, "dev") for column in ("RTE", "CoLA", AVERAGE))
    assert (rte.score, rte.deviation, rte.num_seeds) == pytest.approx((90, 10, 3))
    assert (rte.published, rte.difference) == pytest.approx((78.6, 11.4))
    assert (cola.score, cola.deviation, cola.num_seeds) == pytest.approx((70, 200**0.5, 2))
    # By seed (80 + 60) / 2 and (90 + 80) / 2; the third seed has no CoLA.
    assert (average.score, average.deviation, average.num_seeds) == pytest.approx((77.5, (15**2 / 2) ** 0.5, 2))
    assert average.published == pytest.approx((78.6 + 58.9) / 2)
    assert results.num_seeds == 3
    assert results.cell(ROWS[1], "RTE", "dev") is None


def test_one_seed_has_no_deviation_and_an_average_needs_all_tasks(make_suite, run_that_scores):
    suite = make_suite(*ROWS, tasks=("RTE", "CoLA"))
    results = tabulate(evaluate(suite, {("RTE", "full", 1): run_that_scores(7)}))
    cell = results.cell(ROWS[0], "RTE", "dev")
    assert (cell.score, cell.deviation, cell.published, cell.difference) == (pytest.approx(70), None, None, None)
    assert results.cell(ROWS[0], AVERAGE, "dev") is None


def test_the_best_of_a_column_is_told_as_it_is_printed_and_never_the_oracle(make_suite, make_folder, make_exits):
    oracle, good, as_good, bad = (
        Row("Oracle", "many", "oracle"),
        Row("Good", "good"),
        Row("As good", "as_good"),
        Row("Bad", "bad"),
    )
    wrong = [1 - label for label in RIGHT]
    folders = {
        ("RTE", "many", 1): make_folder(make_exits([RIGHT, wrong], RIGHT)),
        ("RTE", "good", 1): make_folder(make_exits([[*RIGHT[:9], 0]], RIGHT)),
        ("RTE", "as_good", 1): make_folder(make_exits([[1, *RIGHT[1:]]], RIGHT)),
        ("RTE", "bad", 1): make_folder(make_exits([wrong], RIGHT)),
    }
    results = tabulate(evaluate(make_suite(oracle, good, as_good, bad), folders))
    best = {row.label: results.cell(row, "RTE", "dev").is_best for row in (oracle, good, as_good, bad)}
    assert best == {"Oracle": False, "Good": False, "As good": False, "Bad": False}  # as two share the first place
    assert results.leaders("RTE", "dev") == [good, as_good]
    alone = tabulate(evaluate(make_suite(oracle, good, bad), folders))
    assert [alone.cell(row, "RTE", "dev").is_best for row in (oracle, good, bad)] == [False, True, False]
    assert results.cell(oracle, "RTE", "dev").score == 100
    assert AVERAGE not in results.columns


def test_speed_ups_are_means_and_absent_where_one_is_not_known(whole):
    results, row = tabulate(whole), whole.suite.rows[4]
    outcomes = whole.of("RTE", row, "dev").values()
    cell = results.cell(row, "RTE", "dev")
    assert cell.layer_speedup == pytest.approx(sum(outcome.layer_speedup for outcome in outcomes) / 3)
    assert min(outcome.layer_speedup for outcome in outcomes) >= 1.5
    assert cell.flops_speedup is None
    assert cell.wall_speedup is None
    assert results.cell(whole.suite.rows[1], "RTE", "dev").layer_speedup is None


def test_an_unknown_published_table_is_refused(make_suite):
    with pytest.raises(OptionError, match="glue_dev"):
        tabulate(evaluate(make_suite(Row("Full", "full"), published="nothing"), {}))


def test_only_cells_of_the_most_seeds_can_be_the_best(make_suite, make_folder, make_exits):
    rows = Row("Good", "good"), Row("Better, once", "better")
    labels = [0, 1, 0, 1]
    good, better = make_exits([[0, 1, 0, 0]], labels), make_exits([labels], labels)
    folders = {("RTE", "good", seed): make_folder(good) for seed in (1, 2)} | {
        ("RTE", "better", 1): make_folder(better)
    }
    results = tabulate(evaluate(make_suite(*rows, seeds=(1, 2)), folders))
    cells = [results.cell(row, "RTE", "dev") for row in rows]
    assert [(cell.score, cell.num_seeds, cell.is_best) for cell in cells] == [(75, 2, True), (100, 1, False)]
