"""Criteria as tables and command lines name them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from ee_lightning import exits
from ee_lightning.errors import OptionError
from ee_lightning.exits import CRITERIA, Criterion, Fitted
from ee_lightning.operating.recipe import CriterionRecipe

_CRITERION = re.compile(r"\s*(\w+)\s*(?:\(\s*([^()]*)\))?\s*(?:,|$)")
_OPTION = re.compile(r"\s*(\w+)\s*=\s*([^,\[\]{}]+?|\[[^\[\]{}]*\])\s*(?:,\s*|$)")
_KNOWN = ", ".join(CRITERIA)


def criteria(text: str) -> list[CriterionRecipe]:
    """Read criteria as tables name them, separated by commas.

    Args:
        text: Such as ``voting(k=0.5, fallback=majority), patience``.

    Raises:
        OptionError: A name is not known, the text can't be read, or there is no criterion in it.

    Example:
        >>> criteria("voting(k=0.5, fallback=majority), patience")[0].init_args
        {'k': 0.5, 'fallback': 'majority'}
    """
    read = _read_all(_CRITERION, text, mend="write voting(k=0.5),patience,entropy")
    recipes = [_recipe(found[1], found[2] or "") for found in read]
    if not recipes:
        raise OptionError("no criterion is given", where="the list of criteria", mend=f"use some of {_KNOWN}")
    return recipes


def recipe_of(criterion: str | Criterion | CriterionRecipe) -> CriterionRecipe:
    """Give the recipe of a criterion, what it was fitted included.

    Args:
        criterion: A name such as ``voting(k=0.5)``, a criterion of `ee_lightning.exits`, or a recipe.

    Raises:
        OptionError: The name can't be read or names several, the criterion was not fitted yet, or it is of a class that
            no name stands for.

    Example:
        >>> recipe_of("voting(k=0.5)") == recipe_of(exits.Voting(k=0.5))
        True
    """
    if isinstance(criterion, CriterionRecipe):
        return criterion
    if isinstance(criterion, str):
        recipes = criteria(criterion)
        if len(recipes) != 1:
            raise OptionError(f"{len(recipes)} criteria are given", where="criterion", mend="give one at a time")
        return recipes[0]
    if CRITERIA.get(criterion.name.partition("(")[0]) is not type(criterion):
        raise OptionError(
            f"no name stands for the criterion {type(criterion).__name__}",
            where="criterion",
            mend="give it as a CriterionRecipe, which says how to make it anew",
        )
    (recipe,) = criteria(criterion.name)
    return replace(recipe, fitted=criterion.fitted) if isinstance(criterion, Fitted) else recipe


def _recipe(name: str, options: str) -> CriterionRecipe:
    if name not in CRITERIA:
        raise OptionError(f"there is no criterion {name!r}", where="criterion", mend=f"use some of {_KNOWN}")
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
