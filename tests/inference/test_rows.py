"""Rows from files of every kind, and what is wrong with those that can't be read."""

import json
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ee_lightning.errors import DataError
from ee_lightning.inference.input import InputRows

ONE, TWO = [("sentence",), ("text",)], [("sentence1", "sentence2")]
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


def read(path: Path, content: str | bytes, choices: list = ONE, *, skip: bool = False) -> InputRows:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return InputRows(path, choices, skip_bad_rows=skip)


def texts(rows: InputRows) -> list[tuple[str, ...]]:
    return [row.texts for row in rows]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", 'id,sentence\n1,"a film, a ""plot"""\n2,\n', ['a film, a "plot"', ""]),
        ("a.csv", 'sentence\n"two\nlines"\n\nlast', ["two\nlines", "last"]),
        ("a.csv", "\ufefftext,label\r\na film,1\r\n", ["a film"]),
        ("a.csv", "text,sentence\nother,own\n", ["own"]),
        ("a.csv", "sentence\n", []),
        ("a.tsv", 'index\tsentence\n0\t"quoted\n1\tline\u2028break\n', ['"quoted', "line\u2028break"]),
        ("a.tsv", "sentence\na film\n\nplot", ["a film", "plot"]),
        ("a.jsonl", '{"sentence": "a\\nfilm", "x": [1]}\n\n{"text": "\\u00e9"}', ["a\nfilm", "é"]),
        ("a.jsonl", "", []),
        ("a.txt", "a film\r\n\nplot, scene\n", ["a film", "", "plot, scene"]),
        ("a.txt", "\ufeffé\nhalf a li", ["é", "half a li"]),
        ("a.txt", "", []),
        ("A.CSV", 'id,sentence\n1,"a, film"\n', ["a, film"]),
        ("a.Tsv", "sentence\ta\n1, 2\tb\n", ["1, 2"]),
        ("a.JSONL", '{"text": "a film"}\n', ["a film"]),
        ("a.TXT", "a film\n", ["a film"]),
    ],
)
def test_texts_of_every_kind_of_file(name: str, content: str, expected: list[str], tmp_path: Path) -> None:
    rows = list(read(tmp_path / name, content))
    assert [row.texts for row in rows] == [(text,) for text in expected]
    assert [row.number for row in rows] == list(range(len(expected)))


def test_two_texts(tmp_path: Path) -> None:
    expected = [("a film", "a plot"), ("b", "c")]
    assert texts(read(tmp_path / "a.csv", "sentence2,sentence1\na plot,a film\nc,b\n", TWO)) == expected
    lines = "".join(f"{json.dumps({'sentence1': a, 'sentence2': b})}\n" for a, b in expected)
    assert texts(read(tmp_path / "a.jsonl", lines, TWO)) == expected
    with pytest.raises(DataError, match=r"one text a line[\s\S]*use .csv, .tsv, .jsonl or .parquet"):
        texts(read(tmp_path / "a.txt", "a film", TWO))


@given(cells=st.lists(ANY_TEXT.filter(lambda text: "\r" not in text), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_survives(cells: list[str], tmp_path: Path) -> None:
    lines = "".join(f"{json.dumps({'sentence': cell})}\n" for cell in cells)
    assert texts(read(tmp_path / "a.jsonl", lines)) == [(cell,) for cell in cells]
    quoted = "".join('1,"' + cell.replace('"', '""') + '"\n' for cell in cells)
    assert texts(read(tmp_path / "a.csv", "id,sentence\n" + quoted)) == [(cell,) for cell in cells]


BAD_ROWS = {
    "ragged": ("a.csv", "id,sentence\n1,a\n2\n3,b\n", 3, "1 cells where 2 are expected: id, sentence", ["a", "b"]),
    "too many cells": ("a.tsv", "sentence\na\nb\tc\nd\n", 3, "2 cells where 1 are expected: sentence", ["a", "d"]),
    "quote in the middle": ("a.csv", 'sentence\na\n"b"c\nd\n', 3, "it is no CSV: ',' expected after '\"'", ["a", "d"]),
    "ends in a quoted cell": ("a.csv", 'sentence\na\n"b\nc', 3, "unexpected end of data, read to line 4", ["a"]),
    "ends in a row": (
        "a.csv",
        "id,sentence,label\n1,a,0\n2,b",
        3,
        "2 cells where 3 are expected: id, sentence, label",
        ["a"],
    ),
    "ends in an object": ("a.jsonl", '{"sentence": "a"}\n{"sentence": "b', 2, "it is no JSON: Unterminated", ["a"]),
    "not an object": ("a.jsonl", '{"sentence": "a"}\n["b"]\n{"text": "c"}\n', 2, "it is no JSON object", ["a", "c"]),
    "null": ("a.jsonl", '{"sentence": "a"}\n{"sentence": null}\n', 2, "'sentence' is null, and no text", ["a"]),
    "number": ("a.jsonl", '{"sentence": 7}\n{"sentence": "a"}\n', 1, "'sentence' is 7, and no text", ["a"]),
    "no text": ("a.jsonl", '{"sentence": "a"}\n{"label": 1}\n', 2, "no column 'sentence'", ["a"]),
    "deep": ("a.jsonl", "[" * 100_000 + '\n{"sentence": "a"}', 1, "it is no JSON: maximum recursion", ["a"]),
    "half a character": (
        "a.jsonl",
        '{"sentence": "\\ud83d"}\n{"sentence": "a"}',
        1,
        r"sentence is no Unicode: it holds '\ud83d', half of a surrogate pair",
        ["a"],
    ),
    "latin-1 in json": ("a.jsonl", b'{"sentence": "\xe9"}\n{"sentence": "a"}', 1, "it is not UTF-8", ["a"]),
    "latin-1": ("a.txt", b"a\nfianc\xe9\nb\n", 2, "it is not UTF-8", ["a", "b"]),
    "latin-1 in csv": ("a.csv", b"sentence\na\nfianc\xe9\nb\n", 3, "it is not UTF-8", ["a", "b"]),
    "cut character": ("a.txt", "a\né".encode()[:-1], 2, "it is not UTF-8", ["a"]),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_named_or_left_out(kind: str, tmp_path: Path) -> None:
    name, content, line, reason, others = BAD_ROWS[kind]
    with pytest.raises(DataError) as caught:
        list(read(tmp_path / name, content))
    assert reason in caught.value.what
    assert caught.value.where == f"{tmp_path / name}, line {line}"
    assert "--skip-bad-rows" in caught.value.hint
    rows = read(tmp_path / name, content, skip=True)
    assert texts(rows) == [(text,) for text in others]
    assert rows.num_bad == 1
    assert rows.bad[0].startswith(f"{tmp_path / name}, line {line}: {reason}" if "read to" not in reason else "")


def test_ten_bad_rows_are_listed_and_all_counted(tmp_path: Path) -> None:
    content = "".join('{"sentence": "a"}\n' if number % 3 == 0 else "{\n" for number in range(300))
    rows = read(tmp_path / "a.jsonl", content, skip=True)
    assert [row.number for row in rows] == list(range(0, 300, 3))
    assert rows.num_bad == 200
    assert [place.split(":")[0].rpartition(" ")[2] for place in rows.bad] == [
        str(number + 1) for number in range(16) if number % 3
    ][:10]


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.csv", "", r"the file has no rows[\s\S]*a.csv\n.*it is empty"),
        ("a.csv", "id,words\n1,a\n", r"no column 'sentence'[\s\S]*a.csv[\s\S]*columns id, words; .*--text-columns"),
        ("a.csv", "sentence,sentence\na,b\n", "two columns 'sentence'"),
        ("a.csv", "sentence,note,note\na,b,c\n", r"two columns 'note'[\s\S]*give each another name"),
        ("a.csv", "sentence\na\n".encode("utf-16"), "does not name the columns: it is not UTF-8"),
        ("a.tsv", "a film\n", "no column 'sentence'"),
    ],
)
@pytest.mark.parametrize("skip", [True, False])
def test_a_header_is_needed(skip: bool, name: str, content: str | bytes, match: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=match):
        list(read(tmp_path / name, content, skip=skip))


@pytest.mark.parametrize("name", ["-x", "a.xlsx", "a", "a.csv.gz"])
def test_other_endings_are_answered_by_the_known_ones(name: str) -> None:
    with pytest.raises(DataError, match=r"not known how to read[\s\S]*\.csv, \.tsv, \.jsonl, \.txt, \.parquet"):
        InputRows(Path(name), ONE)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name in ("nowhere.csv", "folder.csv", "nowhere.parquet"):
        with pytest.raises(DataError, match=rf"no such file[\s\S]*{name}"):
            InputRows(tmp_path / name, ONE)


def test_a_file_that_cannot_be_opened_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.csv").touch()
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(DataError, match=r"can't be read: Permission denied[\s\S]*a.csv"):
        InputRows(tmp_path / "a.csv", ONE)


def test_a_file_is_read_as_it_is_needed(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", "id,sentence\n" + "1,a film\n" * 100_000)
    assert rows.done == 0
    assert len(list(islice(rows, 10))) == 10
    assert rows.done == len("id,sentence\n") + 10 * len("1,a film\n")
    assert rows.size == len("id,sentence\n") + 100_000 * len("1,a film\n")


def test_a_cell_that_never_ends_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ee_lightning.data.row_files.LONGEST_CELL", 1_000)
    rows = read(tmp_path / "a.csv", 'sentence\n"a\n' + "b\n" * 2_000, skip=True)
    assert set(islice(texts(rows), 3)) == {("b",)}
    assert "field larger than field limit" in rows.bad[0]


def write_parquet(path: Path, columns: dict[str, pa.Array], *, rows_per_group: int = 2) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)
    return path


KINDS_OF_TEXT = {
    "string": pa.string(),
    "large": pa.large_string(),
    "view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
}


@pytest.mark.parametrize("kind", KINDS_OF_TEXT)
def test_texts_of_parquet(kind: str, tmp_path: Path) -> None:
    texts_in = ["a film", "", "two\nlines", "\u2028é", "a film"]
    columns = {"n": pa.array(range(5)), "text": pa.array(texts_in).cast(KINDS_OF_TEXT[kind])}
    rows = InputRows(write_parquet(tmp_path / "a.Parquet", columns), ONE)
    assert (rows.done, rows.size) == (0, 5)
    assert [(row.number, row.texts) for row in rows] == [(number, (text,)) for number, text in enumerate(texts_in)]
    assert rows.done == 5


def test_two_texts_of_parquet(tmp_path: Path) -> None:
    columns = {"sentence2": pa.array(["plot", "c"]), "x": pa.array([1, 2]), "sentence1": pa.array(["film", "b"])}
    assert texts(InputRows(write_parquet(tmp_path / "a.parquet", columns), TWO)) == [("film", "plot"), ("b", "c")]
    named = write_parquet(tmp_path / "b.parquet", {"film.text": pa.array(["a"])})
    assert texts(InputRows(named, [("film.text",)])) == [("a",)]


def test_a_parquet_file_is_read_as_it_is_needed(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"text": pa.array(["a film"] * 5_000)}, rows_per_group=1_000)
    rows = InputRows(path, ONE)
    assert len(list(islice(rows, 10))) == 10
    assert rows.done == 10


def latin_1() -> pa.Array:
    """Two cells, `a` and a byte that is no UTF-8."""
    ends = pa.array([0, 1, 2], pa.int32()).buffers()[1]
    return pa.Array.from_buffers(pa.string(), 2, [None, ends, pa.py_buffer(b"a\xe9")])


@pytest.mark.parametrize(
    ("column", "reason", "hint"),
    [
        (pa.array(["a", None]), "'text' is null, and no text", "give every row its texts"),
        (pa.array(["a", None]).dictionary_encode(), "'text' is null, and no text", "give every row its texts"),
        (latin_1(), "it is not UTF-8", "write the file again, in UTF-8"),
    ],
)
def test_a_bad_row_of_parquet_is_named_or_left_out(column: pa.Array, reason: str, hint: str, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"text": column})
    with pytest.raises(DataError) as caught:
        list(InputRows(path, ONE))
    assert (caught.value.what, caught.value.where) == (f"a row can't be read: {reason}", f"{path}, row 2")
    assert caught.value.hint == f"{hint}; or leave such rows out: --skip-bad-rows"
    rows = InputRows(path, ONE, skip_bad_rows=True)
    assert texts(rows) == [("a",)]
    assert (rows.num_bad, rows.bad) == (1, [f"{path}, row 2: {reason}"])


@pytest.mark.parametrize("type_", [pa.string(), pa.null()])
def test_a_parquet_file_without_rows(type_: pa.DataType, tmp_path: Path) -> None:
    assert texts(InputRows(write_parquet(tmp_path / "a.parquet", {"text": pa.array([], type_)}), ONE)) == []


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"text": pa.array([1])}, r"column 'text' holds int64, and no texts[\s\S]*--text-columns"),
        ({"text": pa.array([["a"]])}, r"column 'text' holds list<element: string>, and no texts"),
        (
            {"words": pa.array(["a"]), "n": pa.array([1])},
            r"no column 'sentence'[\s\S]*a.parquet[\s\S]*columns words, n;",
        ),
    ],
)
def test_columns_that_hold_no_texts_are_refused(columns: dict[str, pa.Array], match: str, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", columns)
    with pytest.raises(DataError, match=match):
        texts(InputRows(path, ONE))


def test_a_parquet_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="two columns 'text'"):
        texts(InputRows(tmp_path / "a.parquet", ONE))


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"text": pa.array([f"film {n}" for n in range(4_000)])})
    whole = path.read_bytes()
    for content in (b"", b"text\na film\n", whole[:-50]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"it can't be read: [\s\S]*a.parquet"):
            InputRows(path, ONE)
    path.write_bytes(whole[:4] + bytes(2_000) + whole[2_004:])
    with pytest.raises(DataError, match=r"it can't be read: [\s\S]*a.parquet"):
        list(InputRows(path, ONE))
