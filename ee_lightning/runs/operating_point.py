"""The file that says how a model is run: criterion, threshold, and what may be expected of them."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, PositiveInt

from ee_lightning import __version__
from ee_lightning.errors import RunFolderError
from ee_lightning.exits.fitted import NUM_EXITS, Fitted
from ee_lightning.exits.naming import CriterionSpec
from ee_lightning.exits.placement import Layers, ascending
from ee_lightning.exits.threshold import Threshold, at_exits, in_numbers
from ee_lightning.files import check_format, read_json, reading, typed

OPERATING_POINT = "operating_point.json"
FORMAT = 2
"""Rises with every change of the file that older releases would misread; format 1 is read too."""

_MOST_EXITS = 1000


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Asked:
    """What was asked for.

    Attributes:
        budget: The name of the budget, such as ``max_loss``.
        value: Its value, in its own unit.
        metric: The score.
        guarantee: The probability with which the budget had to be kept, or ``mean``; None if none was asked for.
        split: The split whose stored exits were used.
        seed: Of the halves and of the intervals.
    """

    budget: str
    value: float
    metric: str
    guarantee: float | Literal["mean"] | None
    split: str
    seed: int


@dataclass(frozen=True)
class Costs:
    """What a single row takes on a machine, in milliseconds, by what is run of the model.

    Attributes:
        start: All that comes before the first layer.
        layer: A layer.
        exit: An exit, with its head and the criterion.
        full: The full model, with all layers and the last head alone.
        device: Where this was measured, such as ``cpu``.
        threads: How many shared an operation on the processor.

    Raises:
        ValueError: A layer or the full model takes no time, or something less than none.
    """

    start: float
    layer: float
    exit: float
    full: float
    device: str
    threads: PositiveInt

    def __post_init__(self) -> None:
        parts = (self.start, self.layer, self.exit, self.full)
        if not (all(0 <= part < math.inf for part in parts) and self.layer and self.full):
            raise ValueError(f"Expected costs from 0, of a layer and the full model above 0, but got {parts}.")

    def until(self, layers_of_exits: Layers) -> list[float]:
        """Return what a row takes that leaves at each of some exits, if no others are asked."""
        return [self.start + layer * self.layer + number * self.exit for number, layer in enumerate(layers_of_exits, 1)]


@dataclass(frozen=True)
class OperatingPoint:
    """A criterion at a threshold, or at one for each exit, chosen on one half of a split and measured on the other.

    Attributes:
        criterion: How to make the criterion.
        threshold: In the criterion's own unit, finite: a sample leaves where its score is at least this. Of thresholds
            for each exit some may be infinite: with infinity no sample leaves there, with minus infinity all do.
        layers_of_exits: The layers after which the exits stand that it was chosen for; others are not asked.
        asked: What was asked for.
        chosen_on: Number of samples of the half it was chosen on.
        measured_on: Number of samples of the half that it was measured on.
        confidence: The level of the intervals.
        reached: On the other half: ``speedup``; the metric as ``score``, the full model's as ``full_score``, and
            ``loss``, by how much the latter is higher, all as shares (1 is 100 points); ``consistency``, the share of
            samples with the full model's label; and with costs ``clock``, the speed-up by these. With a budget
            of a loss of its own also that, by its name.
        guarantee: What is guaranteed, in words; None if nothing is.
        met: Whether the budget was met on the other half; None if the file does not say.
        costs: What a row takes on the machine where the exits were picked; None where they were given.
        left_at: How many samples left at each exit, ``[exits]``, on the other half; None if the file does not say.
        version: The release of ee_lightning that chose it.

    Raises:
        ValueError: If the threshold is not finite, or none lets anybody leave; or ``left_at`` is of other exits.
        OptionError: If there are thresholds of another number of exits, or the layers don't ascend.
    """

    criterion: CriterionSpec
    threshold: Threshold
    layers_of_exits: Layers
    asked: Asked
    chosen_on: int
    measured_on: int
    confidence: float
    reached: Mapping[str, Estimate]
    guarantee: str | None
    met: bool | None = None
    costs: Costs | None = None
    left_at: tuple[int, ...] | None = None
    version: str = __version__

    def __repr__(self) -> str:
        met = {True: ", met", False: ", missed", None: ""}[self.met]
        reached = ", ".join(f"{name} {each.value:.3f}" for name, each in self.reached.items())
        asked = f"{self.asked.budget} {self.asked.value:g}{met}"
        return f"OperatingPoint({self.criterion.build().name} at {in_numbers(self.threshold)}: {reached}; {asked})"

    def __post_init__(self) -> None:
        thresholds = at_exits(self.threshold, len(ascending(self.layers_of_exits, "layers_of_exits")))
        lowest = min(thresholds)  # an infinite one may stand beside others
        if lowest == math.inf or any(map(math.isnan, thresholds)) or (self.threshold == lowest == -math.inf):
            raise ValueError(f"Expected argument `threshold` to be finite, but got {self.threshold}.")
        if self.left_at is not None and (len(self.left_at) != len(thresholds) or min(self.left_at) < 0):
            raise ValueError(f"Expected as many counts in `left_at` as exits, but got {self.left_at}.")

    def write(self, file: Path) -> None:
        """Write it as JSON; numbers come back to the last bit, and infinity stands as Python's JSON has it."""
        fields = {"format": FORMAT, **asdict(self)}
        file.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path) -> "OperatingPoint":
        """Read an operating point from a file, or from the ``operating_point.json`` of a folder.

        Raises:
            RunFolderError: There is no such file, it is damaged, of a format that this release does not know, or its
                criterion cannot be made or lacks what it has to learn.
        """
        file = Path(path) / OPERATING_POINT if Path(path).is_dir() else Path(path)
        again = "choose the operating point again: ee-lightning choose"
        if not file.is_file():
            raise RunFolderError("there is no operating point here", where=file, hint=again)
        with reading(file, hint=again):
            fields = read_json(file)
            is_old = fields.get("format") == 1
            check_format(fields, 1 if is_old else FORMAT, file, hint=again)
            return typed(StoredPoint, with_layers(fields) if is_old else fields)


def with_layers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a point of format 1, for whose model every layer had an exit, as those of this format."""
    num_exits = typed(int, fields["num_exits"], at="num_exits")
    if not 1 <= num_exits <= _MOST_EXITS:
        raise ValueError(f"num_exits is {num_exits}")
    kept = {name: value for name, value in fields.items() if name != "num_exits"}
    return {**kept, "layers_of_exits": [*range(1, num_exits + 1)]}


def _complete(point: OperatingPoint) -> OperatingPoint:
    """Return an operating point from a file, whose criterion has learnt what it needs."""
    criterion = point.criterion.build()
    num_exits = len(point.layers_of_exits)
    if isinstance(criterion, Fitted) and point.criterion.fitted.get(NUM_EXITS) != num_exits:
        raise ValueError(f"{criterion.name} was not fitted on {num_exits} exits")
    return point


StoredPoint = Annotated[OperatingPoint, AfterValidator(_complete)]
"""An operating point that a file holds."""
