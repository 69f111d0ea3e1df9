"""Which criteria can judge stored exits."""

from collections.abc import Sequence

from ee_lightning.errors import OptionError
from ee_lightning.exits import CRITERIA, GATE, Criterion, Fitted, Gate, StoredExits
from ee_lightning.operating import recipe_of
from ee_lightning.reporting.sweep import distinct


def all_that_apply(exits: StoredExits, calibration: StoredExits | None) -> list[Criterion]:
    """Return every criterion, with its defaults, that can judge these exits, but for the references of every sweep.

    Args:
        exits: The stored exits.
        calibration: Those of rows held out for criteria that fit something; None leaves these criteria out.
    """
    return distinct([each for kind in CRITERIA.values() if _applies(each := kind(), exits, calibration)])


def named(
    names: Sequence[str], exits: StoredExits, calibration: StoredExits | None
) -> tuple[list[Criterion], list[str]]:
    """Return the criteria that go by these names and can judge these exits, and the names that stand for none.

    Args:
        names: As tables have them, such as ``voting(k=0.5)``; those of criteria of a user's own stand for none.
        exits: The stored exits.
        calibration: Those of rows held out for criteria that fit something.
    """
    made = {name: _by_name(name, exits, calibration) for name in names}
    return [each for each in made.values() if each is not None], [name for name, each in made.items() if each is None]


def _by_name(name: str, exits: StoredExits, calibration: StoredExits | None) -> Criterion | None:
    try:
        criterion = recipe_of(name).build()
    except OptionError:
        return None
    return criterion if criterion.name == name and _applies(criterion, exits, calibration) else None


def _applies(criterion: Criterion, exits: StoredExits, calibration: StoredExits | None) -> bool:
    try:
        criterion.check_task(exits.kind)
    except OptionError:
        return False
    if isinstance(criterion, Gate) and GATE not in exits.extras:
        return False
    return not isinstance(criterion, Fitted) or calibration is not None
