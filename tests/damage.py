"""Damage as an editor or a script of the user does it to the values of a file."""

from collections.abc import Iterator
from copy import deepcopy
from math import inf, nan
from typing import Any

DROPPED = object()
INSTEAD = (DROPPED, None, [], {}, "word", True, -1, 0, 7, 1.5, 10**30, nan, inf, [None], [["a"]])


def damaged(fields: Any) -> Iterator[tuple[str, Any]]:
    """Yield copies of nested values in which one of them (of a list the first) is gone or another."""
    for path in _paths(fields):
        for value in INSTEAD:
            copy = deepcopy(fields)
            place = copy
            for part in path[:-1]:
                place = place[part]
            if value is DROPPED:
                del place[path[-1]]
            else:
                place[path[-1]] = value
            yield f"{'.'.join(map(str, path))}: {'dropped' if value is DROPPED else repr(value)}", copy


def _paths(fields: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = fields if isinstance(fields, dict) else range(min(len(fields), 1)) if isinstance(fields, list) else ()
    for key in keys:
        yield (*path, key)
        yield from _paths(fields[key], (*path, key))
