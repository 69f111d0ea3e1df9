"""The predictor against replay of the run's own stored exits, and what it makes of texts of every kind."""

import csv
import json
import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from datasets import Dataset
from lightning import LightningModule, Trainer

from ee_lightning.cli import main
from ee_lightning.errors import BackboneError, DataError, OptionError, RunFolderError
from ee_lightning.exits import Confidence, Conformal, Criterion, Fixed, Patience, StoredExits, Voting, replay
from ee_lightning.inference import EarlyExitPredictor, TextPrediction
from ee_lightning.models import HeadOptions
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.operating_point import OPERATING_POINT, OperatingPoint
from ee_lightning.training import EarlyExitModule, EnsembleObjective, TaskDataModule

LABELS = {"sst2": ("negative", "positive"), "rte": ("entailment", "not_entailment")}
COLUMNS = {"sst2": ("SST-2", ["sentence"]), "rte": ("RTE", ["sentence1", "sentence2"])}
COLUMNS["stsb"] = ("STS-B", ["sentence1", "sentence2"])
FRAME = pd.DataFrame({"text": ["a lovely film", "the dull plot"], "label": [0, 1]})
Trained = Callable[..., Path]


def texts_of(task: str, glue_folder: Path) -> list[list[str]]:
    """Return the columns of text of a task's validation rows."""
    folder, columns = COLUMNS[task]
    with (glue_folder / folder / "dev.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [[row[column] for row in rows] for column in columns]


def rule_for(task: str, exits: StoredExits) -> tuple[Criterion, float]:
    """Return a rule by which samples leave at several exits, none of them by a hair."""
    if task != "stsb":
        return Voting(k=0.5), 1.4
    differences = (exits.logits[1] - exits.logits[0]).abs().flatten().sort().values  # [samples]
    half = len(differences) // 2
    return Patience(tolerance=differences[half : half + 2].mean().item()), 1


@pytest.fixture(scope="module")
def predictor(trained: Trained) -> EarlyExitPredictor:
    return EarlyExitPredictor.from_run(trained("sst2"), criterion="voting(k=0.5)", threshold=1.4)


@pytest.fixture(scope="module")
def pair_predictor(trained: Trained) -> EarlyExitPredictor:
    return EarlyExitPredictor.from_run(trained("rte"), criterion=Voting(), threshold=1.1)


@pytest.fixture
def run(trained: Trained, tmp_path: Path) -> Path:
    """Return a copy of a run, without an operating point."""
    return shutil.copytree(trained("sst2"), tmp_path / "runs" / "sst2" / "version_0")


@pytest.mark.parametrize("schedule", ["auto", "depth_first", "breadth_first"])
@pytest.mark.parametrize("task", COLUMNS)
def test_a_run_predicts_what_its_stored_exits_say(
    task: str, schedule: str, trained: Trained, glue_folder: Path
) -> None:
    folder = trained(task)
    exits = RunFolder(folder).read_exits("validation")
    criterion, threshold = rule_for(task, exits)
    exit_layer, label = replay(criterion, exits).at(threshold)
    predictor = EarlyExitPredictor.from_run(folder, criterion=criterion, threshold=threshold, schedule=schedule)
    predictions = predictor(*texts_of(task, glue_folder))
    assert [each.exit_layer for each in predictions] == exit_layer.tolist()
    assert len(set(exit_layer.tolist())) > 1
    if task == "stsb":
        torch.testing.assert_close(torch.tensor([each.label for each in predictions]), label)
        assert {each.probability for each in predictions} == {None}
        return
    assert [each.label for each in predictions] == [LABELS[task][number] for number in label.tolist()]
    samples = range(exits.num_samples)
    expected = exits.logits[exit_layer - 1, samples].softmax(-1)[samples, label]  # [samples]
    torch.testing.assert_close(torch.tensor([each.probability for each in predictions]), expected)


def test_one_text_gives_one_prediction_and_several_a_list(predictor: EarlyExitPredictor) -> None:
    one = predictor("a lovely film")
    assert isinstance(one, TextPrediction)
    assert one == predictor(["a lovely film"])[0] == next(predictor.stream(["a lovely film"]))
    assert one.trail is None
    assert predictor(text for text in ("a lovely film",)) == [one]


def test_pairs(pair_predictor: EarlyExitPredictor) -> None:
    one = pair_predictor("a lovely film", "a dull film")
    assert [one] == pair_predictor(["a lovely film"], ["a dull film"])
    assert [one] == list(pair_predictor.stream([("a lovely film", "a dull film")]))
    assert one != pair_predictor("a dull film", "a lovely film")


def test_the_trail_holds_the_logits_of_all_exits_passed(trained: Trained, glue_folder: Path) -> None:
    folder = trained("sst2")
    exits = RunFolder(folder).read_exits("validation")
    predictor = EarlyExitPredictor.from_run(folder, criterion="voting", threshold=1.1, keep_trail=True)
    for number, each in enumerate(predictor(*texts_of("sst2", glue_folder))):
        expected = exits.logits[: each.exit_layer, number]
        torch.testing.assert_close(torch.tensor(each.trail), expected, atol=1e-5, rtol=1e-5)


def test_no_texts_and_empty_ones(predictor: EarlyExitPredictor, pair_predictor: EarlyExitPredictor) -> None:
    assert predictor([]) == [] == list(predictor.stream([]))
    empty, other = predictor(["", "a lovely film"])
    assert empty.label in LABELS["sst2"]
    assert predictor("") == pytest.approx(empty)
    assert other.probability == pytest.approx(predictor("a lovely film").probability)
    assert pair_predictor("", "").label in LABELS["rte"]


def test_long_texts_are_cut_and_counted(predictor: EarlyExitPredictor, pair_predictor: EarlyExitPredictor) -> None:
    short, long = "film " * 30, "film " * 10_000
    stream = predictor.stream([short, long, long + "dull", "film"])
    first, second, third, _ = stream
    assert first == pytest.approx(third)
    assert second == pytest.approx(third)
    assert stream.num_cut == 2
    stream = pair_predictor.stream([("dull " * 40_000, "film " * 40_000), ("dull", "film")])
    assert len(list(stream)) == 2
    assert stream.num_cut == 1


@pytest.mark.parametrize("schedule", ["auto", "depth_first", "breadth_first"])
def test_a_stream_is_lazy_and_in_order(schedule: str, trained: Trained) -> None:
    predictor = EarlyExitPredictor.from_run(
        trained("sst2"), criterion="voting", threshold=1.1, schedule=schedule, batch_size=4, max_tokens=20
    )
    words = ["lovely", "dull", "a boring film", "the very very funny plot"]
    expected, taken = predictor(words), 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            yield words[taken % 4]
            taken += 1

    for done, prediction in zip(range(400), predictor.stream(endless()), strict=False):
        assert prediction == pytest.approx(expected[done % 4])
        assert taken - done < 16 * 20  # tokens of a pool


def test_threads_predict_what_one_alone_does(trained: Trained, glue_folder: Path) -> None:
    predictor = EarlyExitPredictor.from_run(trained("sst2"), criterion="voting", threshold=1.1, keep_trail=True)
    (texts,) = texts_of("sst2", glue_folder)
    portions = [texts[start:] * 2 for start in range(8)]
    alone = [predictor(portion) for portion in portions]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(predictor, portions)) == alone


