"""Options of the commands that need no Lightning."""

import argparse
import re
from typing import NoReturn

import yaml

from ee_lightning.errors import OptionError
from ee_lightning.exits import CRITERIA
from ee_lightning.inference import CriterionRecipe

_CRITERION = re.compile(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*(?:,|$)")


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
        OptionError: A name is not known, or the text can't be read.

    Example:
        >>> criteria("voting(k=1, fallback=majority), patience")[0].init_args
        {'k': 1, 'fallback': 'majority'}
    """
    recipes, position = [], 0
    while position < len(text):
        found = _CRITERION.match(text, position)
        if found is None:
            raise OptionError(
                f"{text[position:]!r} can't be read as criteria", where=text, mend="write voting(k=1),patience,entropy"
            )
        recipes.append(_recipe(found[1], found[2] or ""))
        position = found.end()
    return recipes


def _recipe(name: str, options: str) -> CriterionRecipe:
    if name not in CRITERIA:
        raise OptionError(f"there is no criterion {name!r}", mend=f"use some of {', '.join(CRITERIA)}")
    given = dict(option.split("=", 1) for option in options.split(",") if "=" in option)
    if len(given) != sum(bool(option.strip()) for option in options.split(",")):
        raise OptionError(f"the options of {name} can't be read", where=options, mend=f"write {name}(option=value)")
    kind = CRITERIA[name]
    init_args = {key.strip(): yaml.safe_load(value) for key, value in given.items()}
    return CriterionRecipe(f"{kind.__module__}.{kind.__qualname__}", init_args)
