"""Values from outside, of JSON, YAML, CSV or a command line, as objects of the types that they must have."""

import json
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ee_lightning.errors import EarlyExitError, OptionError

_Made = TypeVar("_Made")

_LONGEST_SHOWN = 60
_PLAIN = {
    "missing": "is missing",
    "missing_argument": "is missing",
    "extra_forbidden": "is not known",
    "unexpected_keyword_argument": "is not known",
}


def typed(kind: type[_Made], values: object, *, at: str = "", others: bool = False) -> _Made:
    """Return values as an object of a type; nothing is converted, but that a whole number is a floating-point one too.

    Args:
        kind: Any type that pydantic knows, such as a dataclass or ``dict[str, float]``.
        values: What JSON can hold; anything else is taken for the text that it is written as.
        at: The dotted path of the values, for the error.
        others: Whether fields that a dataclass lacks are passed over.

    Raises:
        OptionError: A field is missing, not known or of another type, or the object refuses it.

    Example:
        >>> typed(dict[str, float | None], {"area": 1, "score": None})
        {'area': 1.0, 'score': None}
    """
    try:
        written = json.dumps(values, default=str)
        adapter: TypeAdapter[_Made] = _adapter(kind)  # type: ignore[arg-type]  # types are hashable
        return adapter.validate_json(written, strict=True, extra="ignore" if others else "forbid")
    except ValidationError as error:
        field, what = _first_mistake(error, at)
        raise OptionError(what, where=field or None) from error
    except (TypeError, RecursionError) as error:
        raise OptionError("it holds what JSON can't hold") from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _first_mistake(error: ValidationError, at: str) -> tuple[str, str]:
    """Return the path of the first field that is wrong, and what is wrong with it."""
    first = error.errors(include_url=False)[0]
    field = ".".join([*([at] if at else []), *map(str, first["loc"])])
    if first["type"] in _PLAIN:
        return field, f"{field} {_PLAIN[first['type']]}"
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, Exception):
        return field, cause.what if isinstance(cause, EarlyExitError) else str(cause)
    found = repr(first["input"])
    found = f"{found[:_LONGEST_SHOWN]}…" if len(found) > _LONGEST_SHOWN else found
    return field, f"{field or 'it'} is {found}, and {first['msg'].replace('Input', 'it', 1)}"
