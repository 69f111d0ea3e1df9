import math

import pytest

from ee_lightning.data.arrow_files import arrow_column
from ee_lightning.data.sources import LocalSource
from ee_lightning.data.tasks import TASKS, get_task
from ee_lightning.data.tokenised import column
from ee_lightning.errors import DataError

GLUE_TASKS = [name for name, task in TASKS.items() if task.glue]
COLA = "ab1\t1\t\tThe cat sat.\n"
STSB = "index\tsentence1\tsentence2\tscore\n0\tA cat.\tA dog.\t3.800\n"
RTE = "index\tsentence1\tsentence2\tlabel\n0\tA cat.\tA dog.\tentailment\n"


NUMBERS = {"qqp": [0, 3], "snli": [0, 2]}


@pytest.mark.parametrize(
    ("name", "split", "rows"),
    [
        ("cola", "train", [("The cat sat on the mat.", 1), ('Cat the "sat mat.', 0), ("A dog ran.", 1)]),
        ("cola", "validation", [("Slept dog the.", 0), ("The dog slept.", 1)]),
        ("cola", "test", [("The tree slept.", -1), ("A mat ran.", -1)]),
        ("sst2", "train", [("a lovely cat ", 1), ("a dull dog ", 0), ("a fine tree ", 1)]),
        ("sst2", "test", [("what a dog", -1)]),
        ("mrpc", "train", [('"The cat sat .', 'On the mat sat " the cat .', 1), ("A dog ran .", "A tree fell .", 0)]),
        ("rte", "train", [("The cat sat on the mat.", "The cat sat.", 0), ("The dog ran.", "The dog slept.", 1)]),
        ("rte", "test", [("A cat ran.", "A cat.", -1), ("A dog sat.", "A mat.", -1)]),
        ("wnli", "train", [("The cat sat on it.", "The cat sat on the mat.", 1)]),
        ("qnli", "train", [("Who sat?", "The cat sat.", 0), ("Who ran?", "The cat sat.", 1)]),
        ("qnli", "test", [("Who ran?", "A dog ran.", -1)]),
        ("qqp", "train", [("Who sat?", "Who sat on it?", 1), ("A cat?", "A dog?", 0)]),
        ("qqp", "test", [("Who ran?", "Who sat?", -1)]),
        ("mnli", "train", [("A cat sat.", "An animal.", 1), ("A dog ran.", "An animal.", 2)]),
        ("mnli", "validation", [("A matched cat.", "An animal.", 0)]),
        ("mnli", "test", [("A matched cat.", "An animal.", -1)]),
        ("mnli_mismatched", "train", [("A cat sat.", "An animal.", 1), ("A dog ran.", "An animal.", 2)]),
        ("mnli_mismatched", "validation", [("A mismatched cat.", "An animal.", 0)]),
        ("mnli_mismatched", "test", [("A mismatched cat.", "An animal.", -1)]),
        ("ax", "test", [("The cat sat.", "The cat did not sit.", -1)]),
        ("snli", "train", [("A cat sat.", "It sat.", 0), ("A dog ran.", "It sat.", 2)]),
        ("snli", "validation", [("A tree.", "A dog.", 1)]),
        ("stsb", "train", [("The cat sat.", "A cat sat.", 5.0), ("The dog ran.", "A tree slept.", 0.25)]),
    ],
)
def test_the_official_files_are_read_in_their_order(glue, name, split, rows):
    data = LocalSource(glue, get_task(name)).load(split)
    texts = ["text_a", "text_b"][: len(rows[0]) - 1]
    if name in {"qqp", "snli"} and split == "train":  # whose second row is left out
        assert data["number"][:] == NUMBERS[name]
        data = data.remove_columns("number")
    assert data.column_names == [*texts, "label"]
    assert [tuple(row.values()) for row in data] == rows
    assert {type(label) for label in data["label"]} == {type(rows[0][-1])}


@pytest.mark.parametrize("name", GLUE_TASKS)
def test_the_folder_of_the_task_does_as_well(glue, name):
    task = get_task(name)
    split = "test" if task.trained_on else "train"
    whole, own = (LocalSource(root, task).load(split) for root in (glue, glue / task.glue.folder))
    assert whole.to_dict() == own.to_dict()


