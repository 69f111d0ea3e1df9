"""Options of criteria as options of a command, ``--voting.k 0.5``, so that a W&B sweep can vary them."""

import argparse
import inspect
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace

from ee_lightning.cli.options import Options
from ee_lightning.errors import OptionError
from ee_lightning.exits import CRITERIA
from ee_lightning.operating import CriterionRecipe, recipe_of


def add_criterion_options(options: Options) -> None:
    """Add ``--NAME.OPTION`` for every option of every criterion, beside the help, which they would fill."""
    for name, kind in CRITERIA.items():
        for option in inspect.signature(kind).parameters:
            options.add_argument(f"--{name}.{option}", help=argparse.SUPPRESS)


def with_options(recipes: Sequence[CriterionRecipe], chosen: Namespace) -> list[CriterionRecipe]:
    """Give criteria the options that the command line has for them.

    Args:
        recipes: The criteria.
        chosen: What the command line was parsed to.

    Returns:
        The criteria with these options, in the same order.

    Raises:
        OptionError: There is no criterion to take an option, or a value can't be read.

    Example:
        >>> with_options([recipe_of("voting(fallback=majority)")], Namespace(**{"voting.k": "0.5"}))[0].init_args
        {'fallback': 'majority', 'k': 0.5}
    """
    changed = list(recipes)
    for dotted, value in vars(chosen).items():
        name, is_dotted, option = dotted.partition(".")
        if not is_dotted or value is None:
            continue
        given = recipe_of(f"{name}({option}={value})")
        takers = [place for place, recipe in enumerate(recipes) if recipe.class_path == given.class_path]
        if not takers:
            raise OptionError(
                f"--{dotted} is given, but not the criterion {name}", where="--criteria", mend=f"--criteria {name}"
            )
        for place in takers:
            changed[place] = replace(changed[place], init_args={**changed[place].init_args, **given.init_args})
    return changed
