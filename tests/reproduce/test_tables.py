"""Markdown and CSV."""

import io
import re
from dataclasses import replace

import pandas as pd
import pytest

from ee_lightning.reproduce.evaluation import evaluate
from ee_lightning.reproduce.report.tables import as_csv, as_markdown, report_of
from ee_lightning.reproduce.report.words import beside, score
from ee_lightning.reproduce.results import compare, tabulate
from ee_lightning.reproduce.suite import Row


@pytest.fixture(scope="session")
def made(whole):
    return tabulate(whole), compare(whole)


def markdown_tables(text):
    """Read the tables of a Markdown text, each as rows of cells."""
    blocks = [block for block in text.strip().split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.split("\n")] for block in blocks]


def test_markdown_has_both_ways_of_choosing_for_every_task(made, whole):
    results, comparisons = made
    text = as_markdown(replace(report_of(whole, results, comparisons, {}), notes=["A note."]))
    assert text.startswith("# A made-up suite\n\nWith thresholds chosen on rows held out of training, Ours w/ Voting ")
    scores, speeds, tests, trainings = markdown_tables(text)
    assert scores[0] == ["method", "stated"] + [
        f"{column} {chosen}" for column in ("RTE", "CoLA", "avg") for chosen in ("(a) dev", "(b) held out")
    ]
    assert [line[0] for line in scores[2:]] == [row.label for row in results.suite.rows]
    assert all(len(line) == 8 for line in scores + speeds)
    for line, row in zip(scores[2:], results.suite.rows, strict=True):
        for place, (column, variant) in enumerate(
            [(column, variant) for column in results.columns for variant in ("dev", "held_out")], 2
        ):
            cell = results.cell(row, column, variant)
            own = score(cell, 3)
            assert line[place] == f"{f'**{own}**' if cell.is_best else own} {beside(cell)}".strip()
    assert [line[:2] for line in tests[2:]] == [
        [rival, chosen] for rival in ("PABEE", "Ours w/ Patience") for chosen in ("(a) dev", "(b) held out")
    ]
    assert re.fullmatch(r"[+−]\d+\.\d \([+−]\d+\.\d to [+−]\d+\.\d\), p [=<] [\d.e-]+, \d/3", tests[2][2])
    assert trainings[0][:2] == ["training", "backbone"]
    assert [line[0] for line in trainings[2:]] == ["full", "6l", "pabee", "ours"]
    assert "- A note." in text


def test_csv_has_a_line_for_every_cell(made):
    results, comparisons = made
    table = pd.read_csv(io.StringIO(as_csv(results, comparisons)))
    assert len(table) == len(results.cells) == 6 * 3 * 2
    row = results.suite.rows[4]
    (line,) = table.query("row == 'Ours w/ Voting' and task == 'RTE' and chosen_on == 'held_out'").to_dict("records")
    cell = results.cell(row, "RTE", "held_out")
    assert (line["score"], line["deviation"], line["published"], line["layer_speedup"]) == pytest.approx(
        (cell.score, cell.deviation, 80.9, cell.layer_speedup)
    )
    assert line["tested_against"] == "PABEE"
    assert line["p_value"] == comparisons[1].by_task["RTE"].p_value
    assert table["p_value"].notna().sum() == 6
    (average,) = table.query("row == 'Ours w/ Voting' and task == 'avg' and chosen_on == 'dev'").to_dict("records")
    assert average["p_value"] == comparisons[0].average.p_value


def test_nothing_finished_is_a_table_of_dashes(make_suite):
    found = evaluate(make_suite(Row("PABEE", "pabee", "patience", 1.5)), {})
    results = tabulate(found)
    (scores, _) = markdown_tables(as_markdown(report_of(found, results, [], {})))
    assert scores[2] == ["PABEE", "1.5x", "–", "–"]
    table = pd.read_csv(io.StringIO(as_csv(results, [])))
    assert table.empty
    assert {"row", "task", "score", "p_value"} < set(table.columns)
