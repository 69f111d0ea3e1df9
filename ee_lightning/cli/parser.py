"""The parser of ``fit``, ``validate`` and ``test``."""

import inspect
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import Any

from jsonargparse import Namespace, _typehints
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.utilities import rank_zero_only

LINKED = {
    "data.tokenizer": "model.backbone",
    "data.seed": "seed_everything",
    "model.num_classes": "data.num_classes",
    "model.multi_label": "data.multi_label",
    "model.metrics": "data.metrics",
}
"""The options that nobody gives, each with the option, or the attribute of the data, that it is taken from."""

log = logging.getLogger(__name__)


class OptionsParser(LightningArgumentParser):
    """Refuses linked options in files too, and lets a class that is named anew start from its own defaults."""

    def _parse_common(self, cfg: Namespace, *args: Any, **kwargs: Any) -> Namespace:
        """Refuse linked options, worded as for a flag, before the links overwrite them."""
        for target, source in LINKED.items():
            if target in cfg:
                raise TypeError(f'Linked "{target}" must be given via "{source}".')
        parsed: Namespace = super()._parse_common(cfg, *args, **kwargs)
        return parsed

    def parse_args(self, *args: Any, **kwargs: Any) -> Namespace:  # type: ignore[override]
        """Parse the command line."""
        with _classes_start_anew():
            return super().parse_args(*args, **kwargs)


@contextmanager
def _classes_start_anew() -> Iterator[None]:
    """Drop all options of a class that another takes the place of; jsonargparse keeps those that both have."""
    dropped: dict[str, None] = {}

    def drop(_: object, before: Any, after: Any) -> None:
        if before and "init_args" in before and not _is_same_class(before["class_path"], after["class_path"]):
            dropped.update(dict.fromkeys(_shared_options(before, after["class_path"])))
            before["init_args"].__dict__.clear()

    as_it_was = _typehints.discard_init_args_on_class_path_change
    _typehints.discard_init_args_on_class_path_change = drop
    try:
        yield
    finally:
        _typehints.discard_init_args_on_class_path_change = as_it_was
    _warn(dropped)


@rank_zero_only
def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        log.warning(line)


def _is_same_class(one: str, other: str) -> bool:
    """Return whether two paths name one class, which may be by the module that defines it or by one that offers it."""
    return one == other or resolve_name(one) is resolve_name(other)


def _shared_options(before: Any, class_path: str) -> Iterator[str]:
    """Name each dropped option that the new class has too, as whoever gave it may have meant it for both."""
    known = inspect.signature(resolve_name(class_path)).parameters
    old, new = (path.rpartition(".")[2] for path in (before["class_path"], class_path))
    for name, value in dict(before["init_args"]).items():
        if name in known and value != known[name].default:
            yield f"{new} starts from its own defaults: {name}={value}, given for {old}, is left out"
