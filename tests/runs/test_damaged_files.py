"""Files of a run folder in which a value was changed by hand: they are read, or refused with one message."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from damage import damaged
from factories import stored
from safetensors.torch import load_file, save_file

from ee_lightning.analysis.budgets import MinSpeedup
from ee_lightning.analysis.choice import choose
from ee_lightning.analysis.comparison import ComparedRun, compare, print_comparison
from ee_lightning.analysis.sweep import scalars, sweep_exits
from ee_lightning.data import CustomTask, resolve_task
from ee_lightning.errors import EarlyExitError, RunFolderError
from ee_lightning.exits import Conformal, Voting
from ee_lightning.exits.naming import spec_of
from ee_lightning.inference.deployment import EARLY_EXIT, Deployment
from ee_lightning.inference.policy import ExitPolicy
from ee_lightning.models import HeadOptions
from ee_lightning.reporting import print_figures, print_speed, write_speed, write_sweep
from ee_lightning.reporting.plots import draw_speed
from ee_lightning.runs.figures import MeasuredSpeed
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions
from ee_lightning.runs.operating_point import OPERATING_POINT, OperatingPoint

CONFIG = {
    "model": {"backbone": "tiny", "num_layers": 2, "heads": {"exits": "every", "dropout": 0.1, "gate": False}},
    "data": {"task": "mine", "root": ".", "max_length": 16, "own": {"text_columns": ["a"], "label_names": ["x", "y"]}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Return a run folder with one of every file that is read again."""
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    logits = torch.randn(3, 12, 2, generator=torch.Generator().manual_seed(0))
    exits = stored(logits, logits[-1].argmax(-1), {"gate": logits[..., 0].sigmoid()})
    folder.write_exits("validation", exits)
    criteria = [Voting(), Conformal()]
    write_sweep(folder, sweep_exits(criteria, exits, exits, split="validation", task="sst2", metrics=["accuracy"]))
    point = choose(exits, spec_of(criteria[1]), MinSpeedup(1.1), metric="accuracy", split="validation")
    point.write(folder.path / OPERATING_POINT)
    figures = dict.fromkeys(MeasuredSpeed.__annotations__, 1.5) | {"criterion": "voting", "batch_size": "8"}
    words = dict.fromkeys(("schedule", "device", "precision", "torch"), "x")
    whole = dict.fromkeys(("full_batch_size", "full_layers", "samples", "threads"), 3)
    write_speed(folder, "validation", [MeasuredSpeed(**(figures | words | whole))])  # type: ignore[arg-type]
    folder.config.write_text(yaml.safe_dump(CONFIG))
    task = resolve_task("mine", CustomTask(["a"], label_names=["x", "y"]), ".")
    rule = ExitPolicy(point.criterion, point.threshold, point)
    Deployment.of_task(task, 3, 16, HeadOptions(), rule).write(folder.path / EARLY_EXIT)
    return folder


def _report(folder: RunFolder) -> None:
    summary = folder.read_summary()
    print_figures(summary)
    for split, figures in summary.items():
        scalars(figures, split)
    print_comparison(compare([ComparedRun("mine", {}, summary)]))
    folder.swept_checkpoints()


def _speed(folder: RunFolder) -> None:
    measured = folder.read_speed()
    if any(each.wall_speedup > 2 for of_split in measured.values() for each in of_split):  # as few of the cells make it
        draw_speed(measured)
    for of_split in measured.values():
        print_speed(of_split)


def _curves(folder: RunFolder) -> None:
    *curves, fixed = folder.read_curves()["validation"]
    for curve in curves:
        for metric in curve.scores:
            curve.area(metric, fixed)


READERS: dict[str, Callable[[RunFolder], object]] = {
    "summary.json": _report,
    OPERATING_POINT: lambda folder: str(ExitPolicy(*_point(OperatingPoint.read(folder.path)))),
    EARLY_EXIT: lambda folder: str(Deployment.read(folder.path / EARLY_EXIT).rule),
    "config.yaml": RunOptions.read,
}


def _point(point: OperatingPoint) -> tuple[Any, ...]:
    return point.criterion, point.threshold, point


def _check(work: Callable[[], object], done: str) -> bool:
    """Return whether damage is an error; fail where it is by anything but a mistake's message."""
    try:
        work()
    except EarlyExitError as error:
        return bool(error.hint and len(str(error)) < 2000) or pytest.fail(f"{done}: {error}")
    except Exception as error:
        raise AssertionError(done) from error
    return False


@pytest.mark.parametrize("name", READERS)
def test_a_changed_value_is_read_or_refused(name: str, run: RunFolder, tmp_path: Path) -> None:
    fields = yaml.safe_load((run.path / name).read_text())
    read = yaml.safe_dump if name.endswith("yaml") else json.dumps
    refused = []
    for done, changed in damaged(fields):
        (tmp_path / name).write_text(read(changed))
        refused.append(_check(lambda: READERS[name](RunFolder(tmp_path)), done))
    assert sum(refused) > len(refused) / 2
    print(f"{name}: {len(refused)} changes, {sum(refused)} refused")


