import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_lightning.data.read import read_text_file
from ee_lightning.data.row_files import Chooser, TableFile, open_row_file
from ee_lightning.errors import DataError

CELLS = st.text(st.characters(exclude_characters="\t\n\r", codec="utf-8"), max_size=12)
TABLES = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=6)
)


def read(path, *names, headerless=()):
    choose = Chooser([names])
    return read_text_file(TableFile(path, headerless) if headerless else open_row_file(path), choose)


@given(rows=TABLES, newline=st.sampled_from(["\n", "\r\n"]), last=st.booleans(), mark=st.booleans())
def test_every_cell_comes_back_as_it_was_written(rows, newline, last, mark, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "table.tsv"
    names = [f"column {place}" for place in range(len(rows[0]))]
    text = newline.join("\t".join(row) for row in [names, *rows]) + newline * last
    path.write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))
    read_rows = [fields for _, fields in open_row_file(path).rows(Chooser([tuple(names[::-1])]))]
    assert [list(fields[::-1]) for fields in read_rows] == rows


def test_quotes_and_line_separators_of_unicode_are_text(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text('label\tsentence\n1\t"open quote\n0\tone\u2028line\x85still\n', encoding="utf-8")
    assert read(path, "sentence").rows["sentence"][:] == ['"open quote', "one\u2028line\x85still"]


def test_names_given_make_the_first_line_a_row(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("1\ta\n0\tb\n")
    file = read(path, "label", "sentence", headerless=("label", "sentence"))
    assert file.rows.to_dict() == {"label": ["1", "0"], "sentence": ["a", "b"]}
    assert file.where(1) == f"{path}, line 2"


@pytest.mark.parametrize(
    ("content", "problem", "line"),
    [
        (b"label\tsentence\n1\ta\n0\n", "1 cells where 2 are expected: label, sentence", 3),
        (b"label\tsentence\n1\ta\tb\n", "3 cells where 2", 2),
        (b"label\tsentence\n1\ta\n\n0\n", "1 cells where 2", 4),
        (b"label\tsentence\tsentence\n1\ta\tb\n", "two columns 'sentence'", None),
        (b"label\tna\xefve\n1\ta\n", "does not name the columns: it is not UTF-8", 1),
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
        read(path, "label", "sentence")
    assert str(caught.value.where) == (f"{path}, line {line}" if line else str(path))
    assert caught.value.hint


def test_an_empty_file_without_header_has_no_rows(tmp_path):
    path = tmp_path / "table.tsv"
    path.touch()
    with pytest.raises(DataError, match="no rows"):
        read(path, "label", "sentence", headerless=("label", "sentence"))


def test_a_file_that_cannot_be_read_is_an_error_of_the_user(tmp_path):
    with pytest.raises(DataError, match="can't be read"):
        TableFile(tmp_path)


def test_blank_lines_are_no_rows(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("label\tsentence\n1\ta\n\n0\tb\n\n")
    file = read(path, "label", "sentence")
    assert file.rows["sentence"][:] == ["a", "b"]
    assert file.where(1) == f"{path}, line 4"


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00"])
def test_half_a_character_is_an_error_with_its_line(tmp_path, half):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"sentence": "a"}\n{"sentence": "b' + half + '"}\n')
    with pytest.raises(DataError, match=r"sentence is no Unicode: it holds .*half of a surrogate pair") as caught:
        read(path, "sentence")
    assert caught.value.where == f"{path}, line 2"


def test_a_long_text_is_read_whole(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("sentence\n" + "a" * 1_000_000 + "\n")
    assert len(read(path, "sentence").rows[0]["sentence"]) == 1_000_000


def test_capitals_in_an_ending_do_not_matter(tmp_path):
    path = tmp_path / "TABLE.CSV"
    path.write_text('sentence,label\n"a, b",1\n')
    assert read(path, "sentence").rows["sentence"][:] == ["a, b"]
