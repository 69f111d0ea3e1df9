"""Which rows are compared."""

from dataclasses import replace

from ee_lightning.reproduce.evaluation import evaluate
from ee_lightning.reproduce.results import compare
from ee_lightning.reproduce.suite import Row


def test_runs_of_other_rows_are_not_compared(make_suite, make_folder, noisy_exits):
    rows = Row("Ours", "ours", "voting", 1.5), Row("PABEE", "pabee", "patience", 1.5)
    exits = noisy_exits(20, 0)
    folders = {("RTE", name, seed): make_folder(exits) for name in ("ours", "pabee") for seed in (1, 2)}
    folders["RTE", "pabee", 2] = make_folder(replace(exits, ids=exits.ids + 1))
    found = evaluate(make_suite(*rows, seeds=(1, 2), compare=("Ours", "PABEE")), folders)
    (dev,) = compare(found)
    assert dev.by_task["RTE"].num_seeds == 1
    assert dev.speedups == tuple(found.of("RTE", row, "dev")[1].layer_speedup for row in rows)
    assert [problem for problem in found.problems if "other rows" in problem] == [
        "ours on RTE, seed 2 beside pabee on RTE, seed 2: its exits are of other rows than those of the other runs on "
        "the task"
    ]


def test_a_row_is_tested_against_its_rival_first_and_then_against_others_of_its_speed(whole):
    found = compare(whole)
    assert [(each.other.label, each.variant) for each in found] == [
        ("PABEE", "dev"),
        ("PABEE", "held_out"),
        ("Ours w/ Patience", "dev"),
        ("Ours w/ Patience", "held_out"),
    ]
    rival = found[0]
    assert {task: each.num_seeds for task, each in rival.by_task.items()} == {"RTE": 3, "CoLA": 2}
    assert rival.average.num_seeds == 2
    assert rival.average.value > 0
    assert rival.average.p_value < 0.05


def test_without_rows_to_compare_there_is_no_test(make_suite):
    assert compare(evaluate(make_suite(Row("Full", "full")), {})) == []
