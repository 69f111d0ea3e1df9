"""Figures of a split as a finished run has them, for tests that need some to be there."""

from collections.abc import Sequence
from typing import Any


def figures(metrics: Sequence[str] = ("accuracy",), **changes: object) -> dict[str, Any]:
    """Return the figures of 3 exits, with changes."""
    return {
        "task": "rte",
        "samples": 1,
        "metrics": list(metrics),
        "num_exits": 3,
        "exits": {metric: [0.5, 0.5, 0.5] for metric in metrics},
        "full_model": dict.fromkeys(metrics, 0.5),
        "oracle": None,
        "criteria": {},
        **changes,
    }
