"""``ee-lightning speed``: operating points on the clock, beside the full model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from ee_lightning.analysis.sweep import fit_criteria
from ee_lightning.cli.command import Adapter, AtCommas, BatchSizes, File, LayersOfExits, Repeats, Samples, Threads
from ee_lightning.cli.exported import ExportedModel
from ee_lightning.cli.models import EXPORT_EXITS, refuse_of_run, refuse_rows
from ee_lightning.cli.predict import Columns
from ee_lightning.data.custom import USUAL_METRICS
from ee_lightning.errors import OptionError, counted, listed
from ee_lightning.exits import CRITERIA, Criterion, Oracle, StoredExits, Threshold, trace_curve
from ee_lightning.exits.naming import CriterionSpec, spec_of
from ee_lightning.functional import Kind, weighted_scores
from ee_lightning.inference import SpeedMeter, samples_of
from ee_lightning.inference.schedule import Precision
from ee_lightning.inference.speed import BATCH_SIZES, Meter, precision_effects
from ee_lightning.models.backbones.loading import load_adapter
from ee_lightning.reporting import print_latencies, print_precision_effects, print_speed, write_speed
from ee_lightning.runs.figures import NAMED_SPEEDUPS, MeasuredSpeed
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import evaluated_rows, load_run
from ee_lightning.runs.operating_point import OPERATING_POINT, OperatingPoint
from ee_lightning.runtime.loading import is_exported

Speedups = Annotated[list[Annotated[float, Field(ge=1, allow_inf_nan=False)]], AtCommas, "NUMBERS"]
Point = tuple[Criterion, Threshold]
"""An operating point to measure: a criterion, fitted if it has to be, and a threshold in its unit."""


def speed(
    run: Path,
    *,
    criterion: str | None = None,
    exits: LayersOfExits | None = None,
    speedups: Speedups | None = None,
    batch_sizes: BatchSizes = BATCH_SIZES,
    threads: Threads = 1,
    repeats: Repeats = 5,
    max_samples: Samples = 256,
    precision: Precision = "fp32",
    split: Literal["validation", "test"] = "validation",
    input: File | None = None,
    text_columns: Columns | None = None,
    adapter: Adapter | None = None,
) -> None:
    """Measure the wall-clock time of operating points, and of the full model with the same weights.

    Args:
        run: The run folder, such as runs/demo/version_0, or what export wrote, with rows of a file in place of a split.
        criterion: Such as voting (left out: that of the operating point, or the run's first).
        exits: Use only the exits after these layers, such as 3,6,9,12 (left out: those of the operating point, or all).
        speedups: Points near these speed-ups by layers are measured, and that of choose if it has the criterion (left
            out: 1,1.5,2,3).
        batch_sizes: Numbers of samples in a batch.
        threads: Threads that share an operation on the CPU.
        repeats: How often everything is timed.
        max_samples: How many samples are measured at most, taken evenly from the split.
        precision: The precision of matrix products.
        split: The split whose samples are measured.
        input: For an exported model, rows of texts: .csv, .tsv, .jsonl, .txt or .parquet.
        text_columns: The columns of the texts in that file, if they have other names than in the task.
        adapter: The full name of your own adapter of the backbone's family, such as my_module.MyBackbone.
    """
    clock: dict[str, Any] = {"batch_sizes": batch_sizes, "repeats": repeats, "threads": threads}
    clock["max_samples"] = max_samples
    if is_exported(str(run)):
        refused = {
            "--exits": (exits is not None, EXPORT_EXITS),
            "--precision": (precision != "fp32", "leave it out; the precision is chosen when it is exported"),
            "--split": (split != "validation", "give rows: --input FILE"),
            "--adapter": (adapter is not None, "leave it out"),
        }
        refuse_of_run(refused)
        _measure_exported(ExportedModel(run, threads), criterion, speedups, input, text_columns, clock)
        return
    refuse_rows(input=input, text_columns=text_columns)
    load_adapter(adapter)
    folder, named = RunFolder(run), None if criterion is None else spec_of(criterion)  # imported before it is read of
    saved = OperatingPoint.read(folder.path) if (folder.path / OPERATING_POINT).is_file() else None
    stored, metric = folder.read_exits(split), folder.read_figures(split)["metrics"][0]
    asked = exits or (stored if saved is None else saved).layers_of_exits
    stored = stored.asking(asked)
    points = _points(folder, stored, saved, named, speedups, split, metric)
    model, rows = load_run(folder, split)
    model = model.asking(asked)
    meter = SpeedMeter(model, samples_of(evaluated_rows(rows, stored)[:]), precision=precision, **clock)
    measured = _measured(meter, points, f"torch {torch.__version__}")
    write_speed(folder, split, measured)
    print_speed(measured)
    if precision == "bf16":
        labels = stored.known_labels()[meter.places]  # [samples], or [samples, labels]
        once = torch.ones(1, len(labels))

        def score(said: Tensor) -> float:
            return weighted_scores(said, labels, once, metric, stored.num_classes).item()

        print_precision_effects(precision_effects(model, meter.samples, points, score), metric)
    print(f"saved: {folder.path / 'speed.csv'} and speed.png")


def _measure_exported(
    model: ExportedModel,
    named: str | None,
    speedups: list[float] | None,
    file: Path | None,
    text_columns: Columns | None,
    clock: dict[str, Any],
) -> None:
    """Measure the folder's rule, and points near some speed-ups by layers, beside the full depth of its graphs."""
    from onnxruntime import __version__

    rule, kind = model.deployment.rule, model.deployment.target.kind
    criterion = model.known(rule.criterion if named is None else spec_of(named)).build()
    samples = model.texts(file, text_columns)
    exits = model.exits(samples)
    full = exits.predictions[-1]  # which stand for the labels: where samples leave does not depend on them
    exits = replace(exits, labels=full if kind is Kind.REGRESSION else full.long())
    points = [(rule.build(), rule.threshold), *_near(criterion, exits, speedups, USUAL_METRICS[kind][0])]
    print_speed(_measured(Meter(model.contest(), samples, **clock), _each_once(points), f"onnxruntime {__version__}"))


def _measured(meter: Meter, points: Sequence[Point], engine: str) -> list[MeasuredSpeed]:
    """Measure operating points, and print each when it is done."""
    place = f"{meter.device}, {counted(meter.threads, 'thread')}"
    print(f"measuring {len(meter.samples)} samples on {place}, {engine}")
    measured = list[MeasuredSpeed]()
    for point in points:
        measured += (of_point := meter.measure(*point))
        print_latencies(of_point)
    return measured


def _points(
    folder: RunFolder,
    exits: StoredExits,
    saved: OperatingPoint | None,
    spec: CriterionSpec | None,
    speedups: list[float] | None,
    split: str,
    metric: str,
) -> list[Point]:
    """Return points of a criterion near the named speed-ups, and the run's operating point if it has it, each once."""
    if spec is None:
        spec = _first_swept(folder, split) if saved is None else saved.criterion
    criterion, points = spec.build(), list[Point]()
    asked = criterion.name, exits.layers_of_exits
    if saved is not None and (saved.criterion.build().name, saved.layers_of_exits) == asked:
        points.append((saved.criterion.build(), saved.threshold))
    held_out = folder.read_calibration()
    fit_criteria([criterion], None if held_out is None else held_out.asking(exits.layers_of_exits))
    return _each_once([*points, *_near(criterion, exits, speedups, metric)])


def _near(criterion: Criterion, exits: StoredExits, speedups: list[float] | None, metric: str) -> list[Point]:
    """Return the points of a criterion near some speed-ups by layers, the named ones if None."""
    if isinstance(criterion, Oracle):
        raise OptionError("the oracle reads the labels", where="--criterion", hint="take one that can be run")
    most = exits.layers_of_exits[-1] / exits.layers_of_exits[0]
    if speedups is not None and (fastest := max(speedups)) > most:
        raise OptionError(
            f"{fastest:g}x is more than {counted(exits.num_exits, 'exit')} can reach, the first one after layer "
            f"{exits.layers_of_exits[0]} of {exits.layers_of_exits[-1]}",
            where="--speedups",
            hint=f"give speed-ups from 1 to {most:g}",
        )
    curve = trace_curve(criterion, exits, [metric])
    return [(criterion, curve.threshold_near(speedup)) for speedup in speedups or NAMED_SPEEDUPS]


def _each_once(points: Sequence[Point]) -> list[Point]:
    return list({(criterion.name, threshold): (criterion, threshold) for criterion, threshold in points}.values())


def _first_swept(folder: RunFolder, split: str) -> CriterionSpec:
    names = list(folder.read_figures(split)["criteria"])
    for name in names:
        if name.partition("(")[0] in CRITERIA:
            return spec_of(name)
    what = f"no name makes the criteria that the run swept: {listed(names)}" if names else "the run swept no criterion"
    raise OptionError(
        what, where=folder.path, hint="name one: --criterion voting, or --criterion my_module.MyCriterion"
    )
