"""Options of the commands that need no Lightning."""

import argparse
from collections.abc import Callable, Sequence
from typing import NoReturn

from ee_lightning.errors import OptionError


class Options(argparse.ArgumentParser):
    """A parser that raises what a user did wrong."""

    def error(self, message: str) -> NoReturn:
        """Raise the mistake."""
        raise OptionError(message, where="the command line", mend=f"'{self.prog} --help' lists the options")

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse what follows the command's name; negative numbers such as ``-1e-05`` and ``-inf`` are values.

        Raises:
            OptionError: It can't be parsed.
        """
        return self.parse_args(_with_negative_numbers(arguments))


def up_to(most: int) -> Callable[[str], int]:
    """Return a function that reads a whole number from 1, to be the type of an option.

    Args:
        most: The largest number that makes sense.

    Example:
        >>> up_to(8)("3")
        3
    """

    def read(text: str) -> int:
        if not text.strip().isdecimal() or len(text.strip()) > len(str(most)) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is no whole number from 1 to {most}")
        return int(text)

    return read


def _with_negative_numbers(arguments: Sequence[str]) -> list[str]:
    """Put negative numbers, which would be taken for options, together with the options before them."""
    together: list[str] = []
    for argument in arguments:
        option = together[-1] if together and together[-1].startswith("--") else ""
        if option and "=" not in option and _is_negative_number(argument):
            together[-1] = f"{option}={argument}"
        else:
            together.append(argument)
    return together


def _is_negative_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.startswith("-")
