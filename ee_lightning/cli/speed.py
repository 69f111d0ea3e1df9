"""``ee-lightning speed``: operating points on the clock, beside the full model."""

import math
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar, get_args

import torch
from torch import Tensor

from ee_lightning.analysis.sweep import fit_criteria
from ee_lightning.cli.options import Options, up_to
from ee_lightning.errors import OptionError
from ee_lightning.exits import Criterion, Oracle, StoredExits, trace_curve
from ee_lightning.exits.naming import CriterionSpec, spec_of
from ee_lightning.functional import weighted_scores
from ee_lightning.inference import SpeedMeter, samples_of
from ee_lightning.inference.engine import Precision
from ee_lightning.inference.precision import precision_effects
from ee_lightning.inference.speed import BATCH_SIZES
from ee_lightning.reporting import print_latencies, print_precision_effects, print_speed, write_speed
from ee_lightning.runs.figures import NAMED_SPEEDUPS
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import evaluated_rows, load_run
from ee_lightning.runs.operating_point import OPERATING_POINT, OperatingPoint

_Number = TypeVar("_Number", int, float)


class Point(NamedTuple):
    """An operating point to measure.

    Attributes:
        criterion: When to leave, fitted if it has to be.
        threshold: In the criterion's unit.
    """

    criterion: Criterion
    threshold: float


def run(arguments: Sequence[str]) -> None:
    """Measure operating points of a run, print what they reach, and save it in the run folder.

    Args:
        arguments: What follows the command's name.
    """
    chosen = _options().read(arguments)
    folder, split = RunFolder(chosen.run), chosen.split
    exits, metric = folder.read_exits(split), folder.read_figures(split)["metrics"][0]
    points = _points(folder, exits, chosen, metric)
    model, rows = load_run(folder, split)
    meter = SpeedMeter(
        model,
        samples_of(evaluated_rows(rows, exits)[:]),
        batch_sizes=chosen.batch_sizes,
        repeats=chosen.repeats,
        threads=chosen.threads,
        precision=chosen.precision,
        max_samples=chosen.max_samples,
    )
    threads = "1 thread" if chosen.threads == 1 else f"{chosen.threads} threads"
    print(f"measuring {len(meter.samples)} samples on {meter.device}, {threads}, torch {torch.__version__}")
    measured = []
    for point in points:
        measured += (of_point := meter.measure(*point))
        print_latencies(of_point)
    write_speed(folder, split, measured)
    print_speed(measured)
    if chosen.precision == "bf16":
        labels = exits.known_labels()[meter.places]  # [samples], or [samples, labels]

        def score(said: Tensor) -> float:
            return weighted_scores(said, labels, torch.ones(1, len(labels)), metric, exits.num_classes).item()

        effects = precision_effects(model, meter.samples, points, score)
        print_precision_effects(effects, metric)
    print(f"saved: {folder.path / 'speed.csv'} and speed.png")


def _options() -> Options:
    options = Options(
        prog="ee-lightning speed",
        description="Measure operating points on the clock, beside the full model of the same weights.",
    )
    options.add_argument("run", type=Path, metavar="RUN", help="the run folder, such as runs/demo/version_0")
    options.add_argument("--criterion", help="such as voting (that of the operating point, or the run's first)")
    options.add_argument(
        "--speedups",
        type=_list_of(_speedup),
        default=NAMED_SPEEDUPS,
        help="operating points near these speed-ups by layers are measured, beside that of choose (1,1.5,2,3)",
    )
    options.add_argument(
        "--batch-sizes", type=_list_of(up_to(1_000_000)), default=BATCH_SIZES, help="samples a batch (1,8,32,128)"
    )
    options.add_argument("--threads", type=up_to(1024), default=1, help="that share an operation on the processor (1)")
    options.add_argument("--repeats", type=up_to(10_000), default=5, help="how often everything is timed (5)")
    options.add_argument(
        "--max-samples", type=up_to(1_000_000_000), default=256, help="taken evenly of those of the split (256)"
    )
    options.add_argument("--precision", choices=get_args(Precision), default="fp32", help="fp32 (the default) or bf16")
    options.add_argument(
        "--split", choices=("validation", "test"), default="validation", help="validation (the default) or test"
    )
    return options


def _list_of(kind: Callable[[str], _Number]) -> Callable[[str], list[_Number]]:
    def read(text: str) -> list[_Number]:
        try:
            return list(dict.fromkeys(kind(number) for number in text.split(",")))
        except ValueError as error:
            raise ArgumentTypeError(f"{text!r} is no list of numbers, such as 1,8") from error

    return read


def _speedup(text: str) -> float:
    speedup = float(text)
    if not 1 <= speedup < math.inf:
        raise ArgumentTypeError(f"{text} is no speed-up, which is 1 or more, and finite")
    return speedup


def _points(folder: RunFolder, exits: StoredExits, chosen: Namespace, metric: str) -> list[Point]:
    """Return the run's operating point, if any, and those of a criterion near the named speed-ups, each once."""
    points: list[Point] = []
    spec = None if chosen.criterion is None else spec_of(chosen.criterion)
    if (folder.path / OPERATING_POINT).is_file():
        saved = OperatingPoint.read(folder.path)
        points.append(Point(saved.criterion.build(), saved.threshold))
        spec = spec or saved.criterion
    criterion = (spec or _first_swept(folder, chosen.split)).build()
    if isinstance(criterion, Oracle):
        raise OptionError("the oracle reads the labels", where="--criterion", hint="take one that can be run")
    fit_criteria([criterion], folder.read_calibration())
    if chosen.speedups is not NAMED_SPEEDUPS and (fastest := max(chosen.speedups)) > exits.num_exits:
        raise OptionError(
            f"{fastest:g}x is more than {exits.num_exits} exits can reach",
            where="--speedups",
            hint=f"give speed-ups from 1 to {exits.num_exits}",
        )
    curve = trace_curve(criterion, exits, [metric])
    points += [Point(criterion, curve.threshold_near(speedup)) for speedup in chosen.speedups]
    return list({(point.criterion.name, point.threshold): point for point in points}.values())


def _first_swept(folder: RunFolder, split: str) -> CriterionSpec:
    for name in folder.read_figures(split)["criteria"]:
        return spec_of(name)
    raise OptionError("the run swept no criterion", where=folder.path, hint="name one: --criterion voting")
