"""Published figures: as printed, checked, and apart from measured ones."""

from copy import deepcopy

import pytest

from ee_lightning.errors import OptionError
from ee_lightning.files import typed
from ee_lightning.reproduce.published import PublishedTable, published_table, published_tables

PRINTED = [(name, row) for name, table in published_tables().items() for row in table.rows if row.average is not None]
SOURCE = {"title": "T", "arxiv": "1", "read": "typed", "confidence": "high"}
TABLE = {
    "title": "T",
    "split": "dev",
    "backbone": "B",
    "where": "table 1",
    "columns": ["A", "B"],
    "rows": [{"label": "m", "source": SOURCE, "speedup": 1.5, "scores": {"A": 50.0, "B": 60.1}, "average": 55.1}],
}


@pytest.mark.parametrize(("name", "row"), PRINTED, ids=lambda value: getattr(value, "label", value))
def test_the_plain_mean_over_the_columns_is_the_printed_average_to_the_digit(name, row):
    assert f"{row.average_over(published_table(name).columns):.1f}" == f"{row.average:.1f}"


def test_all_tables_with_averages_are_there():
    assert {name for name, _ in PRINTED} == {"glue_dev", "glue_test", "multiclass_test"}
    assert len(PRINTED) == 10 + 4 + 8


def test_every_row_has_its_source():
    for table in published_tables().values():
        for row in table.rows:
            assert row.source.arxiv.count(".") == 1
            assert row.source.read
    assert published_table("oracle").find("Oracle (BERT-base)", 1.0).source.confidence == "low"
    assert published_table("cosee_test").find("COSEE", 2.0).source.arxiv == "2412.13236"


def test_figures_are_found_by_label_and_what_was_not_recovered_is_absent():
    table = published_table("glue_dev")
    assert table.find("Ours w/ Voting", 1.5).scores["MRPC"] == 92.7
    assert table.find("ALBERT-9L", 12 / 9).scores["RTE"] == 75.9
    assert table.find("Theirs", 1.5) is None
    assert table.find("Ours w/ Voting", 2.0) is None
    assert "QQP" not in published_table("cosee_test").find("ConsistentEE", 2.0).scores
    assert table.find("PABEE", 1.5).average_over(["RTE", "QNLI"]) is None
    assert table.find("PABEE", 1.5).average_over(["RTE", "MRPC"]) == pytest.approx(85.05)


def test_points_of_a_curve_are_told_apart_by_their_speed():
    table = published_table("oracle")
    assert table.find("DeeBERT", 1.93).scores == {"SST-2": 89.7}
    assert table.find("DeeBERT", 1.5) is None
    assert table.find("Oracle (BERT-base)", 1.0).speedup == 4.5  # which nobody stated


def test_an_unknown_table_is_refused_with_the_known_ones():
    with pytest.raises(OptionError, match="glue_dev"):
        published_table("glue_def")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"scores": {"A": 50.2, "B": 60.1}, "average": 55.3}, "averages 55.150, and 55.3 is printed"),
        ({"scores": {"C": 50.0}}, "unknown columns"),
        ({"scores": {"A": 5000.0}}, "no percentage"),
        ({"source": "nobody"}, r"rows\.0\.source is 'nobody'"),
        ({"speedup": "fast"}, r"rows\.0\.speedup is 'fast', and it should be a valid number"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(changes, match):
    content = deepcopy(TABLE)
    assert typed(PublishedTable, content).rows[0].source.arxiv == "1"
    content["rows"][0].update(changes)
    with pytest.raises(ValueError, match=match):
        typed(PublishedTable, content)