@pytest.mark.parametrize(("name", "use"), [("speed.csv", _speed), ("curves.csv", _curves)])
def test_a_changed_cell_is_read_or_refused(
    name: str, use: Callable[[RunFolder], None], run: RunFolder, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    with (run.path / name).open() as file:
        header, first, *others = csv.reader(file)
    count = 0
    for place in range(len(header)):
        for cell in (None, "", "word", "nan", "inf", "-1", "0", "1e400", "True", "9" * 30):
            changed = [*first[:place], cell, *first[place + 1 :]]
            rows = [header[:place] + header[place + 1 :], first] if cell is None else [header, changed]
            with (tmp_path / name).open("w", newline="") as file:
                csv.writer(file).writerows([*rows, *others[:20]])
            _check(lambda: use(folder), f"{header[place]}: {cell!r}")
            count += 1
    print(f"{name}: {count} changes")


TENSORS: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "no exit": lambda t: t.update(logits=t["logits"][:0], **{"extra.gate": t["extra.gate"][:0]}),
    "no class": lambda t: t.update(logits=t["logits"][..., :0]),
    "no sample": lambda t: t.update({name: each[..., :0] for name, each in t.items() if name != "logits"}),
    "logits in another precision": lambda t: t.update(logits=t["logits"].half()),
    "logits of whole numbers": lambda t: t.update(logits=t["logits"].long()),
    "logits without exits": lambda t: t.update(logits=t["logits"][0]),
    "logits that are not finite": lambda t: t["logits"][1].fill_(torch.nan),
    "labels of truth values": lambda t: t.update(labels=t["labels"].bool()),
    "labels of bytes": lambda t: t.update(labels=t["labels"].byte()),
    "labels that are not finite": lambda t: t.update(labels=t["labels"] * torch.inf),
    "one label": lambda t: t.update(labels=t["labels"][0]),
    "labels of sets": lambda t: t.update(labels=t["labels"].unsqueeze(-1).repeat(1, 2)),
    "ids of truth values": lambda t: t.update(ids=t["ids"].bool()),
    "ids of measurements": lambda t: t.update(ids=t["ids"].float()),
    "other ids": lambda t: t.update(ids=t["ids"][:-1]),
    "ids below 0": lambda t: t["ids"].sub_(1),
    "an extra of other shape": lambda t: t.update({"extra.gate": t["extra.gate"][:, :-1]}),
    "an extra of truth values": lambda t: t.update({"extra.gate": t["extra.gate"] > 0.5}),
    "an extra that is not finite": lambda t: t["extra.gate"].fill_(torch.inf),
    "several labels in the mark alone": lambda t: t.update(multi_label=torch.tensor(True)),
    "no logits": lambda t: t.pop("logits"),
    "no ids": lambda t: t.pop("ids"),
}


@pytest.mark.parametrize("damage", TENSORS)
def test_damaged_exits_are_refused(damage: str, run: RunFolder, tmp_path: Path) -> None:
    tensors = load_file(run.path / "exits/validation.safetensors")
    TENSORS[damage](tensors)
    (tmp_path / "exits").mkdir()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "exits/test.safetensors")
    with pytest.raises(RunFolderError, match=r"test\.safetensors can't be read: [\s\S]*hint:  run validate or test"):
        RunFolder(tmp_path).read_exits("test")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (None, "validation is None, and it should be an object"),
        ([], r"validation is \[\], and it should be an object"),
        ({"task": ...}, "validation.task is missing"),
        ({"metrics": []}, r"validation.metrics is \[\], and List should have at least 1 item"),
        ({"checkpoint": 7}, "validation.checkpoint is 7, and it should be a valid string"),
        ({"criteria": ...}, "validation.criteria is missing"),
        ({"criteria": {"voting": {"accuracy": {"area": "x"}}}}, "criteria.voting.accuracy.area is 'x', and it should"),
        ({"full_model": None}, "validation.full_model is None"),
        ({"exits": {"accuracy": [0.5]}}, "exits has not a score of each of 3 exits"),
    ],
    ids=str,
)
def test_the_field_of_a_summary_is_named(changes: Any, said: str, run: RunFolder, tmp_path: Path) -> None:
    figures = json.loads((run.path / "summary.json").read_text())["validation"]
    changed = changes
    if isinstance(changes, dict):
        changed = {name: value for name, value in (figures | changes).items() if value is not ...}
    (tmp_path / "summary.json").write_text(json.dumps({"validation": changed}))
    with pytest.raises(RunFolderError, match=rf"summary.json can't be read: .*{said}[\s\S]*hint:  delete it, and run"):
        RunFolder(tmp_path).read_summary()
