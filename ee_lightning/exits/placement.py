"""After which layers of a model its exits stand."""

from collections.abc import Sequence
from itertools import pairwise
from math import isclose
from typing import Literal

from ee_lightning.errors import OptionError, counted

Layers = tuple[int, ...]
"""The layer after which each exit stands, counted from 1, ascending; the last exit stands after the last layer."""


def exits_after(layers: Sequence[int]) -> str:
    """Say how many exits there are, and after which layers.

    Example:
        >>> exits_after([6]), exits_after([1, 3])
        ('1 exit after layer 6', '2 exits after layers 1, 3')
    """
    return f"{counted(len(layers), 'exit')} after layer{'s' * (len(layers) > 1)} {', '.join(map(str, layers))}"


def ascending(layers: Sequence[int], where: str) -> Layers:
    """Return layers as a tuple, or raise an `OptionError` unless each is 1 or more and above the one before it."""
    given = tuple(layers)
    if not given or given[0] < 1 or any(later <= earlier for earlier, later in pairwise(given)):
        raise OptionError(
            f"the layers of the exits are {', '.join(map(str, given)) or 'none'}",
            where=where,
            hint="list them from the first to the last, counted from 1 and each once, such as 3,6,9,12",
        )
    return given


def placed(exits: Literal["every", "last"] | Sequence[int], depth: int, where: str) -> Layers:
    """Return the layers of the exits of a model of so many layers.

    Raises:
        OptionError: They don't ascend, the model has fewer layers, or its last layer has no exit.

    Example:
        >>> placed("every", 4, "exits"), placed("last", 4, "exits"), placed([2, 4], 4, "exits")
        ((1, 2, 3, 4), (4,), (2, 4))
    """
    if isinstance(exits, str):
        return tuple(range(1, depth + 1)) if exits == "every" else (depth,)
    layers = ascending(exits, where)
    if layers[-1] != depth:
        what = f"an exit is to stand after layer {layers[-1]}, and the model has {depth} layers"
        if layers[-1] < depth:
            what = f"no exit stands after the last of the model's {depth} layers"
        raise OptionError(what, where=where, hint=f"end the list with {depth}: the last exit takes all who are left")
    return layers


def numbers_of(asked: Sequence[int], layers: Layers, where: str) -> list[int]:
    """Return the numbers, from 1, of the exits that are asked, by their layers, among those of a model.

    Raises:
        OptionError: The layers don't ascend, one of them has no exit, or the last exit is not asked.

    Example:
        >>> numbers_of([6, 12], (3, 6, 9, 12), "--exits")
        [2, 4]
    """
    asked = ascending(asked, where)
    there = ", ".join(map(str, layers))
    if lacking := [layer for layer in asked if layer not in layers]:
        what = f"the model has no exit after layer {lacking[0]}"
        raise OptionError(what, where=where, hint=f"ask exits after layers {there}")
    if asked[-1] != layers[-1]:
        what = f"the exit after the last layer, {layers[-1]}, is not asked"
        raise OptionError(what, where=where, hint="ask it too, and last: it takes all who are left")
    return [layers.index(layer) + 1 for layer in asked]


def one_sided(mean_layers: float, layers_of_exits: Layers, samples: str) -> str | None:
    """Return what to warn of where all samples leave at the first exit or none before the last; else None.

    Example:
        >>> one_sided(3.0, (3, 6), "80 samples")
        'all 80 samples leave at the first exit: the threshold is too low to hold one back'
    """
    if len(layers_of_exits) == 1:
        return None
    if isclose(mean_layers, layers_of_exits[0]):
        return f"all {samples} leave at the first exit: the threshold is too low to hold one back"
    if isclose(mean_layers, layers_of_exits[-1]):
        return f"none of {samples} leaves before the last exit: the threshold is too high for them"
    return None
