"""Compares the options of a run with those of the command that continues or evaluates it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import reduce
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from ee_lightning.errors import OptionError

FREE_TO_DIFFER = (
    "ckpt_path",
    "data.num_workers",
    "data.root",
    "last_checkpoint.every_n_steps",
    "model.adapter",
    "run.root",
    "trainer.enable_model_summary",
    "trainer.enable_progress_bar",
    "trainer.logger",
)
"""The options, with all below them, that don't change what a run computes."""

_LATER = {"data.metrics": None, "model.keep_heads": None, "model.lora": None, "sweep.report": False}
"""The options of later releases, at the value that earlier runs had without them."""
_KNOWN_OTHERWISE = ("run.name", "model.backbone")
"""The options that name a folder: the run's own, and that of the weights, which are identified by their content."""
_MOST_LISTED = 8


def digest_of(content: object) -> str:
    """Return the digest of a value that JSON knows.

    Example:
        >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def options_digest(options: Mapping[str, Any]) -> str:
    """Return the digest of a run's nested options, without those that change no result and those that name a folder."""
    kept = deepcopy(dict(options))
    for name in (*FREE_TO_DIFFER, *_KNOWN_OTHERWISE, *_LATER):
        *groups, last = name.split(".")
        group = reduce(lambda group, key: group.get(key, {}), groups, kept)
        if name not in _LATER or group.get(last) == _LATER[name]:
            group.pop(last, None)
    return digest_of(kept)


def refuse_changes(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    what: str,
    *,
    where: Path,
    ways: Sequence[str],
    free: Sequence[str] = (),
) -> None:
    """Raise an `OptionError` for nested options, read from YAML, that differ and would change what a run computes.

    Args:
        before: The options that it was started with.
        after: The same with other values.
        what: What is wrong with those that differ, which are listed behind it.
        where: The file that holds the earlier ones.
        ways: What to do about it, in lines.
        free: Dotted names of options that may differ besides :data:`FREE_TO_DIFFER`.
    """
    if changed := changes(before, after, free):
        more = [f"and {len(changed) - _MOST_LISTED} more"] if len(changed) > _MOST_LISTED else []
        lines = [what, *changed[:_MOST_LISTED], *more]
        raise OptionError("\n    ".join(lines), where=where, hint="\n         ".join(ways))


def changes(before: Mapping[str, Any], after: Mapping[str, Any], free: Sequence[str] = ()) -> list[str]:
    """Return a line, with both values, for each of the nested options that differ and may not.

    Example:
        >>> before = {"model": {"objective": {"class_path": "torch.nn.Module"}}, "data": {"batch_size": 32}}
        >>> after = {"model": {"objective": {"class_path": "torch.nn.modules.Module"}}, "data": {"batch_size": 8}}
        >>> changes(before, after)
        ['data.batch_size: 32 → 8']
    """
    old, new = ({**leaves(_LATER), **leaves(options)} for options in (before, after))
    return [
        f"{name}: {old.get(name, '(none)')} → {new.get(name, '(none)')}"
        for name in {**old, **new}
        if not is_free(name, free) and not _are_same(name, old.get(name), new.get(name))
    ]


def leaves(options: object, name: str = "") -> dict[str, str]:
    """Return the values of nested options by dotted name, as YAML writes them, but without quotes.

    Args:
        options: The options as read from YAML, or a value.
        name: The dotted name of all of them.

    Example:
        >>> leaves({"data": {"task": "rte", "limit": None}})
        {'data.task': 'rte', 'data.limit': 'null'}
    """
    children = dict(enumerate(options)) if isinstance(options, list) else options
    if not isinstance(children, Mapping) or not children:
        return {name: options if isinstance(options, str) else json.dumps(options, default=str)}
    prefix = f"{name}." if name else ""
    return {leaf: value for key, child in children.items() for leaf, value in leaves(child, f"{prefix}{key}").items()}


def is_free(name: str, others: Sequence[str] = ()) -> bool:
    """Return whether an option is :data:`FREE_TO_DIFFER`, or one of some others, or below one."""
    return any(f"{name}.".startswith(f"{free}.") for free in (*FREE_TO_DIFFER, *others))


def _are_same(name: str, one: str | None, other: str | None) -> bool:
    if one == other or one is None or other is None or not name.endswith("class_path"):
        return one == other
    try:
        return resolve_name(one) is resolve_name(other)  # by a short name or by that of the module that defines it
    except (ImportError, AttributeError, ValueError):
        return False
