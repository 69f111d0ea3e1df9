"""The figures of a split, as ``summary.json`` holds them, and what its operating points reach on the clock."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from ee_lightning.errors import counted
from ee_lightning.exits import Curve, Threshold

NAMED_SPEEDUPS = (1.0, 1.5, 2.0, 3.0)
_Measured = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Figures:
    """The figures of a split, as ``summary.json`` holds them; see `summarise`.

    Attributes:
        task: The name of the task.
        samples: Number of samples.
        metrics: The primary one first.
        num_exits: Number of exits.
        layers_of_exits: The layer after which each stands; None in files of releases that put one after every layer.
        exits: By metric, exit by exit.
        full_model: By metric.
        oracle: Its speed-up, and its score by metric; None for regression.
        criteria: By name and metric.
        checkpoint: The file of the weights; None where that is not known.

    Raises:
        ValueError: A metric has no figures, or not of every exit.
    """

    task: str
    samples: PositiveInt
    metrics: Annotated[list[str], Field(min_length=1)]
    num_exits: PositiveInt
    exits: dict[str, list[float]]
    full_model: dict[str, float]
    oracle: dict[str, float] | None
    criteria: dict[str, dict[str, dict[str, float | None]]]
    checkpoint: str | None = None
    layers_of_exits: list[PositiveInt] | None = None

    def __post_init__(self) -> None:
        """Check that every metric has its figures."""
        named = {"area", *(f"score_at_{speedup:g}x" for speedup in NAMED_SPEEDUPS)}
        needed: dict[str, tuple[Collection[str] | None, Collection[str]]] = {
            "exits": (self.exits, self.metrics),
            "full_model": (self.full_model, self.metrics),
            "oracle": (self.oracle, ["speedup", *self.metrics]),
            **{f"criteria.{name}": (by_metric, self.metrics) for name, by_metric in self.criteria.items()},
            **{
                f"criteria.{name}.{metric}": (figures, named)
                for name, by_metric in self.criteria.items()
                for metric, figures in by_metric.items()
            },
        }
        for where, (figures, names) in needed.items():
            if lacking := [name for name in sorted(names) if figures is not None and name not in figures]:
                raise ValueError(f"{where}.{lacking[0]} is missing")
        if any(len(scores) != self.num_exits for scores in self.exits.values()):
            raise ValueError(f"exits has not a score of each of {self.num_exits} exits")


@dataclass(frozen=True, eq=False)
class Results:
    """What a run folder has of some criteria on a split: curves, and by name what its JSON files hold of them."""

    curves: Sequence[Curve] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    fitted: Mapping[str, Any] = field(default_factory=dict)
    histograms: Mapping[str, Any] = field(default_factory=dict)
    leaving_aurocs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MeasuredSpeed:
    """The speed of an operating point beside that of the full model, measured side by side.

    Attributes:
        criterion: The name of the criterion.
        threshold: In the criterion's own unit, one for all exits or one for each.
        schedule: The engine's: ``depth_first``, or ``breadth_first`` for throughput.
        batch_size: Samples a batch; ``pool`` for ``breadth_first``, which makes batches of its own.
        full_batch_size: The full model's samples a batch: the same, or beside a pool those at which it was fastest.
        full_layers: The full model's layers.
        samples: Number of samples.
        layer_speedup: The full model's layers / mean of those executed.
        flops_speedup: The full model's floating-point operations / those of early exit with all heads passed; None
            of an exported model, of which they are not counted.
        wall_speedup: The full model's time / that of early exit, the median over repeats.
        wall_speedup_low: Its first quartile.
        wall_speedup_high: Its third quartile.
        latency_ms: The median time of a batch, in milliseconds; for a pool that of all samples.
        latency_p95_ms: Its 95th percentile.
        full_latency_ms: The full model's median time of a batch.
        full_latency_p95_ms: Its 95th percentile.
        throughput: Samples a second.
        full_throughput: The full model's samples a second.
        device: Where it was measured, such as ``cpu``.
        threads: Number of threads that share an operation on the processor.
        precision: ``fp32`` or ``bf16`` of both, or ``int8`` of an exported model.
        torch: The version of PyTorch; None where ONNX Runtime ran the model.

    Raises:
        ValueError: The speed-up on the clock is not between its quartiles.
    """

    criterion: str
    threshold: Threshold
    schedule: str
    batch_size: str
    full_batch_size: PositiveInt
    full_layers: PositiveInt
    samples: PositiveInt
    layer_speedup: _Measured
    flops_speedup: _Measured | None
    wall_speedup: _Measured
    wall_speedup_low: _Measured
    wall_speedup_high: _Measured
    latency_ms: _Measured
    latency_p95_ms: _Measured
    full_latency_ms: _Measured
    full_latency_p95_ms: _Measured
    throughput: _Measured
    full_throughput: _Measured
    device: str
    threads: PositiveInt
    precision: str
    torch: str | None

    def __post_init__(self) -> None:
        """Check the quartiles."""
        if not self.wall_speedup_low <= self.wall_speedup <= self.wall_speedup_high:
            raise ValueError(f"wall_speedup is {self.wall_speedup}, which is not between its quartiles")

    @property
    def conditions(self) -> str:
        """Where and how it was measured, in words."""
        engine = "ONNX Runtime" if self.torch is None else f"torch {self.torch}"
        return f"{self.device}, {counted(self.threads, 'thread')}, {self.precision}, {engine}"