@pytest.mark.parametrize(
    ("texts", "match"),
    [
        (["film", None], r"but is None[\s\S]*where: row 1"),
        (["film", 3.5], r"but is 3.5[\s\S]*where: row 1"),
        ([b"film"], r"but is b'film'[\s\S]*where: row 0"),
        (["film", "\ud800"], r"not valid Unicode: it holds '\\ud800', half of a surrogate pair[\s\S]*where: row 1"),
        (["film"] * 40 + [["a", 2]], r"but is 2[\s\S]*where: row 40"),
        (["film", ("a film", "a plot")], r"2 texts, and sst2 takes one text[\s\S]*where: row 1"),
        (["film", ()], r"0 texts[\s\S]*where: row 1"),
        (None, "NoneType"),
        (7, "int"),
        (b"film", "bytes"),
        ({"film": 1}, r"no column 'sentence'[\s\S]*has the columns film"),
        ([{"film": "a film"}], r"no column 'sentence'[\s\S]*where: row 0"),
        ({"text": "a film"}, r"a column is a list of texts[\s\S]*where: text"),
        ({"text": {"a film", "a plot"}}, r"in an order, but here is set[\s\S]*where: text"),
        ({"film", "plot"}, r"in an order, but here is set"),
        (np.array("film"), "ndarray"),
        (FRAME[["label"]], r"no column 'sentence'[\s\S]*where: texts[\s\S]*label; rename its columns, or give one"),
        (FRAME.assign(text=[None, "plot"]), r"a text must be a string[\s\S]*where: row 0"),
        (FRAME["label"], r"but is 0[\s\S]*where: row 0"),
    ],
)
def test_what_is_no_text_names_its_row(texts: object, match: str, predictor: EarlyExitPredictor) -> None:
    with pytest.raises(DataError, match=match):
        predictor(texts)


