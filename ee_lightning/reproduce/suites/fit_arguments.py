"""Options of ``fit``, to and from the command line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ee_lightning.errors import OptionError
from ee_lightning.reproduce.suites.suite import FitOptions


def fit_arguments(fit: FitOptions) -> list[str]:
    """Write options as the command line takes them.

    Args:
        fit: The options.

    Example:
        >>> fit_arguments(FitOptions([Path("a.yaml")], {"trainer.max_epochs": 2, "data.root": None}))
        ['--config=a.yaml', '--trainer.max_epochs=2', '--data.root=null']
    """
    options = (f"--{name}={_written(value)}" for name, value in fit.options.items())
    return [*(f"--config={config}" for config in fit.configs), *options]


def read_fit_arguments(arguments: Sequence[str]) -> FitOptions:
    """Read options as the command line takes them, ``--name value`` or ``--name=value``.

    Args:
        arguments: From the command line.

    Raises:
        OptionError: One is no option with a value.

    Example:
        >>> read_fit_arguments(["--data.root", "glue", "--trainer.max_epochs=2"]).options
        {'data.root': 'glue', 'trainer.max_epochs': '2'}
    """
    configs: list[Path] = []
    options: dict[str, Any] = {}
    left = list(arguments)
    while left:
        name, is_joined, value = left.pop(0).partition("=")
        if not name.startswith("--") or not (is_joined or left):
            raise OptionError(
                f"{name!r} is no option with a value",
                where="the command line",
                mend="'ee-lightning reproduce --help' lists the options; others are those of fit, as --data.root DIR",
            )
        value = value if is_joined else left.pop(0)
        if name == "--config":
            configs.append(Path(value))
        else:
            options[name.removeprefix("--")] = value
    return FitOptions(configs, options)


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
