"""Thresholds: one number for all exits, or one for each."""

from collections.abc import Sequence
from math import isnan

from ee_lightning.errors import OptionError, counted
from ee_lightning.exits.criterion import in_short

Threshold = float | tuple[float, ...]
"""In a criterion's own unit: a number that holds at every exit, or a number for each exit, the first one first."""


def as_threshold(given: float | Sequence[float]) -> Threshold:
    """Return a threshold as it is kept: a floating-point number, or a tuple of them.

    With infinity no sample leaves early.

    Raises:
        OptionError: There is none, or one is no number.

    Example:
        >>> as_threshold(1), as_threshold([0.9, 0.75])
        (1.0, (0.9, 0.75))
    """
    threshold = tuple(map(float, given)) if isinstance(given, Sequence) else float(given)
    numbers = threshold if isinstance(threshold, tuple) else (threshold,)
    if not numbers or any(map(isnan, numbers)):
        what = "the threshold is no number" if numbers else "there is no threshold"
        raise OptionError(what, where="threshold", hint="with infinity no sample leaves early")
    return threshold


def at_exits(threshold: Threshold, num_exits: int) -> tuple[float, ...]:
    """Return the threshold of each exit; an OptionError if there are thresholds of another number of exits.

    Example:
        >>> at_exits(0.9, 3)
        (0.9, 0.9, 0.9)
    """
    if not isinstance(threshold, tuple):
        return (threshold,) * num_exits
    if len(threshold) != num_exits:
        raise OptionError(
            f"there are {counted(len(threshold), 'threshold')} for {counted(num_exits, 'exit')}",
            where="threshold",
            hint="give one number for all exits, or one for each",
        )
    return threshold


def in_words(threshold: Threshold) -> str:
    """Return a threshold as a text that says whether there are several, which are rounded to four digits.

    Example:
        >>> in_words(0.9), in_words((0.9, 0.749999))
        ('threshold 0.9', 'thresholds 0.9, 0.75')
    """
    if isinstance(threshold, tuple):
        return f"thresholds {in_numbers(threshold, digits=4)}"
    return f"threshold {in_numbers(threshold)}"


def in_numbers(threshold: Threshold, digits: int | None = None) -> str:
    """Return a threshold as a text, in full or with so many significant digits; `from_numbers` reads it.

    Example:
        >>> in_numbers(0.9), in_numbers((0.9, 0.66666), digits=2)
        ('0.9', '0.9, 0.67')
    """
    numbers = threshold if isinstance(threshold, tuple) else (threshold,)
    return ", ".join(in_short(each) if digits is None else f"{each:.{digits}g}" for each in numbers)


def from_numbers(text: str) -> Threshold:
    """Return the threshold, or the one for each exit, that a text holds; a ValueError if it holds none.

    Example:
        >>> from_numbers("0.9"), from_numbers("0.9, inf")
        (0.9, (0.9, inf))
    """
    numbers = tuple(map(float, text.split(",")))
    return as_threshold(numbers if len(numbers) > 1 else numbers[0])
