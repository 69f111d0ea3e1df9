"""Whether calibration rows can teach what is asked of them."""

from collections.abc import Iterator
from math import sqrt

from ee_lightning.errors import counted, listed
from ee_lightning.exits import StoredExits
from ee_lightning.functional import Kind, same_rows
from ee_lightning.functional.schedules import FEWEST

SURE = 4.0
"""By how many standard errors the full model may be better on the calibration rows."""


def doubts(calibration: StoredExits, exits: StoredExits) -> Iterator[str]:
    """Yield what is doubtful about rows that criteria were fitted on, beside those of the split to report on."""
    if exits.target.kind is Kind.REGRESSION or exits.labels is None or calibration.labels is None:
        return
    if calibration.num_samples < FEWEST:
        few = counted(calibration.num_samples, "calibration row")
        yield f"{few} can't tell thresholds of different exits: scheduled criteria have one for all below {FEWEST} rows"
    if exits.target.kind is Kind.SINGLE_LABEL:
        known = {*calibration.labels.tolist()}
        if lacking := sorted({*exits.labels.tolist()} - known):
            which = "them" if len(lacking) > 1 else "it"
            names = f"label{'s' * (len(lacking) > 1)} {listed([*map(str, lacking)])}"
            yield f"no calibration row has the {names}, so criteria fitted on these rows can't know {which}"
    (first, right), (second, usual) = ((each.num_samples, _right(each)) for each in (calibration, exits))
    pooled = (right * first + usual * second) / (first + second)
    if right - usual > SURE * sqrt(pooled * (1 - pooled) * (1 / first + 1 / second)):
        yield (
            f"the full model is right on {right:.1%} of the calibration rows and on {usual:.1%} of these: was it "
            "trained on the former? What is fitted on such rows is too bold"
        )


def _right(exits: StoredExits) -> float:
    """Return the share of samples that the full model has right."""
    return same_rows(exits.predictions[-1], exits.known_labels()).double().mean().item()
