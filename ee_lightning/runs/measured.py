"""What an operating point reaches on the clock."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, PositiveInt

_Measured = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class MeasuredSpeed:
    """The speed of an operating point beside that of the full model, measured side by side.

    Attributes:
        criterion: The name of the criterion.
        threshold: In the criterion's own unit.
        schedule: The engine's: ``depth_first``, or ``breadth_first`` for throughput.
        batch_size: Samples a batch; ``pool`` for ``breadth_first``, which makes batches of its own.
        full_batch_size: The full model's samples a batch: the same, or beside a pool those at which it was fastest.
        full_layers: The full model's layers.
        samples: Number of samples.
        layer_speedup: The full model's layers / mean of those executed.
        flops_speedup: The full model's floating-point operations / those of early exit with all heads passed.
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
        precision: ``fp32`` or ``bf16``, of both.
        torch: The version of PyTorch.

    Raises:
        ValueError: The speed-up on the clock is not between its quartiles.
    """

    criterion: str
    threshold: float
    schedule: str
    batch_size: str
    full_batch_size: PositiveInt
    full_layers: PositiveInt
    samples: PositiveInt
    layer_speedup: _Measured
    flops_speedup: _Measured
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
    torch: str

    def __post_init__(self) -> None:
        """Check the quartiles."""
        if not self.wall_speedup_low <= self.wall_speedup <= self.wall_speedup_high:
            raise ValueError(f"wall_speedup is {self.wall_speedup}, which is not between its quartiles")

    @property
    def conditions(self) -> str:
        """Where and how it was measured, in words."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.device}, {threads}, {self.precision}, torch {self.torch}"