@pytest.mark.parametrize("column", [FRAME["text"], FRAME["text"].to_numpy(), Dataset.from_pandas(FRAME)["text"]])
def test_a_column_is_a_list_of_texts(column: object, predictor: EarlyExitPredictor) -> None:
    assert predictor(column) == predictor(["a lovely film", "the dull plot"])


@pytest.mark.parametrize(
    "table",
    [
        FRAME,
        Dataset.from_pandas(FRAME),
        Dataset.from_pandas(FRAME).data.table,
        Dataset.from_pandas(FRAME).to_iterable_dataset(),
        FRAME.to_dict("list"),
        FRAME.to_dict("records"),
        FRAME.rename(columns={"text": "sentence"}).assign(text=["no", "yes"]),
    ],
    ids=["frame", "data set", "arrow", "stream", "lists", "records", "both names"],
)
def test_a_table_is_read_by_its_column_of_texts(table: Iterable[Any], predictor: EarlyExitPredictor) -> None:
    assert predictor(table) == predictor(["a lovely film", "the dull plot"])
    assert predictor(FRAME.iloc[:0]) == []


def test_a_table_of_two_texts(pair_predictor: EarlyExitPredictor) -> None:
    columns = {"hypothesis": ["a dull film", "a plot"], "premise": ["a lovely film", "a film"]}
    expected = pair_predictor(columns["premise"], columns["hypothesis"])
    assert pair_predictor(columns) == pair_predictor(pd.DataFrame(columns)) == expected
    with pytest.raises(DataError, match=r"columns premise and hypothesis have 2 and 1 rows"):
        pair_predictor({**columns, "hypothesis": ["a plot"]})


def test_a_predictor_says_what_it_is(predictor: EarlyExitPredictor) -> None:
    assert repr(predictor) == (
        "EarlyExitPredictor(sst2: sentence -> negative, positive; bert of 3 layers and 3 exits, "
        "voting(k=0.5) at threshold 1.4, on cpu)"
    )
    assert "<tr><td>predicts</td><td>negative, positive</td></tr>" in predictor._repr_html_()


def test_a_table_is_no_second_text(pair_predictor: EarlyExitPredictor) -> None:
    with pytest.raises(DataError, match=r"a table of the columns text, label[\s\S]*where: pairs"):
        pair_predictor(["film", "plot"], FRAME)


@pytest.mark.parametrize("copied", [deepcopy, lambda predictor: pickle.loads(pickle.dumps(predictor))])
def test_a_copy_predicts_the_same(copied: Callable, predictor: EarlyExitPredictor) -> None:
    again = copied(predictor)
    assert again(["a lovely film", "the dull plot"]) == predictor(["a lovely film", "the dull plot"])


def test_pairs_where_there_are_none_and_the_other_way_round(
    predictor: EarlyExitPredictor, pair_predictor: EarlyExitPredictor
) -> None:
    for call in (lambda: predictor("film", "plot"), lambda: predictor(["film"], ["plot"])):
        with pytest.raises(DataError, match=r"2 texts, and sst2 takes one text[\s\S]*row 0[\s\S]*give sentence$"):
            call()
    for call in (lambda: pair_predictor("film"), lambda: pair_predictor(["film"])):
        with pytest.raises(DataError, match=r"one text, and rte takes 2 texts[\s\S]*give sentence1 and sentence2"):
            call()
    for texts, pairs, match in (
        (["film"], ["plot", "scene"], "1 first texts and 2 second ones"),
        (["a", "b"], [], "2 first texts and 0 second ones"),
        ("film", ["plot"], "texts is one text, and pairs a list"),
        (["film"], "plot", "texts is a list, and pairs one text"),
    ):
        with pytest.raises(DataError, match=rf"{match}[\s\S]*two strings, or two lists of the same length"):
            pair_predictor(texts, pairs)