def test_it_knows_which_splits_are_there(official_glue):
    without = {name for name in GLUE_TASKS if not LocalSource(official_glue, get_task(name)).has("test")}
    assert without == {"mrpc", "wnli", "snli"}
    assert not any(LocalSource(official_glue, get_task("ax")).has(split) for split in ("train", "validation"))


def test_a_score_that_is_missing_is_no_number(official_glue):
    test = LocalSource(official_glue, get_task("stsb")).load("test")
    assert test["text_b"][:] == ["A mat."]
    assert math.isnan(test["label"][0])


def test_ragged_rows_of_qqp_are_left_out_and_told(official_glue, caplog):
    LocalSource(official_glue, get_task("qqp")).load("train")
    assert "2 rows have too few or too many cells and are left out: lines 3, 4" in caplog.text


def test_rows_that_annotators_did_not_agree_on_are_left_out_and_told(official_glue, caplog):
    with caplog.at_level("INFO"):
        LocalSource(official_glue, get_task("snli")).load("train")
    assert "snli, train: 1 rows without an agreed label are left out" in caplog.text


def test_a_test_file_with_labels_keeps_them(official_glue):
    (official_glue / "RTE" / "test.tsv").write_text(RTE)
    assert LocalSource(official_glue, get_task("rte")).load("test")["label"][:] == [0]


@pytest.mark.parametrize(
    ("name", "file", "content", "problem", "line"),
    [
        ("rte", "RTE/train.tsv", RTE + "1\tA cat.\tA dog.\tmaybe\n", "label 'maybe' is unknown", 3),
        ("rte", "RTE/train.tsv", RTE + "1\tA cat.\tA dog.\t2\n", "label '2' is out of range", 3),
        ("rte", "RTE/train.tsv", RTE + "1\tA cat.\tA dog.\t-1\n", "label '-1' is out of range", 3),
        ("rte", "RTE/train.tsv", RTE + "1\tA cat.\tA dog.\t\n", "the row has no label", 3),
        ("rte", "RTE/train.tsv", RTE.replace("\tlabel\n", "\tverdict\n"), "no column 'label'", None),
        ("rte", "RTE/train.tsv", RTE.replace("sentence2", "hypothesis"), "no column 'sentence2'", None),
        ("rte", "RTE/train.tsv", RTE + "1\tA cat.\tA dog. entailment\n", "3 cells where 4", 3),
        ("cola", "CoLA/train.tsv", COLA + "ab1\t7\t\tThe dog sat.\n", "label '7' is out of range", 2),
        ("cola", "CoLA/train.tsv", "index\tsentence\n" + COLA, "2 cells where 4", 1),
        ("cola", "CoLA/train.tsv", "", "no rows", None),
        ("sst2", "SST-2/train.tsv", "sentence\tlabel\n", "no rows", None),
        ("stsb", "STS-B/train.tsv", STSB + "1\tA cat.\tA dog.\t5.001\n", "label '5.001' is out of range", 3),
        ("stsb", "STS-B/train.tsv", STSB + "1\tA cat.\tA dog.\t-1\n", "label '-1' is out of range", 3),
        ("stsb", "STS-B/train.tsv", STSB + "1\tA cat.\tA dog.\tnan\n", "label 'nan' is unknown", 3),
        ("stsb", "STS-B/train.tsv", STSB + "1\tA cat.\tA dog.\thigh\n", "label 'high' is unknown", 3),
        ("stsb", "STS-B/train.tsv", STSB + "1\tA cat.\tA dog.\t\n", "the row has no label", 3),
        ("stsb", "STS-B/train.tsv", STSB.replace("\tscore\n", "\tverdict\n"), "no column 'score'", None),
    ],
)
def test_a_wrong_row_is_one_error_with_its_file_and_line(official_glue, name, file, content, problem, line):
    path = official_glue / file
    path.write_text(content)
    with pytest.raises(DataError, match=problem) as caught:
        LocalSource(official_glue, get_task(name)).load("train")
    assert str(caught.value.where) == (f"{path}, line {line}" if line else str(path))
    assert caught.value.hint


