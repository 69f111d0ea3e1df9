"""The errors a user can cause, each saying what is wrong, where it was found and how to mend it.

The command line prints them without a traceback. A mistake of a programmer raises the built-in exceptions instead.
"""

from collections.abc import Collection


class EarlyExitError(Exception):
    """A mistake that its user can mend.

    Args:
        what: What is wrong, with the offending value.
        where: The file, folder, option or place that was looked at.
        mend: What to do about it.
    """

    def __init__(self, what: str, *, where: object = None, mend: str | None = None) -> None:
        self.what, self.where, self.mend = what, where, mend
        lines = [what]
        if where is not None:
            lines.append(f"  where: {where}")
        if mend is not None:
            lines.append(f"  mend:  {mend}")
        super().__init__("\n".join(lines))


class OptionError(EarlyExitError, ValueError):
    """An option has a value that makes no sense."""


def require_one_of(value: str, known: Collection[str], option: str) -> None:
    """Refuse a value that is not among the known ones.

    Args:
        value: The value given.
        known: The values that make sense.
        option: The option's full name.

    Raises:
        OptionError: ``value`` is not known.
    """
    if value not in known:
        raise OptionError(f"{value!r} is not a value of {option}", where=option, mend=f"use one of {', '.join(known)}")


def require_at_least_one(**options: int) -> None:
    """Refuse numbers below 1.

    Args:
        **options: The numbers, by the names of their options.

    Raises:
        OptionError: One is below 1.
    """
    for name, value in options.items():
        if value < 1:
            raise OptionError(f"{name} is {value}", where=name, mend="give 1 or more")


class DataError(EarlyExitError):
    """A task, a file, a column or a label is missing or wrong."""


class BackboneError(EarlyExitError):
    """Pretrained weights are missing, damaged, or of a family that is not known."""


class TrainingDiverged(EarlyExitError):
    """The loss ran away."""


class RunFolderError(EarlyExitError):
    """A run folder lacks what was asked of it."""
