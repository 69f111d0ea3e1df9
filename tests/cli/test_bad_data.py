"""What can be wrong with data, tokenizers and weights that users bring ends in one message with its place."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from refusal import check_refused
from transformers import AutoTokenizer

Run = Callable[..., int]
TSV, ROW = "sentence\tlabel\n", "a {} film\t{}\n"
GOOD = TSV + "".join(ROW.format(word, place % 2) for place, word in enumerate(["dull", "warm"] * 4))
INFERENCE = "index\tsentence1\tsentence2\tlabel\n0\ta film\ta plot\tentailment\n1\ta film\ta plot\tnot_entailment\n"


ROWS = {
    "no validation split": ("sst2", {"train.tsv": GOOD}, r"no validation file[\s\S]*dev.tsv[\s\S]*hint:"),
    "no training split": ("sst2", {"dev.tsv": GOOD}, r"no train file[\s\S]*train.tsv[\s\S]*hint:"),
    "another encoding": (
        "sst2",
        {"train.tsv": GOOD.encode() + "un café\t1\n".encode("latin-1")},
        r"not UTF-8[\s\S]*train.tsv, line 10[\s\S]*convert it to UTF-8",
    ),
    "two bytes a character": (
        "sst2",
        {"train.tsv": GOOD.encode("utf-16")},
        r"first line does not name the columns: it is not UTF-8[\s\S]*train.tsv, line 1[\s\S]*hint:",
    ),
    "a row with too few cells": (
        "sst2",
        {"train.tsv": GOOD + "a film\n"},
        r"1 cells where 2 are expected: sentence, label[\s\S]*train.tsv, line 10[\s\S]*hint:",
    ),
    "a row with too many cells": (
        "sst2",
        {"train.tsv": GOOD + "a\tfilm\t1\n"},
        r"3 cells where 2 are expected[\s\S]*train.tsv, line 10[\s\S]*hint:",
    ),
    "an unknown label": (
        "sst2",
        {"train.tsv": GOOD + "a film\tgreat\n"},
        r"label 'great' is unknown[\s\S]*train.tsv, line 10[\s\S]*labels of sst2: negative \(0\), positive \(1\)",
    ),
    "all one class": (
        "sst2",
        {"train.tsv": TSV + 8 * ROW.format("dull", 1), "dev.tsv": GOOD},
        r"all 8 training rows of sst2 have the label 'positive'[\s\S]*hint:",
    ),
    "a column of numbers": (
        "sst2",
        {"train.tsv": TSV + "3.5\t1\n-2\t0\n"},
        r"column 'sentence' holds numbers, and no texts[\s\S]*train.tsv[\s\S]*hint:",
    ),
    "an empty file": ("sst2", {"train.tsv": ""}, r"no rows[\s\S]*train.tsv[\s\S]*it is empty"),
    "a header alone": ("sst2", {"train.tsv": TSV}, r"no rows[\s\S]*train.tsv[\s\S]*hint:"),
    "an empty validation file": (
        "sst2",
        {"train.tsv": GOOD, "dev.tsv": ""},
        r"no rows[\s\S]*dev.tsv[\s\S]*it is empty",
    ),
    "another task's columns": (
        "rte",
        {"train.tsv": GOOD},
        r"no column 'sentence1'[\s\S]*train.tsv[\s\S]*has the columns sentence, label; task rte reads sentence1",
    ),
    "another task's labels": (
        "rte",
        {"train.tsv": INFERENCE + "2\ta film\ta plot\tcontradiction\n"},
        r"label 'contradiction' is unknown[\s\S]*line 4[\s\S]*'contradiction' is one of mnli",
    ),
    "two tasks' labels": (
        "rte",
        {"train.tsv": INFERENCE + "2\ta film\ta plot\t1\n"},
        r"words in some rows and numbers in others, as if two tasks were mixed up[\s\S]*line 4[\s\S]*hint:",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_that_can_not_be_trained_on(
    case: str, run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    task, files, expected = ROWS[case]
    folder = Path(task)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    check_refused(run("fit", **{**small, "data.task": task, "data.root": folder}), expected, capfd)


OWN = {
    "all one class": (["warm film"] * 6, ["good"] * 6, r"all training rows have the label 'good'[\s\S]*hint:"),
    "numbers": (list(range(6)), ["good", "bad"] * 3, r"column 'text' holds int64, and no texts[\s\S]*--data.own"),
    "numbers in quotes": (["1.5", "2"] * 3, ["good", "bad"] * 3, r"column 'text' holds numbers[\s\S]*--data.own"),
    "a missing text": (["a", None] * 3, ["good", "bad"] * 3, r"the row has no 'text'[\s\S]*parquet, row 2[\s\S]*hint"),
    "labels of two fields": (["a", "b"] * 3, [{"x": 1}] * 6, r"type struct<x: int64>, and neither words nor numbers"),
    "no rows": ([], [], r"no rows[\s\S]*mine.parquet[\s\S]*hint:"),
}


@pytest.mark.parametrize("case", OWN)
def test_data_of_ones_own(case: str, run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]) -> None:
    texts, labels, expected = OWN[case]
    pd.DataFrame({"text": texts, "label": labels}).to_parquet("mine.parquet")
    options = {**small, "data.task": "mine", "data.root": "mine.parquet", "data.own.text_columns": "[text]"}
    check_refused(run("fit", **options), expected, capfd)


def with_more_tokens(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"qwxyz{number}" for number in range(100)])
    tokenizer.save_pretrained(folder)


OPTIONS = {
    "numbers for names": ("label_names: [0, 1]", r'data.own.label_names holds 0, where a str[\s\S]*\["0", "1"\]'),
    "truth values for names": ("label_names: [no, yes]", r'data.own.label_names holds False[\s\S]*\["no", "yes"\]'),
    "a truth value for a list": ("label_names: no", r"data.own.label_names holds False, where a list[\s\S]*hint:"),
    "a text for a list": ("text_columns: text", r"data.own.text_columns holds text, where a list[\s\S]*\[first\]"),
    "a text for a mapping": ("files: mine.csv", r"data.own.files holds mine.csv, where a dict[\s\S]*train: FILE"),
    "a word for a number": ("validation_share: some", r"data.own.validation_share holds some, where a float"),
    "an option that is misspelt": ("label_colum: mark", r"no option 'label_colum'[\s\S]*did you mean label_column\?"),
    "no columns with text": ("text_columns: null", r"data.own lacks text_columns[\s\S]*--data.own.text_columns"),
    "shares of all rows": ("test_share: 0.9", r"validation_share and test_share hold 1 of the rows out[\s\S]*together"),
    "an option that is unknown": ("weight: mark", r"no option 'weight'[\s\S]*hint:  it has text_columns, label_column"),
}


@pytest.mark.parametrize("case", OPTIONS)
@pytest.mark.parametrize("is_in_file", [True, False])
def test_an_option_of_ones_own_of_another_kind(
    case: str, is_in_file: bool, run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    line, expected = OPTIONS[case]
    own = {"text_columns": "[text]", **dict([line.split(": ", maxsplit=1)])}
    options = {**small, "data.task": "mine", "data.root": "mine.csv"}
    Path("mine.yaml").write_text("".join(["data:\n  own:\n", *(f"    {name}: {own[name]}\n" for name in own)]))
    given = [Path("mine.yaml")] if is_in_file else []
    options |= {} if is_in_file else {f"data.own.{name}": value for name, value in own.items()}
    assert run("fit", *given, **options) == 1
    printed = capfd.readouterr().err
    assert len(printed.splitlines()) == 3  # what, where and hint
    assert re.search(expected, printed), printed


def edited(folder: Path, name: str, **settings: object) -> None:
    content = json.loads((folder / name).read_text())
    kept = {name: value for name, value in {**content, **settings}.items() if value is not None}
    (folder / name).write_text(json.dumps(kept))


FOLDERS = {
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        {},
        r"the weights can't be loaded[\s\S]*mine[\s\S]*hint:.*model.safetensors",
    ),
    "cut weights": (
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:999]),
        {},
        r"can't be loaded[\s\S]*mine[\s\S]*hint:",
    ),
    "no padding token": (
        lambda folder: edited(folder, "tokenizer_config.json", pad_token=None, tokenizer_class="TokenizersBackend"),
        {},
        r"no padding token[\s\S]*mine[\s\S]*set pad_token in its tokenizer_config.json",
    ),
    "more tokens than positions": (
        lambda folder: edited(folder, "tokenizer_config.json", model_max_length=100_000),
        {"data.max_length": 65},
        r"max_length is 65[\s\S]*64 [\s\S]*--data.max_length[\s\S]*hint:",
    ),
    "more tokens than embeddings": (
        with_more_tokens,
        {},
        r"tokenizer has 133 tokens, and the backbone embeddings for 33\n[\s\S]*resize_token_embeddings",
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_that_is_no_whole_model(
    case: str, run: Run, small: dict[str, object], tiny_backbone: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spoil, options, expected = FOLDERS[case]
    shutil.copytree(tiny_backbone, "mine")
    spoil(Path("mine"))
    check_refused(run("fit", **{**small, "model.backbone": "mine", **options}), expected, capfd)