def test_a_mistake_in_a_stream_comes_where_it_stands(trained: Trained) -> None:
    predictor = EarlyExitPredictor.from_run(
        trained("sst2"), criterion="voting", threshold=1.1, schedule="depth_first", batch_size=2
    )
    stream = predictor.stream(["film", "plot", "scene", 4])
    for text in ("film", "plot", "scene"):
        assert next(stream).label == predictor(text).label
    with pytest.raises(DataError, match="row 3"):
        next(stream)


@pytest.mark.parametrize("schedule", ["auto", "depth_first", "breadth_first"])
@pytest.mark.parametrize("good", [0, 1, 7, 50])
def test_the_rows_before_a_mistake_are_predicted(schedule: str, good: int, trained: Trained) -> None:
    predictor = EarlyExitPredictor.from_run(
        trained("sst2"), criterion="voting", threshold=1.1, schedule=schedule, batch_size=4, max_tokens=20
    )

    def ends_in(error: Exception) -> Iterator[str]:
        yield from ["film"] * good
        raise error

    for rows, error in (
        (["film"] * good + [None, "plot"], DataError),
        (ends_in(ConnectionError("gone")), ConnectionError),
    ):
        stream, done = predictor.stream(rows), []
        with pytest.raises(error):
            done.extend(stream)
        assert [each.label for each in done] == [predictor("film").label] * good
        assert list(stream) == []


def test_bad_rows_of_a_stream_are_left_out_counted_and_listed(predictor: EarlyExitPredictor) -> None:
    rows = [None, "film", *range(30), "the dull plot", ("a", "b"), "\ud800", "a lovely film"]
    stream = predictor.stream(rows, skip_bad_rows=True)
    numbers, predictions = zip(*stream.numbered(), strict=True)
    assert numbers == (1, 32, 35)
    assert [each.exit_layer for each in predictions] == [predictor(rows[number]).exit_layer for number in numbers]
    assert stream.num_bad == 33
    assert len(stream.bad) == 10
    assert stream.bad[:2] == ["row 0: a text must be a string, but is None", "row 2: a text must be a string, but is 0"]
    assert [each.label for each in predictor.stream(rows, skip_bad_rows=True)] == [each.label for each in predictions]


def test_a_source_that_fails_is_no_bad_row(predictor: EarlyExitPredictor) -> None:
    def failing() -> Iterator[str]:
        yield "film"
        raise ConnectionError("gone")

    stream = predictor.stream(failing(), skip_bad_rows=True)
    next(stream)
    with pytest.raises(ConnectionError):
        next(stream)
    assert stream.num_bad == 0


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("a text", r"many texts, and here is one[\s\S]*wrap it in a list"),
        (None, r"here is NoneType[\s\S]*where: texts"),
        (5, "here is int"),
        (b"a text", "here is bytes"),
        ({"film": 1}, "no column .sentence."),
    ],
)
def test_what_is_no_stream_is_refused_at_once(rows: object, match: str, predictor: EarlyExitPredictor) -> None:
    with pytest.raises(DataError, match=match):
        predictor.stream(rows)


def test_the_operating_point_is_the_runs_own(run: Path, glue_folder: Path) -> None:
    assert main(["choose", str(run), "--criterion", "confidence", "--min-speedup", "1.3"]) == 0
    replayed = replay(Confidence(), RunFolder(run).read_exits("validation"))
    half = replayed.scores[0].sort().values[22:24].mean().item()  # at which half of the samples leave at exit 1
    point = replace(OperatingPoint.read(run), threshold=half)
    point.write(run / OPERATING_POINT)
    predictor = EarlyExitPredictor.from_run(run)
    assert predictor.deployment.rule.operating_point == point
    exit_layer, _ = replayed.at(point.threshold)
    assert len(set(exit_layer.tolist())) > 1
    predictions = predictor(*texts_of("sst2", glue_folder))
    assert [each.exit_layer for each in predictions] == exit_layer.tolist()
    moved = EarlyExitPredictor.from_run(run, threshold=inf)
    assert moved.deployment.rule.operating_point is None
    assert moved.deployment.rule.criterion == point.criterion
    assert {each.exit_layer for each in moved(["film", "lovely"])} == {3}


