"""The label names of a custom task, where they were left out."""

import logging
import unicodedata
from collections.abc import Sequence

from ee_lightning.data.checks import on_first_process
from ee_lightning.data.sources import LocalSource
from ee_lightning.data.task import number_in
from ee_lightning.errors import DataError, listed

log = logging.getLogger(__name__)
MOST_LABELS = 1_000


def infer_labels(source: LocalSource, column: str) -> tuple[str, ...]:
    """Look up the labels of the training rows, and tell what is odd about them.

    Args:
        source: The rows.
        column: Their label column, for messages.

    Raises:
        DataError: There are fewer than two labels, or too many for classes.
    """
    found = source.label_words()
    place = f"column {column!r} of {source.root}"
    if len(found) < 2:
        raise DataError(
            f"all training rows have the label {found[0]!r}" if found else "no training row has a label",
            where=place,
            hint="give rows of two labels or more, or name another column with --data.own.label_column",
        )
    if len(found) > MOST_LABELS:
        raise DataError(
            f"the training rows have {len(found)} different labels",
            where=place,
            hint=f"{_values_or_names(found)}, or name another column",
        )
    _tell_oddities(found, place)
    return tuple(found)


@on_first_process
def _tell_oddities(names: Sequence[str], place: str) -> None:
    if alike := _alike(names):
        log.warning("%s: labels that are written alike are classes of their own: %s", place, listed(alike))
    if all(number_in(name) is not None for name in names) and not all(float(name).is_integer() for name in names):
        log.warning(
            "%s: %d numbers with fractions are taken as classes; for values to be predicted give "
            "--data.own.regression true",
            place,
            len(names),
        )


def _alike(names: Sequence[str]) -> list[str]:
    """Return the names that differ from an earlier one in case, in the form of their characters or numbers alone."""
    first: dict[str | float, str] = {}
    alike = []
    for name in names:
        number = number_in(name)
        known = first.setdefault(unicodedata.normalize("NFKC", name).casefold() if number is None else number, name)
        if known != name:
            alike.append(f"{known!r} and {name!r}")
    return alike


def _values_or_names(found: Sequence[str]) -> str:
    names = f"list the labels with --data.own.label_names, of which there may be more than {MOST_LABELS}"
    is_values = all(number_in(word) is not None for word in found)
    return f"for values to be predicted give --data.own.regression true; for classes {names}" if is_values else names
