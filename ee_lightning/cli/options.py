"""Options of the commands that need no Lightning."""

import argparse
import ast
import re
from collections.abc import Iterator
from typing import NoReturn

from ee_lightning import exits
from ee_lightning.errors import OptionError
from ee_lightning.exits import CRITERIA
from ee_lightning.operating import CriterionRecipe

_CRITERION = re.compile(r"\s*(\w+)\s*(?:\(\s*([^()]*)\))?\s*(?:,|$)")
_OPTION = re.compile(r"\s*(\w+)\s*=\s*([^,\[\]{}]+?|\[[^\[\]{}]*\])\s*(?:,\s*|$)")
_KNOWN = ", ".join(CRITERIA)


class Options(argparse.ArgumentParser):
    """A parser that raises what a user did wrong."""

    def error(self, message: str) -> NoReturn:
        """Raise the mistake."""
        raise OptionError(message, where="the command line", mend=f"'{self.prog} --help' lists the options")


def criteria(text: str) -> list[CriterionRecipe]:
    """Read criteria as tables name them, separated by commas.

    Args:
        text: Such as ``voting(k=1, fallback=majority), patience``.

    Raises:
        OptionError: A name is not known, the text can't be read, or there is no criterion in it.

    Example:
        >>> criteria("voting(k=1, fallback=majority), patience")[0].init_args
        {'k': 1, 'fallback': 'majority'}
    """
    read = _read_all(_CRITERION, text, mend="write voting(k=1),patience,entropy")
    recipes = [_recipe(found[1], found[2] or "") for found in read]
    if not recipes:
        raise OptionError("no criterion is given", where="the list of criteria", mend=f"use some of {_KNOWN}")
    return recipes


def one_criterion(text: str) -> CriterionRecipe:
    """Read one criterion as tables name it.

    Args:
        text: Such as ``voting(k=1)``.

    Raises:
        OptionError: As for `criteria`, or there are several.
    """
    recipes = criteria(text)
    if len(recipes) != 1:
        raise OptionError(f"{len(recipes)} criteria are given", where="--criterion", mend="choose for one at a time")
    return recipes[0]


def _recipe(name: str, options: str) -> CriterionRecipe:
    if name not in CRITERIA:
        raise OptionError(f"there is no criterion {name!r}", mend=f"use some of {_KNOWN}")
    init_args: dict[str, object] = {}
    for found in _read_all(_OPTION, options, mend=f"write {name}(option=value), and lists as in beem(weights=[1, 2])"):
        if found[1] in init_args:
            raise OptionError(f"the option {found[1]} is given twice", where=f"{name}({options})", mend="give it once")
        init_args[found[1]] = _value(found[2])
    return CriterionRecipe(f"{exits.__name__}.{CRITERIA[name].__name__}", init_args)


def _value(text: str) -> object:
    """Read a number or a list of them; anything else is a word."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _read_all(pattern: re.Pattern[str], text: str, mend: str) -> Iterator[re.Match[str]]:
    """Match a pattern again and again, up to the end of the text."""
    position = 0
    while position < len(text):
        found = pattern.match(text, position)
        if found is None:
            raise OptionError(f"{text[position:]!r} can't be read", where=text, mend=mend)
        yield found
        position = found.end()
