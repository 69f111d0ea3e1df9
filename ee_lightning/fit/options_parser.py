"""The parser of the options of ``fit``, ``validate`` and ``test``."""

import inspect
from pkgutil import resolve_name
from typing import Any

from jsonargparse import Namespace, _typehints
from lightning.pytorch.cli import LightningArgumentParser
from typing_extensions import override

from ee_lightning.fit.messages import warn

LINKED = {
    "data.tokenizer": "model.backbone",
    "data.seed": "seed_everything",
    "model.num_classes": "data.num_classes",
    "model.multi_label": "data.multi_label",
    "model.metrics": "data.metrics",
}
"""The options that nobody gives, each with the option, or the attribute of the data, that it is taken from."""


class OptionsParser(LightningArgumentParser):
    """Rejects linked options in files too, and lets a class that is named again start from its own defaults."""

    def _parse_common(self, cfg: Namespace, *args: Any, **kwargs: Any) -> Namespace:
        for target, source in LINKED.items():
            if target in cfg:  # which the links would overwrite
                raise TypeError(f'Linked "{target}" must be given via "{source}".')
        parsed: Namespace = super()._parse_common(cfg, *args, **kwargs)
        return parsed

    @override
    def parse_args(self, *args: Any, **kwargs: Any) -> Namespace:  # type: ignore[override]
        notes: dict[str, None] = {}

        def drop(_: object, before: Any, after: Any) -> None:
            old, new = before and before["class_path"], after["class_path"]
            if not before or "init_args" not in before or old == new or resolve_name(old) is resolve_name(new):
                return
            known = inspect.signature(resolve_name(new)).parameters
            start = f"{new.rpartition('.')[2]} starts from its own defaults"
            for name, value in dict(before["init_args"]).items():
                if name in known and value != known[name].default:  # which may have been meant for both
                    notes[f"{start}: {name}={value}, given for {old.rpartition('.')[2]}, is left out"] = None
            before["init_args"].__dict__.clear()

        as_it_was = _typehints.discard_init_args_on_class_path_change  # which keeps what both classes have
        _typehints.discard_init_args_on_class_path_change = drop
        try:
            parsed = super().parse_args(*args, **kwargs)
        finally:
            _typehints.discard_init_args_on_class_path_change = as_it_was
        for note in notes:
            warn(note)
        return parsed
