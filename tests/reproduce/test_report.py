"""All files of a report, and the page above all."""

import base64
import re
from html.parser import HTMLParser

import pytest

from ee_lightning.reproduce.report.tables import write_report
from ee_lightning.reproduce.suite import Row

WITHOUT_END = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks that elements are closed in order, and gathers what is asked about."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.text, self.rows = [], [], "", {}
        self.table = None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        if tag not in WITHOUT_END:
            self.open.append(tag)
        if tag == "table":
            self.table = self.rows.setdefault(dict(attrs).get("id", len(self.rows)), [])
        if tag == "tr":
            self.table.append([])
        if tag in ("td", "th"):
            self.table[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and {"td", "th"} & set(self.open):
            self.table[-1][-1] += f" {data.strip()}"


@pytest.fixture(scope="module")
def report(whole_suite, whole_folders, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_report(whole_suite, whole_folders, folder)
    return folder


def test_all_files_are_there_and_the_same_when_written_again(report, whole_suite, whole_folders, tmp_path):
    names = {"tables.md", "tables.tex", "tables.csv", "curves_RTE.png", "curves_CoLA.png", "report.html"}
    assert {file.name for file in report.iterdir()} == names
    write_report(whole_suite, whole_folders, tmp_path)
    for name in names:
        assert (report / name).read_bytes() == (tmp_path / name).read_bytes()


def test_the_page_stands_alone(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    links = [
        value for _, attributes in page.attributes for name, value in attributes.items() if name in ("src", "href")
    ]
    assert len(links) == 2
    for link, task in zip(links, ("RTE", "CoLA"), strict=True):
        assert (
            base64.b64decode(link.removeprefix("data:image/png;base64,"))
            == (report / f"curves_{task}.png").read_bytes()
        )
    assert not re.search(r"<script|<link|@import|url\(|https?://", text)
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.attributes
    assert "@media print" in text
    assert re.search(r"caption \{[^}]*white-space: nowrap", text)


def test_a_reader_sees_the_verdict_and_the_table_first(report):
    page = Page((report / "report.html").read_text(encoding="utf-8"))
    body = page.text[page.text.index("A made-up suite", page.text.index("@media")) :]
    first = body.split("\n")[1]
    assert re.match(
        r"With thresholds chosen on rows held out of training, Ours w/ Voting scores \d+\.\d points above PABEE on "
        r"average over 2 tasks, at \d\.\d\dx and \d\.\d\dx \(p [<=] [\d.]+, ahead for 2 of 2 seeds\): "
        r"(on these 2 seeds it is better|the speeds differ by more than 5 %, so neither is called better)\. "
        r"Chosen on the dev set instead: [+−]\d+\.\d points \(p [<=] [\d.]+\)\.",
        first,
    )
    assert "23 of 24 trainings are there" in body
    assert list(page.rows) == ["scores", "speeds", "tests", "trainings", "runs"]
    scores = page.rows["scores"]
    assert len(scores) == 2 + 6
    assert all(len(line) == 2 + 6 for line in scores[2:])
    assert re.match(r" Ours w/ Voting", scores[6][0])
    markdown = (report / "tables.md").read_text(encoding="utf-8")
    for cell in scores[6][2:]:
        assert re.match(r" *(\d+\.\d ± \d+\.\d)", cell)[1] in markdown
    assert len(page.rows["runs"]) == 1 + 23


def test_what_users_write_is_text_and_no_markup(make_suite, tmp_path):
    suite = make_suite(Row("<script>&", "ours", "voting", 1.5))
    write_report(suite, {}, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;&amp;" in text
    assert "No row of this suite has a score yet." in text
    assert {file.name for file in tmp_path.iterdir()} == {"tables.md", "tables.tex", "tables.csv", "report.html"}
