import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_lightning.data.sources.delimited import read_tsv
from ee_lightning.data.sources.table import Columns
from ee_lightning.errors import DataError

CELLS = st.text(st.characters(exclude_characters="\t\n\r", codec="utf-8"), max_size=12)
TABLES = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=6)
)


def all_columns(header, where):
    return Columns(tuple(header), None)


def only(*names):
    return lambda header, where: Columns(names, None)


@given(rows=TABLES, newline=st.sampled_from(["\n", "\r\n"]), last=st.booleans(), mark=st.booleans())
def test_every_cell_comes_back_as_it_was_written(rows, newline, last, mark, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "table.tsv"
    names = [f"column {place}" for place in range(len(rows[0]))]
    text = newline.join("\t".join(row) for row in [names, *rows]) + newline * last
    path.write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))
    table = read_tsv(path, all_columns)
    assert [list(row.values()) for row in table.rows] == rows
    assert table.rows.column_names == names


def test_quotes_and_line_separators_of_unicode_are_text(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text('label\tsentence\n1\t"open quote\n0\tone\u2028line\x85still\n', encoding="utf-8")
    assert read_tsv(path, only("sentence")).rows["sentence"][:] == ['"open quote', "one\u2028line\x85still"]


def test_names_given_make_the_first_line_a_row(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("1\ta\n0\tb\n")
    file = read_tsv(path, all_columns, ("label", "sentence"))
    assert file.rows.to_dict() == {"label": ["1", "0"], "sentence": ["a", "b"]}
    assert file.where(1) == f"{path}, line 2"


@pytest.mark.parametrize(
    ("content", "problem", "line"),
    [
        (b"label\tsentence\n1\ta\n0\n", "1 cells where 2 are expected: label, sentence", 3),
        (b"label\tsentence\n1\ta\tb\n", "3 cells where 2", 2),
        (b"label\tsentence\n1\ta\n\n0\tb\n", "1 cells where 2", 3),
        (b"label\tsentence\n1\ta\n0\tna\xefve\n", "not UTF-8", 3),
        (b"label\tsentence\n", "no rows", None),
        (b"", "no rows", None),
        (b"\xef\xbb\xbf", "no rows", None),
    ],
)
def test_a_wrong_file_is_one_error_with_its_path_and_line(tmp_path, content, problem, line):
    path = tmp_path / "table.tsv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=problem) as caught:
        read_tsv(path, all_columns)
    assert str(caught.value.where) == (f"{path}, line {line}" if line else str(path))
    assert caught.value.mend


def test_an_empty_file_without_header_has_no_rows(tmp_path):
    path = tmp_path / "table.tsv"
    path.touch()
    with pytest.raises(DataError, match="no rows"):
        read_tsv(path, all_columns, ("label", "sentence"))


def test_a_file_that_cannot_be_read_is_an_error_of_the_user(tmp_path):
    with pytest.raises(DataError, match="can't be read"):
        read_tsv(tmp_path, all_columns)