def test_a_run_without_an_operating_point_says_how_to_choose_one(run: Path) -> None:
    for options in ({}, {"threshold": 1.0}):
        with pytest.raises(RunFolderError, match=rf"no operating point[\s\S]*ee-lightning choose {run} --criterion"):
            EarlyExitPredictor.from_run(run, **options)
    with pytest.raises(OptionError, match="a criterion is given without a threshold"):
        EarlyExitPredictor.from_run(run, criterion="voting")


def test_the_operating_point_of_another_model_is_refused(run: Path) -> None:
    assert main(["choose", str(run), "--criterion", "voting", "--min-speedup", "1.2"]) == 0
    file = run / OPERATING_POINT
    fields = json.loads(file.read_text())
    for layers, shown in (([1, 2], "1, 2"), ([1, 2, 3, 4], "1, 2, 3, 4")):
        left_at = [fields["chosen_on"], *[0] * (len(layers) - 1)]
        file.write_text(json.dumps({**fields, "layers_of_exits": layers, "left_at": left_at}))
        with pytest.raises(RunFolderError, match=rf"{shown}, and the model has 1, 2, 3\n[\s\S]*operating_point.json"):
            EarlyExitPredictor.from_run(run)


def test_a_criterion_that_learns_does_so_from_the_rows_held_out(trained: Trained, glue_folder: Path) -> None:
    folder = trained("sst2", data__calibration=40)
    criterion = Conformal()
    criterion.fit(RunFolder(folder).read_exits("calibration"))
    exit_layer, _ = replay(criterion, RunFolder(folder).read_exits("validation")).at(0.5)
    (texts,) = texts_of("sst2", glue_folder)
    for given in ("conformal", criterion):
        predictor = EarlyExitPredictor.from_run(folder, criterion=given, threshold=0.5)
        assert [each.exit_layer for each in predictor(texts)] == exit_layer.tolist()
    with pytest.raises(OptionError, match="no rows were held out"):
        EarlyExitPredictor.from_run(trained("sst2"), criterion="conformal", threshold=0.5)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"criterion": "votes"}, r"there is no criterion 'votes'[\s\S]*where: criterion"),
        ({"criterion": "patience(tolerance=1)"}, "tolerance"),
        ({"device": "gpu"}, "there is no device 'gpu'"),
        ({"device": "cuda"}, "no CUDA device"),
        ({"device": "meta"}, "models don't run on 'meta'"),
        ({"device": "mps"}, "models don't run on 'mps'"),
        ({"device": None}, "there is no device None"),
        ({"schedule": "fast"}, "'fast' is not a value of schedule"),
        ({"threshold": float("nan")}, "threshold is no number"),
    ],
)
def test_options_that_make_no_sense(
    options: dict, match: str, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(OptionError, match=match):
        EarlyExitPredictor.from_run(trained("sst2"), **{"criterion": "voting", "threshold": 1.1} | options)


def test_a_gpu_beyond_the_last_is_refused(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(OptionError, match="no CUDA device 1: there are 1 here"):
        EarlyExitPredictor.from_run(trained("sst2"), criterion="voting", threshold=1.1, device="cuda:1")


@pytest.mark.parametrize("folder", ["", None])
def test_a_folder_to_save_into_has_a_name(folder: object, predictor: EarlyExitPredictor) -> None:
    with pytest.raises(OptionError, match=r"names no folder[\s\S]*where: folder"):
        predictor.save_pretrained(folder)


def test_weights_are_those_of_the_best_checkpoint(run: Path) -> None:
    saved = {file.name: torch.load(file, weights_only=True) for file in (run / "checkpoints").iterdir()}
    (best,) = saved.keys() - {"last.ckpt"}
    assert RunFolder(run).read_summary()["validation"]["checkpoint"] == f"checkpoints/{best}"
    other = run / "checkpoints" / "epoch=9-score=0.1.ckpt"
    shutil.copy(run / "checkpoints" / "last.ckpt", other)
    rule = {"criterion": Fixed(), "threshold": 3}
    for named, source in ((None, best), ("last.ckpt", "last.ckpt"), (run / "checkpoints" / best, best)):
        predictor = EarlyExitPredictor.from_run(run, named, **rule)
        for name, tensor in predictor.engine.model.state_dict().items():
            assert torch.equal(tensor, saved[source]["state_dict"][f"model.{name}"])
    with pytest.raises(RunFolderError, match=r"no checkpoint nowhere.ckpt[\s\S]*checkpoints"):
        EarlyExitPredictor.from_run(run, "nowhere.ckpt", **rule)
    (run / "checkpoints" / best).unlink()
    with pytest.raises(RunFolderError, match="the checkpoint that was swept is gone"):
        EarlyExitPredictor.from_run(run, **rule)


def test_without_a_record_the_only_one_beside_the_last_is_taken(run: Path) -> None:
    rule = {"criterion": Fixed(), "threshold": 3}
    expected = EarlyExitPredictor.from_run(run, **rule)("lovely")
    (run / "summary.json").unlink()
    assert EarlyExitPredictor.from_run(run, **rule)("lovely") == expected
    shutil.copy(run / "checkpoints" / "last.ckpt", run / "checkpoints" / "other.ckpt")
    with pytest.raises(RunFolderError, match=r"and there are 2 beside last.ckpt[\s\S]*ee-lightning validate"):
        EarlyExitPredictor.from_run(run, **rule)


def test_the_folder_of_an_evaluation_knows_its_checkpoint(run: Path, tmp_path: Path) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    options = [f"--config={run / 'config.yaml'}", f"--ckpt_path={checkpoint}", f"--run.root={tmp_path}"]
    assert main(["validate", *options, "--run.name=again", "--trainer.enable_progress_bar=false"]) == 0
    again = tmp_path / "again" / "version_0"
    assert main(["curves", str(again)]) == 0  # which writes the summary anew
    assert RunFolder(again).swept_checkpoints() == [checkpoint]
    rule = {"criterion": Fixed(), "threshold": 3}
    expected = EarlyExitPredictor.from_run(run, "last.ckpt", **rule)("lovely")
    assert EarlyExitPredictor.from_run(again, **rule)("lovely") == expected
    evaluated = RunFolder(again).read_summary()["validation"]
    RunFolder(again).write_summary("test", {**evaluated, "checkpoint": "/nowhere/another.ckpt"})
    with pytest.raises(RunFolderError, match="the exits of several checkpoints were swept"):
        EarlyExitPredictor.from_run(again, **rule)


def test_loading_needs_no_pretrained_weights_and_draws_no_numbers(
    run: Path, tiny_backbone: Path, tmp_path: Path
) -> None:
    for file in tiny_backbone.iterdir():
        if file.name != "model.safetensors":
            shutil.copy(file, tmp_path)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"]["backbone"] = str(tmp_path)
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    before = torch.get_rng_state()
    EarlyExitPredictor.from_run(run, criterion="voting", threshold=1.1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, r"config.yaml can't be read: No such file[\s\S]*runs/demo/version_0"),
        ("{", "config.yaml can't be read: it holds no YAML"),
        ("data: {}", "config.yaml can't be read: model is missing"),
        ("3", "config.yaml can't be read"),
    ],
)
def test_a_run_without_its_options_is_refused(content: str | None, match: str, run: Path) -> None:
    (run / "config.yaml").unlink()
    if content is not None:
        (run / "config.yaml").write_text(content)
    with pytest.raises(RunFolderError, match=match):
        EarlyExitPredictor.from_run(run, criterion="voting", threshold=1.1)


