"""The files that the GLUE server takes."""

from zipfile import ZipFile

import pytest

from ee_lightning.cli.submit import SERVER_FILES, write_zip
from ee_lightning.data.tasks import TASKS
from ee_lightning.errors import DataError

BY_NAME = {file.name: file for file in SERVER_FILES}


def test_the_official_names_and_numbers_of_rows():
    assert {file.name: file.rows for file in SERVER_FILES} == {
        "CoLA.tsv": 1063, "SST-2.tsv": 1821, "MRPC.tsv": 1725, "STS-B.tsv": 1379, "QQP.tsv": 390965,
        "MNLI-m.tsv": 9796, "MNLI-mm.tsv": 9847, "QNLI.tsv": 5463, "RTE.tsv": 3000, "WNLI.tsv": 146, "AX.tsv": 1104,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CoLA.tsv", ["0", "1"]),
        ("SST-2.tsv", ["0", "1"]),
        ("MRPC.tsv", ["0", "1"]),
        ("WNLI.tsv", ["0", "1"]),
        ("RTE.tsv", ["entailment", "not_entailment"]),
    ],
)
def test_labels_as_the_server_takes_them(name, expected):
    names = TASKS[BY_NAME[name].task].label_names
    assert [BY_NAME[name].word(label, names) for label in names] == expected


def test_every_task_of_the_house_that_glue_has_gives_words_that_the_server_knows():
    for file in SERVER_FILES:
        if file.words and file.task in TASKS:
            names = TASKS[file.task].label_names
            assert {file.word(label, names) for label in names} == set(file.words)


def test_scores_are_kept_within_their_range():
    assert [BY_NAME["STS-B.tsv"].word(value, ()) for value in (-0.2, 2.34567, 5.1)] == ["0.000", "2.346", "5.000"]


def test_what_is_no_number_is_refused():
    with pytest.raises(DataError, match="not a number"):
        BY_NAME["STS-B.tsv"].word(float("nan"), ())


def test_other_words_are_refused():
    with pytest.raises(DataError, match="does not know the label 'neutral'"):
        BY_NAME["RTE.tsv"].word("neutral", ("entailment", "neutral"))


def test_a_file_is_written_with_its_official_number_of_rows_or_not_at_all(tmp_path):
    file = BY_NAME["WNLI.tsv"]
    with pytest.raises(DataError, match=r"WNLI.tsv needs 146 rows, and the test split of wnli has 145"):
        file.write(tmp_path, ["0"] * 145, where="here")
    assert list(tmp_path.iterdir()) == []
    written = file.write(tmp_path, ["0", "1"] * 73, where="here")
    assert written.read_text().startswith("index\tprediction\n0\t0\n1\t1\n")
    zips = [write_zip(tmp_path, [written]).read_bytes() for _ in range(2)]
    assert zips[0] == zips[1]
    with ZipFile(tmp_path / "submission.zip") as archive:
        assert archive.namelist() == ["WNLI.tsv"]
        assert archive.read("WNLI.tsv") == written.read_bytes()