@pytest.mark.parametrize(
    "header", ["sentence\tlabel", "label\tsentence", "source\tlabel\tmark\tsentence", "id\tlabel\tx\ttext"]
)
def test_a_header_that_colas_own_files_lack_is_no_row(official_glue, header):
    columns = header.split("\t")
    cells = {"label": "1", "sentence": "A dog ran.", "text": "A dog ran."}
    row = "\t".join(cells.get(name, "x") for name in columns)
    (official_glue / "CoLA" / "dev.tsv").write_text(f"{header}\n{row}\n")
    rows = LocalSource(official_glue, get_task("cola")).load("validation")
    assert rows.to_list() == [{"text_a": "A dog ran.", "label": 1}]


def test_who_gives_cola_other_columns_is_told_of_its_own_files(official_glue):
    (official_glue / "CoLA" / "dev.tsv").write_text("A dog ran.\t1\n")
    with pytest.raises(DataError, match="2 cells where 4") as caught:
        LocalSource(official_glue, get_task("cola")).load("validation")
    assert "no header and these 4 columns" in caught.value.hint
    assert ".csv that begins with a line of column names" in caught.value.hint


def test_labels_are_told_to_who_gave_a_wrong_one(official_glue):
    told = {}
    for name, folder, rows in (("stsb", "STS-B", STSB), ("rte", "RTE", RTE)):
        (official_glue / folder / "dev.tsv").write_text(rows + "1\tA cat.\tA dog.\tno\n")
        with pytest.raises(DataError) as caught:
            LocalSource(official_glue, get_task(name)).load("validation")
        told[name] = caught.value.hint
    assert told["stsb"] == "labels of stsb: numbers from 0 to 5"
    assert told["rte"] == "labels of rte: entailment (0), not_entailment (1)"


def test_another_encoding_is_an_error_with_its_line(official_glue):
    path = official_glue / "CoLA" / "train.tsv"
    path.write_bytes((COLA * 4 + "ab1\t1\t\tThe café slept.\n").encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8") as caught:
        LocalSource(official_glue, get_task("cola")).load("train")
    assert caught.value.where == f"{path}, line 5"


def test_a_missing_file_is_named(official_glue):
    with pytest.raises(DataError, match=r"no test file of task mrpc; the folder holds dev\.tsv, train\.tsv") as caught:
        LocalSource(official_glue, get_task("mrpc")).load("test")
    assert caught.value.where == official_glue / "MRPC" / "test.tsv"


@pytest.mark.parametrize(
    ("name", "split", "rows", "labels"),
    [
        ("cola", "train", 8_551, {0, 1}),
        ("cola", "validation", 1_043, {0, 1}),
        ("cola", "test", 1_063, {-1}),
        ("sst2", "train", 67_349, {0, 1}),
        ("sst2", "validation", 872, {0, 1}),
        ("mrpc", "train", 3_668, {0, 1}),
        ("mrpc", "validation", 408, {0, 1}),
        ("rte", "train", 2_490, {0, 1}),
        ("rte", "validation", 277, {0, 1}),
        ("rte", "test", 3_000, {-1}),
        ("wnli", "train", 635, {0, 1}),
        ("wnli", "validation", 71, {0, 1}),
    ],
)
def test_the_real_files_have_their_published_number_of_rows(real_glue, name, split, rows, labels):
    data = LocalSource(real_glue, get_task(name)).load(split)
    assert len(data) == rows
    assert set(column(data, "label").tolist()) == labels
    for name_of_text in data.column_names[:-1]:
        assert all(text.strip() for text in arrow_column(data, name_of_text).to_pylist())


def test_the_real_test_scores_are_missing(real_glue):
    test = LocalSource(real_glue, get_task("stsb")).load("test")
    assert len(test) == 1_379
    assert all(map(math.isnan, test["label"]))


@pytest.mark.parametrize(("split", "rows", "mean"), [("train", 5_749, 2.7010), ("validation", 1_500, 2.3639)])
def test_the_real_scores_are_read_to_the_last_row(real_glue, split, rows, mean):
    scores = LocalSource(real_glue, get_task("stsb")).load(split)["label"][:]
    assert len(scores) == rows
    assert (min(scores), max(scores)) == (0.0, 5.0)
    assert sum(scores) / rows == pytest.approx(mean, abs=1e-4)
