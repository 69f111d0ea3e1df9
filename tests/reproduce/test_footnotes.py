"""The footnotes."""

from dataclasses import replace

from summaries import figures

from ee_lightning.reproduce.evaluation import evaluate
from ee_lightning.reproduce.report.words import footnotes, settings
from ee_lightning.reproduce.results import compare, tabulate
from ee_lightning.reproduce.suite import Row
from ee_lightning.runs.figures import MeasuredSpeed


def test_the_footnotes_tell_what_the_paper_leaves_open(whole):
    notes = "\n".join(footnotes(whole, tabulate(whole), compare(whole), settings(whole)))
    for said in (
        "RTE accuracy, CoLA matthews",
        "Ours w/ Voting: voting(k=0.75, fallback=last)",
        "The published model is ALBERT-base; measured: no/such/backbone.",
        "Unlike in the paper, training sees no rows held out for (b): about 100 % of RTE, about 100 % of CoLA.",
        "They speak of other samples than those of the dev set, and of other runs",
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
    folder.write_summary("test", figures())
    notes = {}
    for split in ("validation", "test"):
        suite = make_suite(Row("PABEE", "pabee", "patience", 1.5), split=split, published="multiclass_test")
        found = evaluate(suite, {("RTE", "pabee", 1): folder})
        notes[split] = "\n".join(footnotes(found, tabulate(found), [], settings(found)))
    assert "Scores on the dev set (validation split)" in notes["validation"]
    assert "published figures are of the test set, those measured of the dev set" in notes["validation"]
    assert "Scores on the test set (test split)" in notes["test"]
    assert "applied to the test set" in notes["test"]
    assert "those measured of" not in notes["test"]
    assert "honest" not in notes["test"]


def test_where_the_clock_was_taken_is_named(make_suite, make_folder, noisy_exits):
    folder = make_folder(noisy_exits(20, 0))
    one = MeasuredSpeed("patience", 2, "depth_first", "32", 32, 3, 20, *[1.0] * 11, "cpu", 1, "fp32", "2.13.0")
    folder.write_speed("validation", [one, replace(one, device="cuda"), replace(one, batch_size="1", threads=7)])
    found = evaluate(make_suite(Row("PABEE", "pabee", "patience", 1.5)), {("RTE", "pabee", 1): folder})
    notes = "\n".join(footnotes(found, tabulate(found), [], settings(found)))
    assert "(on cpu with 1 thread, fp32, torch 2.13.0; on cuda with 1 thread, fp32, torch 2.13.0)" in notes


def test_a_metric_that_was_not_published_is_said(make_suite, make_folder, noisy_exits):
    suite = make_suite(Row("PABEE", "pabee", "patience", 1.5), tasks=("MRPC", "RTE"), published="glue_dev")
    folders = {(task, "pabee", 1): make_folder(noisy_exits(20, 0), metrics=("f1",)) for task in suite.tasks}
    found = evaluate(suite, folders)
    notes = footnotes(found, tabulate(found), [], settings(found))
    assert "The metric of the published MRPC is not known; here it is f1 for MRPC." in notes
    assert "The published metric of RTE is accuracy, measured is f1." in notes
