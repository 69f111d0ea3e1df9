"""Options of the commands that need no Lightning."""

import argparse
from collections.abc import Sequence
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


def at_least_one(text: str) -> int:
    """Read a whole number of 1 or more; the type of an option.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(text)


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
