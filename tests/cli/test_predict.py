"""predict and save: files in, predictions out."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from forked import Command

from ee_lightning.cli import main
from ee_lightning.exits import replay
from ee_lightning.inference import EarlyExitPredictor, TextPrediction
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.operating_point import OPERATING_POINT, OperatingPoint

Trained = Callable[..., Path]
TEXTS = ["a lovely film", "the dull, boring plot", "", "film " * 40]
RULE = ["--criterion", "voting(k=0.5)", "--threshold", "1.4"]


@pytest.fixture
def run(trained: Trained) -> Path:
    """Return a copy of a run with an operating point."""
    folder = shutil.copytree(trained("sst2"), Path("runs/sst2/version_0"))
    assert main(["choose", str(folder), "--criterion", "voting(k=0.5)", "--min-speedup", "1.2"]) == 0
    point = OperatingPoint.read(folder)
    replace(point, threshold=1.4).write(folder / OPERATING_POINT)  # which two exits that agree reach
    return folder


@pytest.fixture
def expected(run: Path) -> list[TextPrediction]:
    return EarlyExitPredictor.from_run(run, keep_trail=True)(TEXTS)


def read_csv(file: str | Path) -> list[dict[str, str]]:
    with Path(file).open(newline="", encoding="utf-8") as rows:
        return list(csv.DictReader(rows))


def as_written(expected: list[TextPrediction]) -> list[dict[str, str]]:
    names = ("label", "probability", "score", "exit_layer")
    return [{"id": str(n), **{name: str(getattr(p, name)) for name in names}} for n, p in enumerate(expected)]


def predicted(file: str | Path) -> list[dict[str, str]]:
    """Read the columns of a file of predictions that `as_written` has."""
    names = ("id", "label", "probability", "score", "exit_layer")
    return [{name: row[name] for name in names} for row in read_csv(file)]


def check_refused(status: int, match: str, capfd: pytest.CaptureFixture[str]) -> None:
    printed = capfd.readouterr()
    assert status == 1
    assert printed.err.count("error: ") == 1
    assert re.search(match, printed.err), printed.err
    assert "Traceback" not in printed.err


def test_the_test_split_goes_into_the_run_folder(
    run: Path, glue_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert main(["predict", str(run)]) == 0
    printed = capfd.readouterr()
    predictor = EarlyExitPredictor.from_run(run)
    with (glue_folder / "SST-2" / "test.tsv").open() as file:
        sentences = [row["sentence"] for row in csv.DictReader(file, delimiter="\t")]
    predictions = predictor(sentences)
    assert predicted(run / "predictions.csv") == as_written(predictions)
    mean_exit = sum(each.exit_layer for each in predictions) / 10
    first, second, files, last = printed.out.splitlines()
    assert re.fullmatch(rf"10 texts, \d+ a second, by {re.escape(str(predictor.deployment.rule))}", first)
    assert second == f"mean exit {mean_exit:.2f} of 3: {3 / mean_exit:.2f}x faster by layers"
    assert files == "ids: row numbers, from 0, in SST-2/test.tsv"
    assert last == f"saved: {run / 'predictions.csv'}"
    assert printed.err == ""


def test_files_in_and_out(run: Path, expected: list[TextPrediction], capfd: pytest.CaptureFixture[str]) -> None:
    Path("in.txt").write_text("\n".join(TEXTS) + "\n")
    Path("in.jsonl").write_text("".join(f"{json.dumps({'text': text})}\n" for text in TEXTS))
    with Path("in.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["n", "review"], *enumerate(TEXTS)])
    pq.write_table(pa.table({"n": range(len(TEXTS)), "review": TEXTS}), "in.parquet")
    assert main(["save", str(run), "model"]) == 0
    capfd.readouterr()
    named = ["--text-columns", "review"]
    for model in (str(run), "model"):
        for name, options in (("in.txt", []), ("in.jsonl", []), ("in.csv", named), ("in.parquet", named)):
            assert main(["predict", model, "--input", name, "--output", "new/out.csv", *options]) == 0
            assert predicted("new/out.csv") == as_written(expected)
            assert "1 text was cut to 32 tokens" in capfd.readouterr().out.splitlines()
    assert main(["predict", "model", "--input", "in.txt", "--output", "out.jsonl", "--trail"]) == 0
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    said = [{"sentence": text, **each._asdict(), "empty": not text} for text, each in zip(TEXTS, expected, strict=True)]
    assert rows == [{"id": number, **row} for number, row in enumerate(said)]


def test_thresholds_of_each_exit_from_choose_to_a_saved_model(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(run)
    folder.write_exits("calibration", folder.read_exits("validation"))
    chosen = ["choose", str(run), "--criterion", "confidence", "--per-exit", "--min-speedup", "1.2"]
    assert main(chosen) == 0
    point = OperatingPoint.read(run)
    assert isinstance(point.threshold, tuple)
    assert main(["save", str(run), "model"]) == 0
    Path("in.txt").write_text("\n".join(TEXTS) + "\n")
    predictor = EarlyExitPredictor.from_run(run)
    found = replay(point.criterion.build(), predictor.exits_of(TEXTS)).at(point.threshold)
    for model in (str(run), "model"):
        assert main(["predict", model, "--input", "in.txt", "--output", "out.csv"]) == 0
        rows = read_csv("out.csv")
        names = predictor.deployment.label_names
        assert [int(row["exit_layer"]) for row in rows] == found[0].tolist()
        assert [row["label"] for row in rows] == [names[label] for label in found[1].tolist()]
    assert f"by {predictor.deployment.rule}" in capfd.readouterr().out
    assert main(["explain", str(run), "--text", TEXTS[0]]) == 0


def test_save_says_what_it_saved(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert main(["save", str(run), "model", "--criterion", "patience", "--threshold", "1"]) == 0
    assert capfd.readouterr().out == "early exit by patience at threshold 1\nsaved: model\n"
    assert EarlyExitPredictor.from_pretrained("model").deployment.rule.threshold == 1


@pytest.mark.parametrize(
    ("threshold", "where"), [("0.1", "all {} leave at the first"), ("2", "none of {} leaves before")]
)
def test_a_threshold_that_all_reach_or_nobody_is_warned_of(
    threshold: str, where: str, run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rule = ["--criterion", "confidence", "--threshold", threshold]
    Path("in.txt").write_text("a lovely film\nthe dull, boring plot\n" * 6)
    capfd.readouterr()
    assert main(["predict", str(run), "--input", "in.txt", "--output", "out.csv", *rule]) == 0
    assert f"warning: {where.format('12 texts')}" in capfd.readouterr().out
    assert main(["save", str(run), "model", *rule]) == 0
    assert re.search(rf"warning: {where.format(r'[0-9]+ samples of the split validation')}", capfd.readouterr().out)
    for meant in ([], ["--criterion", "confidence", "--threshold", "inf"]):
        assert main(["save", str(run), "model", *meant]) == 0
        assert "warning" not in capfd.readouterr().out


def test_pairs_and_values(trained: Trained) -> None:
    Path("in.tsv").write_text("sentence2\tsentence1\na film\ta lovely film\n")
    Path("in.csv").write_text("one,other\na lovely film,a film\n")
    for task, rule in (("rte", RULE), ("stsb", ["--criterion", "patience(tolerance=0.5)", "--threshold", "1"])):
        model = str(trained(task))
        predictor = EarlyExitPredictor.from_run(model, criterion=rule[1], threshold=float(rule[3]))
        (expected,) = predictor(["a lovely film"], ["a film"])
        for name, options in (("in.tsv", []), ("in.csv", ["--text-columns", "one, other"])):
            assert main(["predict", model, "--input", name, "--output", "out.csv", *rule, *options]) == 0
            (row,) = read_csv("out.csv")
            assert ("probability" in row) == (task == "rte")
            assert row["label"] == str(expected.label)
            assert int(row["exit_layer"]) == expected.exit_layer


def test_options_reach_the_engine(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in.txt").write_text("\n".join(TEXTS))
    options = ["--schedule=depth_first", "--batch-size=3", "--precision=bf16", "--device=cpu", "--threshold=inf"]
    options.append("--threads=2")
    made, threads = [], list[int]()
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    load = EarlyExitPredictor.from_run
    monkeypatch.setattr(
        EarlyExitPredictor, "from_run", lambda *args, **kwargs: made.append(load(*args, **kwargs)) or made[-1]
    )
    assert main(["predict", str(run), "--input=in.txt", "--output=out.csv", *options]) == 0
    (engine,) = [predictor.engine for predictor in made]
    assert (engine.schedule, engine.batch_size, engine.precision) == ("depth_first", 3, "bf16")
    assert threads == [2]
    assert {row["exit_layer"] for row in read_csv("out.csv")} == {"3"}


def test_bad_rows_are_left_out_counted_and_listed(
    run: Path, expected: list[TextPrediction], capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [json.dumps({"text": text}) for text in TEXTS]
    Path("in.jsonl").write_text("\n".join([lines[0], *["{"] * 12, *lines[1:], '{"text": "half']))
    options = ["predict", str(run), "--input", "in.jsonl", "--output", "out.csv"]
    check_refused(main(options), r"stopped: 1 row written[\s\S]*it is no JSON[\s\S]*in.jsonl, line 2\n", capfd)
    assert predicted("out.csv") == as_written(expected[:1])
    assert main([*options, "--skip-bad-rows"]) == 0
    assert [row["id"] for row in read_csv("out.csv")] == ["0", "13", "14", "15"]
    assert [row["label"] for row in read_csv("out.csv")] == [each.label for each in expected]
    printed = capfd.readouterr().out
    assert "13 bad rows left out:\n  in.jsonl, line 2: it is no JSON: " in printed
    assert len(re.findall(r"\n  in.jsonl, line \d+: ", printed)) == 10
    assert "\n  and 3 more\n" in printed


def test_columns_that_are_lost_are_said(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("in.jsonl").write_text('{"text": "a film"}\n{"text": "a film", "b": 1, "a": 2}\n')
    said = "warning: columns that the first row lacks are left out: a, b; write a .jsonl"
    for ending, is_said in ((".csv", True), (".jsonl", False)):
        capfd.readouterr()
        assert main(["predict", str(run), "--input", "in.jsonl", "--output", f"out{ending}"]) == 0
        assert (said in capfd.readouterr().out) == is_said


def test_no_rows_give_a_file_with_a_header(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("in.txt").touch()
    assert main(["predict", str(run), "--input", "in.txt", "--output", "out.csv"]) == 0
    assert Path("out.csv").read_text() == "id,sentence,label,probability,score,exit_layer,empty\n"
    assert "0 texts" in capfd.readouterr().out


def test_what_stands_there_stays_until_there_is_something_to_put_in_its_place(
    run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("out.csv").write_text("old")
    for name, content in {
        "a.csv": b"a,b\n1,2\n",  # no column
        "b.csv": "text\na film\n".encode("utf-16"),
        "c.jsonl": b"{\n",
    }.items():
        Path(name).write_bytes(content)
        check_refused(main(["predict", str(run), "--input", name, "--output", "out.csv"]), "stopped: nothing", capfd)
        assert Path("out.csv").read_text() == "old"
    assert not list(Path().glob(".*"))


def test_negative_thresholds(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("in.txt").write_text("a film\n")
    options = ["--input", "in.txt", "--output", "out.csv", "--criterion", "entropy", "--trail", "--threshold"]
    for threshold, named in (("-1e-05", "-1e-05"), ("-inf", "-inf"), ("-.5", "-0.5"), ("-2", "-2")):
        capfd.readouterr()
        assert main(["predict", str(run), *options, threshold]) == 0
        assert f"by entropy at threshold {named}\n" in capfd.readouterr().out
    assert main(["save", str(run), "model", "--criterion", "entropy", "--threshold", "-1e-05"]) == 0
    assert EarlyExitPredictor.from_pretrained("model").deployment.rule.threshold == -1e-5


MISTAKES = {
    "no output": (["{run}", "--input", "in.txt"], r"no place[\s\S]*--output FILE"),
    "stdin": (["{run}", "--input", "-.parquet", "--output", "o.csv"], r"how to read '-.parquet'[\s\S]*\.csv, \.tsv"),
    "text and file": (["{run}", "--text", "a film", "--input", "in.txt"], r"--text is printed, without --input"),
    "pair alone": (["{run}", "--pair", "a film"], r"--pair is the second text[\s\S]*--text"),
    "no such input": (["{run}", "--input", "nowhere.csv", "--output", "o.csv"], r"no such file[\s\S]*nowhere.csv"),
    "ending of output": (["{run}", "--input", "in.txt", "--output", "o.txt"], r"how to write 'o.txt'[\s\S]*\.jsonl"),
    "input is output": (["{run}", "--input", "in.csv", "--output", "./in.csv"], r"would be overwritten"),
    "by another name": (["{run}", "--input", "in.csv", "--output", "link.csv"], r"would be overwritten"),
    "no such run": (["runs/nothing/version_0"], r"no run folder[\s\S]*runs/nothing[\s\S]*--input FILE"),
    "no such folder": (
        ["runs/demo/version_9", "--input", "in.txt", "--output", "o.csv"],
        r"no such folder[\s\S]*runs/demo/version_0, which has a config.yaml",
    ),
    "folder as output": (["{run}", "--input", "in.txt", "--output", "folder.csv"], r"this is no file[\s\S]*folder.csv"),
    "no columns": (
        ["{run}", "--input", "in.csv", "--output", "o.csv", "--text-columns", ""],
        r"--text-columns: '', which should have at least 1 character",
    ),
    "no such model": (["no-such/model", "--input", "in.txt", "--output", "o.csv"], r"hub[\s\S]*save_pretrained"),
    "columns of nothing": (["{run}", "--text-columns", "text"], r"are for a file[\s\S]*--input FILE"),
    "too many columns": (
        ["{run}", "--input", "in.csv", "--output", "o.csv", "--text-columns", "a,b"],
        r"2 columns named, and sst2 takes 1 text[\s\S]*--text-columns a,b",
    ),
    "damaged": (["{run}", "--input", "in.parquet", "--output", "o.csv"], r"it can't be read: [\s\S]*in.parquet"),
    "no such column": (
        ["{run}", "--input", "in.csv", "--output", "o.csv", "--text-columns", "words"],
        r"no column 'words'[\s\S]*in.csv[\s\S]*columns a, b; .*--text-columns",
    ),
    "no threshold": (["{run}", "--criterion", "voting"], r"without a threshold[\s\S]*hint:"),
    "unknown criterion": (["{run}", "--criterion", "votes", "--threshold", "1"], r"no criterion 'votes'"),
    "no gate": (["{run}", "--criterion", "gate", "--threshold=-0.5"], r"reads the extra 'gate'"),
    "output without a name": (["{run}", "--output", ""], r"error: argument --output: '' names no file\n  where"),
    "batch of nothing": (["{run}", "--batch-size", "0"], r"--batch-size: '0', which should be greater than"),
    "unknown option": (["{run}", "--fast"], r"--fast[\s\S]*'ee-lightning predict --help'"),
    "workers without Ray": (["{run}", "--workers", "3"], r"is for --engine ray\n  where: --workers"),
    "order without Ray": (["{run}", "--keep-order"], r"is for --engine ray\n  where: --keep-order"),
    "unknown schedule": (["{run}", "--schedule", "fast"], r"--schedule[\s\S]*depth_first"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_end_in_one_message(mistake: str, run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("in.txt").write_text("a film\n")
    Path("in.csv").write_text("a,b\n1,2\n")
    Path("in.parquet").write_text("a film\n")
    Path("link.csv").symlink_to("in.csv")
    Path("folder.csv").mkdir()
    arguments, match = MISTAKES[mistake]
    capfd.readouterr()
    check_refused(main(["predict", *(argument.format(run=run) for argument in arguments)]), match, capfd)
    assert Path("in.csv").read_text() == "a,b\n1,2\n"


def test_a_run_that_lost_its_data_says_so(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(re.sub(r"(?m)^  root: .*$", "  root: nowhere", config))
    check_refused(main(["predict", str(run)]), r"nowhere[\s\S]*data.root[\s\S]*--input FILE", capfd)


def test_an_interrupt_keeps_what_was_done(run: Path) -> None:
    Path("in.txt").write_text("a lovely film with a dull plot\n" * 300_000)
    started = Command("predict", run, "--input=in.txt", "--output=out.csv", "--batch-size=8")
    while not any(file.stat().st_size > 1000 for file in Path().glob(".out.csv.*.unfinished")):
        assert started.is_alive(), started.printed
        time.sleep(0.05)
    started.send(signal.SIGINT)
    assert started.ends() == 130
    rows = read_csv("out.csv")
    assert 0 < len(rows) < 300_000
    assert [int(row["id"]) for row in rows] == list(range(len(rows)))
    assert all(row["exit_layer"] for row in rows)
    assert started.printed.splitlines()[-1] == f"stopped: {len(rows)} rows written to out.csv"
    assert "Traceback" not in started.printed


def test_checkpoints_that_may_not_be_looked_into_are_told(
    run: Path, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    Path().chmod(0o755)
    Path("in.txt").write_text("a film")
    (run / "checkpoints").chmod(0)
    request.addfinalizer(lambda: (run / "checkpoints").chmod(0o755))
    request.getfixturevalue("no_rights")
    capfd.readouterr()
    status = main(["predict", str(run), "--input=in.txt", "--output=out.csv"])
    check_refused(status, r"Permission denied[\s\S]*where: .*checkpoints[\s\S]*get the permission", capfd)


def test_predictions_never_go_through_a_link_that_a_run_folder_brings(run: Path) -> None:
    Path("mine.csv").write_text("mine")
    (run / "predictions.csv").symlink_to(Path("mine.csv").resolve())
    assert main(["predict", str(run)]) == 0
    assert Path("mine.csv").read_text() == "mine"
    assert len(read_csv(run / "predictions.csv")) == 10


def test_predictions_go_through_a_link_that_the_user_names(run: Path) -> None:
    Path("in.txt").write_text("a film")
    Path("disk").mkdir()
    Path("out.csv").symlink_to("disk/out.csv")
    assert main(["predict", str(run), "--input=in.txt", "--output=out.csv"]) == 0
    assert Path("out.csv").is_symlink()
    assert len(read_csv("disk/out.csv")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("sink", ["| true; exit ${PIPESTATUS[0]}", "> /dev/full", ">&-"])
def test_predictions_are_whole_where_nobody_reads_the_output(run: Path, sink: str) -> None:
    Path("in.txt").write_text("a film\nanother\n")
    command = f"{sys.executable} -m ee_lightning predict {run} --input in.txt --output out.csv"
    ended = subprocess.run(["bash", "-c", f"{command} {sink}"], capture_output=True, text=True, check=False)
    assert len(read_csv("out.csv")) == 2
    assert ended.returncode == (1 if "full" in sink else 0)
    said = [line for line in ended.stderr.splitlines() if "error" in line]
    assert said == (["error: standard output can't be written: No space left on device"] if "full" in sink else [])
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
