"""LaTeX."""

import re
import subprocess
from dataclasses import replace
from shutil import which

import pytest

from ee_lightning.reproduce.evaluation import evaluate
from ee_lightning.reproduce.report.tables import as_latex, report_of
from ee_lightning.reproduce.results import compare, tabulate
from ee_lightning.reproduce.suite import Row


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


def latex_of(found, results, comparisons, verdict, notes):
    return as_latex(replace(report_of(found, results, comparisons, {}), paragraphs=[verdict], notes=notes))


def test_latex_is_sound(whole):
    results, comparisons = tabulate(whole), compare(whole)
    text = latex_of(whole, results, comparisons, "1 < 2 & 50 % of a_b", ["λ ≥ 0, C:\\x ~ ^ {#}"])
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
    found = evaluate(suite, {})
    results = replace(tabulate(found), suite=replace(suite, title=odd))
    (tmp_path / "tables.tex").write_text(latex_of(found, results, [], LATIN_1, [odd]), encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "tables.pdf").is_file()


def test_what_latex_lacks_is_a_question_mark(make_suite):
    found = evaluate(make_suite(Row("PABEE", "pabee", "patience", 1.5)), {})
    text = latex_of(found, tabulate(found), [], "τ ≤ 1 → ∞ 漢", ["é × α"])
    assert r"$\tau$ $\leq$ 1 $\to$ ? ?" in text
    assert r"\item é $\times$ $\alpha$" in text


def test_nothing_finished_is_sound_too(make_suite):
    found = evaluate(make_suite(Row("PABEE", "pabee", "patience", 1.5)), {})
    check_latex(latex_of(found, tabulate(found), [], "Nothing.", ["None."]))
