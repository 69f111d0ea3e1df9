"""Options of the commands that need no Lightning."""

import argparse
import inspect
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

from ee_lightning.errors import OptionError
from ee_lightning.exits import CRITERIA
from ee_lightning.exits.naming import CriterionSpec, spec_of


class Options(argparse.ArgumentParser):
    """A parser that raises what a user did wrong."""

    def error(self, message: str) -> NoReturn:
        """Raise the mistake."""
        raise OptionError(message, where="the command line", hint=f"'{self.prog} --help' lists the options")

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


def add_criterion_options(options: Options) -> None:
    """Add ``--NAME.OPTION`` for every option of every criterion, beside the help, which they would fill."""
    for name, kind in CRITERIA.items():
        for option in inspect.signature(kind).parameters:
            options.add_argument(f"--{name}.{option}", help=argparse.SUPPRESS)


def with_options(specs: Sequence[CriterionSpec], chosen: Namespace) -> list[CriterionSpec]:
    """Apply the options that the command line has for criteria to them.

    Args:
        specs: The criteria.
        chosen: What the command line was parsed to.

    Returns:
        The criteria with these options, in the same order.

    Raises:
        OptionError: There is no criterion to take an option, or a value can't be read.

    Example:
        >>> with_options([spec_of("voting(fallback=majority)")], Namespace(**{"voting.k": "0.5"}))[0].init_args
        {'fallback': 'majority', 'k': 0.5}
    """
    changed = list(specs)
    for dotted, value in vars(chosen).items():
        name, is_dotted, option = dotted.partition(".")
        if not is_dotted or value is None:
            continue
        given = spec_of(f"{name}({option}={value})")
        takers = [place for place, spec in enumerate(specs) if spec.class_path == given.class_path]
        if not takers:
            raise OptionError(
                f"--{dotted} is given, but not the criterion {name}", where="--criteria", hint=f"--criteria {name}"
            )
        for place in takers:
            changed[place] = replace(changed[place], init_args={**changed[place].init_args, **given.init_args})
    return changed