@pytest.mark.parametrize("damage", ["truncated", "empty", "no checkpoint", "another model"])
def test_a_checkpoint_that_does_not_fit_is_refused(damage: str, run: Path) -> None:
    checkpoint = run / "checkpoints" / "damaged.ckpt"
    whole = (run / "checkpoints" / "last.ckpt").read_bytes()
    checkpoint.write_bytes({"truncated": whole[:2000], "empty": b""}.get(damage, whole))
    if damage == "no checkpoint":
        torch.save({"weights": torch.zeros(3)}, checkpoint)
    if damage == "another model":
        config = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(config.replace("pooler: per_exit", "pooler: shared"))
    expected = {"another model": r"have, which the model lacks, heads.poolers.1.bias and 3 more[\s\S]*damaged.ckpt"}
    with pytest.raises((RunFolderError, BackboneError), match=expected.get(damage, "the checkpoint can't be read")):
        EarlyExitPredictor.from_run(run, checkpoint, criterion="voting", threshold=1.1)


def test_a_module_trained_from_python_is_deployed(tiny_backbone: Path, glue_folder: Path, tmp_path: Path) -> None:
    data = TaskDataModule("sst2", root=str(glue_folder), tokenizer=str(tiny_backbone), max_length=32)
    heads = HeadOptions(pooling="mean", pooler="shared")
    module = EarlyExitModule(str(tiny_backbone), data.num_classes, data.metrics, EnsembleObjective(), heads=heads)
    rule = {"criterion": Confidence(), "threshold": 0.6}
    with pytest.raises(OptionError, match="give the data module of its training"):
        EarlyExitPredictor.from_module(module, **rule)
    with pytest.raises(OptionError, match="LightningModule holds no MultiExitModel"):
        EarlyExitPredictor.from_module(LightningModule(), data, **rule)  # type: ignore[arg-type]
    quiet = {"max_epochs": 1, "logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    Trainer(**quiet).fit(module, data)
    predictor = EarlyExitPredictor.from_module(module, **rule)
    texts = ["a lovely film", "the dull plot"]
    expected = predictor(texts)
    assert EarlyExitPredictor.from_module(module, data, **rule)(texts) == expected
    last = EarlyExitPredictor.from_module(module, data, **rule, exits=[3])
    assert (last.deployment.num_exits, last.deployment.heads.exits, module.model.num_exits) == (1, (3,), 3)

    Trainer(**quiet).fit(module, data)  # of which the predictor has a copy
    assert predictor(texts) == expected
    predictor.save_pretrained(tmp_path / "saved")
    assert EarlyExitPredictor.from_pretrained(tmp_path / "saved")(texts) == expected
    with pytest.raises(OptionError, match=r"2 outputs for one of several classes, and stsb 1 for a value"):
        EarlyExitPredictor.from_module(module, TaskDataModule("stsb", tokenizer=str(tiny_backbone)), **rule)


def test_exits_of_texts_are_those_of_each_alone_in_few_tokens_at_once(
    small_predictor: EarlyExitPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, backend = ["a film", *["a dull plot"] * 40, "very " * 99], small_predictor.engine.descent.backend
    sizes, embed = list[int](), backend.embed
    monkeypatch.setattr(
        backend, "embed", lambda batch, **how: sizes.append(batch["input_ids"].size) or embed(batch, **how)
    )
    exits = small_predictor.exits_of(texts)
    assert max(sizes) <= 16 * 32
    assert exits.logits.shape == (3, len(texts), 3)
    for place in (0, 1, 41):
        alone = small_predictor.exits_of(texts[place])
        torch.testing.assert_close(exits.logits[:, place], alone.logits[:, 0], rtol=0, atol=1e-5)


def test_no_texts_have_no_exits_and_no_tokens(small_predictor: EarlyExitPredictor) -> None:
    assert small_predictor([]) == small_predictor.tokenise([]) == []
    with pytest.raises(DataError, match="there are no texts"):
        small_predictor.exits_of([])


def test_exits_are_those_of_the_precision(small_predictor: EarlyExitPredictor) -> None:
    lower = EarlyExitPredictor(
        small_predictor.model, small_predictor.tokenizer, small_predictor.deployment, device="cpu", precision="bf16"
    )
    said, expected = (each.exits_of(["a film", "a dull plot"]).logits for each in (lower, small_predictor))
    difference = (said - expected).abs().max()
    assert 1e-4 < difference < 0.5
