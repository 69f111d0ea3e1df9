"""Markdown, LaTeX and CSV."""

import io
import re
import subprocess
from dataclasses import replace
from shutil import which

import pandas as pd
import pytest

from ee_lightning.reproduce.comparison import compare
from ee_lightning.reproduce.evaluation import evaluate
from ee_lightning.reproduce.results import tabulate
from ee_lightning.reproduce.suite import Row
from ee_lightning.reproduce.tables import as_csv, as_latex, as_markdown
from ee_lightning.reproduce.wording import beside, score


@pytest.fixture
def made(whole):
    return tabulate(whole), compare(whole)


def markdown_tables(text):
    """Read the tables of a Markdown text, each as rows of cells."""
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.split("\n")] for block in blocks]


def test_markdown_has_both_ways_of_choosing_for_every_task(made):
    results, comparisons = made
    text = as_markdown(results, comparisons, "The verdict.", ["A note."], pd.DataFrame([{"training": "ours"}]))
    assert text.startswith("# A made-up suite\n\nThe verdict.\n\n|")
    scores, speeds, tests, trainings = markdown_tables(text)
    assert scores[0] == ["method", "stated", "RTE (a)", "RTE (b)", "CoLA (a)", "CoLA (b)", "avg (a)", "avg (b)"]
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
        ["PABEE", "(a)"], ["PABEE", "(b)"], ["Ours w/ Patience", "(a)"], ["Ours w/ Patience", "(b)"],
    ]  # fmt: skip
    assert re.fullmatch(r"[+−]\d+\.\d \([+−]\d+\.\d to [+−]\d+\.\d\), p [=<] [\d.e-]+, \d/3", tests[2][2])
    assert trainings[0] == ["training"]
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


def check_latex(text):
    """Check what LaTeX would stumble over: characters, groups, environments, and the number of cells a line."""
    assert set(re.findall(r"[^\x00-\x7f]", text)) <= {"–"}
    plain = re.sub(r"\\[\\&%$#_{}]", "", text)
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0
    assert not re.search(r"(?<!\\)[_^#]", plain)
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        stack.append(name) if kind == "begin" else None
        assert kind == "begin" or stack.pop() == name
    assert stack == []
    for layout, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        for line in re.findall(r"(.*) \\\\\n", body):
            spanned = sum(int(number) - 1 for number in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert len(re.split(r"(?<!\\)&", line)) + spanned == len(layout)


def test_latex_is_sound(made):
    results, comparisons = made
    text = as_latex(results, comparisons, "1 < 2 & 50 % of a_b", ["λ ≥ 0, C:\\x ~ ^ {#}"])
    check_latex(text)
    assert text.startswith("\\documentclass")
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 3
    assert r"\multicolumn{2}{c}{CoLA}" in text
    assert r"1 $<$ 2 \& 50 \% of a\_b" in text
    assert r"\item $\lambda$ $\geq$ 0, C:\textbackslash{}x \textasciitilde{} \textasciicircum{} \{\#\}" in text
    cells = [results.cell(row, "RTE", "dev") for row in results.suite.rows]
    best = next(cell for cell in cells if cell.is_best)
    assert rf"\textbf{{{best.score:.1f} $\pm$ {best.deviation:.1f}}} [{best.published}, {best.difference:+.1f}]" in text


LATIN_1 = "".join(map(chr, range(0xA0, 0x100)))


@pytest.mark.skipif(which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_sets_whatever_is_written(make_suite, tmp_path):
    odd = "τ λ ≤ ≥ → ± − · – × α β … ∞ 漢字 ё 😀 \x07 & % $ # _ { } ~ ^ \\ < >"
    suite = make_suite(Row(odd, "ours", "voting", 1.5), Row(LATIN_1, "ours"), tasks=(odd, "RTE"))
    results = replace(tabulate(evaluate(suite, {})), suite=replace(suite, title=odd))
    (tmp_path / "tables.tex").write_text(as_latex(results, [], LATIN_1, [odd]), encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "tables.pdf").is_file()


def test_what_latex_lacks_is_a_question_mark(make_suite):
    results = tabulate(evaluate(make_suite(Row("PABEE", "pabee", "patience", 1.5)), {}))
    text = as_latex(results, [], "τ ≤ 1 → ∞ 漢", ["é × α"])
    assert r"$\tau$ $\leq$ 1 $\to$ ? ?" in text
    assert r"\item é $\times$ $\alpha$" in text


def test_nothing_finished_is_a_table_of_dashes(make_suite):
    results = tabulate(evaluate(make_suite(Row("PABEE", "pabee", "patience", 1.5)), {}))
    (scores, _) = markdown_tables(as_markdown(results, [], "Nothing.", [], pd.DataFrame()))
    assert scores[2] == ["PABEE", "1.5x", "–", "–"]
    check_latex(as_latex(results, [], "Nothing.", ["None."]))
    assert as_csv(results, []).strip() == ""
