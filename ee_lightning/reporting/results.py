"""What a run folder has of some criteria."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ee_lightning.exits import Curve


@dataclass(frozen=True, eq=False)
class Results:
    """What a run folder has of some criteria on a split.

    Attributes:
        curves: Their curves.
        figures: Their figures, by name, as in ``summary.json``.
        histograms: At which exits samples leave, by name, as in ``diagnostics.json``.
        fitted: What those that fit something learnt, by name.
    """

    curves: Sequence[Curve] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    histograms: Mapping[str, Any] = field(default_factory=dict)
    fitted: Mapping[str, Any] = field(default_factory=dict)
