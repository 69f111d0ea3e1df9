"""Making an object of values that came from outside: from a file, or from a command line."""

import inspect
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ee_lightning.errors import OptionError

_Made = TypeVar("_Made")


def construct(kind: type[_Made], options: Mapping[str, Any]) -> _Made:
    """Make an object, after a check that its class takes these options, of these types.

    Args:
        kind: The class.
        options: What it is given, by name.

    Returns:
        The object.

    Raises:
        OptionError: An option is not known, is missing, or its value is of another type.

    Example:
        >>> from fractions import Fraction
        >>> construct(Fraction, {"numerator": 3, "denominator": 4})
        Fraction(3, 4)
    """
    signature, types = inspect.signature(kind), get_type_hints(kind.__init__)

    def refuse(option: str, got: str) -> OptionError:
        takes = signature.replace(return_annotation=signature.empty)
        return OptionError(
            f"{kind.__name__} got {got}", where=f"{kind.__name__}.{option}", mend=f"it takes {kind.__name__}{takes}"
        )

    for option, value in options.items():
        if option not in signature.parameters or not suits(value, types.get(option, Any)):
            raise refuse(option, f"{option}={value!r}")
    for option, parameter in signature.parameters.items():
        if parameter.default is parameter.empty and option not in options:
            raise refuse(option, f"no {option}")
    return kind(**options)


def suits(value: object, annotation: Any) -> bool:
    """Tell whether a value is of an annotated type; a whole number is a float too, and a truth value no number.

    Args:
        value: A value such as JSON knows.
        annotation: A class, or a union, list or literal; what cannot be checked suits.

    Example:
        >>> suits([1, 0.5], list[float] | None), suits(True, int), suits("mean", Literal["last"])
        (True, False, False)
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return value in parts
    if origin in (Union, UnionType):
        return any(suits(value, part) for part in parts)
    if origin is list:
        return isinstance(value, list) and all(suits(entry, parts[0]) for entry in value)
    if annotation in (int, float):
        return isinstance(value, (int, annotation)) and not isinstance(value, bool)
    kind = origin or annotation
    return kind is Any or not isinstance(kind, type) or isinstance(value, kind)
