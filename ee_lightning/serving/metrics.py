"""What a server tells Prometheus."""

from collections import deque
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ee_lightning.exits.placement import Layers
from ee_lightning.serving.drift import ExitDrift

WINDOW = 1000
"""Of how many of the latest rows the means are."""
CLIENT_GONE = 499
"""The status for requests whose client left before the whole request had arrived; nginx uses it too."""
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """The figures of one server.

    Args:
        layers_of_exits: The layer after which each exit stands.
        expected: How many rows left at each exit, ``[exits]``, where the operating point was measured; None if that is
            not known.
    """

    def __init__(self, layers_of_exits: Layers, expected: Sequence[int] | None) -> None:
        self._registry = registry = CollectorRegistry()
        self._layers_of_exits, self._drift = layers_of_exits, ExitDrift(expected, len(layers_of_exits), WINDOW)
        self._latest = deque[tuple[int, bool]](maxlen=WINDOW)  # layers, and whether the row was cut
        self._requests = Counter(
            "ee_requests",
            "Requests, by status; 499 where the client left before the whole request had arrived",
            ["status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "ee_request_seconds", "Seconds from a request to its answer", buckets=_SECONDS, registry=registry
        )
        exits = [*map(float, range(1, len(layers_of_exits) + 1))]
        self._exits = Histogram("ee_exit", "The exit where a row left, from 1", buckets=exits, registry=registry)
        self._cut = Counter("ee_rows_cut", "Rows that were cut to the longest that the model takes", registry=registry)
        self.waiting = Gauge("ee_rows_waiting", "Rows that wait for their answer", registry=registry)
        mean = Gauge("ee_mean_layers", f"Mean layers of the latest {WINDOW} rows", registry=registry)
        mean.set_function(lambda: self._mean(0))
        share = Gauge("ee_cut_share", f"Share of the latest {WINDOW} rows that were cut", registry=registry)
        share.set_function(lambda: self._mean(1))
        drift = Gauge(
            "ee_exit_drift_psi",
            f"Population stability index of the latest {WINDOW} rows' exits against the operating point's; NaN if "
            "unknown",
            registry=registry,
        )
        drift.set_function(lambda: float("nan") if self._drift.figure is None else self._drift.figure)
        self._own_threshold = Gauge(
            "ee_threshold_is_own", "1 at the model's own threshold, 0 at another", registry=registry
        )
        self.threshold_changed(is_own=True)

    def answered(self, status: int, seconds: float) -> None:
        """Count a request, and the seconds until its answer where it got one."""
        self._requests.labels(str(status)).inc()
        if status != CLIENT_GONE:
            self._seconds.observe(seconds)

    def left(self, exits: Sequence[int], cut: Sequence[bool]) -> None:
        """Count rows by the exits where they left, ``[rows]``, and whether they were cut, ``[rows]``."""
        for exit_layer, is_cut in zip(exits, cut, strict=True):
            self._exits.observe(exit_layer)
            self._latest.append((self._layers_of_exits[exit_layer - 1], is_cut))
            if self._is_own:
                self._drift.add(exit_layer)
        self._cut.inc(sum(cut))

    def threshold_changed(self, *, is_own: bool) -> None:
        """Begin the figure of the drift again, which there is at the model's own threshold alone."""
        self._is_own = is_own
        self._own_threshold.set(is_own)
        self._drift.restart()

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self._registry)

    def _mean(self, field: int) -> float:
        return sum(row[field] for row in self._latest) / len(self._latest) if self._latest else float("nan")
