"""Finds what trainings are known by."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ee_lightning.cli.changes import FREE_TO_DIFFER
from ee_lightning.cli.fit_options import FitOptionsParser
from ee_lightning.errors import EarlyExitError
from ee_lightning.models.backbones.loading import backbone_config
from ee_lightning.reproduce.planning.fingerprints import data_fingerprint, weights_fingerprint
from ee_lightning.reproduce.planning.plan import Identity, digest_of
from ee_lightning.reproduce.suites.fit_arguments import fit_arguments
from ee_lightning.reproduce.suites.suite import FitOptions

Places = tuple[str, str | None]
"""A backbone, and the root of the data."""

_SEED = "seed_everything"
_KNOWN_OTHERWISE = ("run.name", "model.backbone")
"""The options that name a folder: the run's own, and that of the weights, which are known by their content."""


class Identifier:
    """Finds what trainings are known by; what several share is looked up once."""

    def __init__(self) -> None:
        self._resolved: dict[str, dict[str, Any]] = {}
        self._found: dict[str, str | EarlyExitError] = {}

    def config(self, fit: FitOptions) -> str:
        """Give the digest of a training's options.

        Raises:
            OptionError: They can't be parsed.
        """
        return digest_of(_without(self._resolve(fit), (*FREE_TO_DIFFER, *_KNOWN_OTHERWISE)))

    def places(self, fit: FitOptions) -> Places:
        """Give where a training's weights and data are said to be; see `places_of`.

        Raises:
            OptionError: The options can't be parsed.
        """
        return places_of(self._resolve(fit))

    def identity(self, fit: FitOptions) -> Identity:
        """Give all that a training is known by; its data and weights are read.

        Raises:
            OptionError: The options can't be parsed, or keep more layers than there are.
            DataError: The rows are missing or wrong.
            BackboneError: The weights are missing or wrong.
        """
        options = self._resolve(fit)
        data, backbone, num_layers = options["data"], options["model"]["backbone"], options["model"]["num_layers"]
        test = bool(options["run"]["test"])
        weights = self._once(("weights", backbone), lambda: weights_fingerprint(backbone))
        self._once(("layers", backbone, num_layers), lambda: str(backbone_config(backbone, num_layers)))
        rows = self._once(("data", data, backbone, test), lambda: data_fingerprint(data, backbone, test=test))
        return Identity(self.config(fit), rows, weights)

    def _resolve(self, fit: FitOptions) -> dict[str, Any]:
        """Resolve options; trainings that differ in the seed alone are resolved once."""
        others = FitOptions(fit.configs, {name: value for name, value in fit.options.items() if name != _SEED})
        arguments = fit_arguments(others)
        key = json.dumps(arguments)
        if key not in self._resolved:
            self._resolved[key] = _parser().resolve(arguments)
        seed = {_SEED: fit.options[_SEED]} if _SEED in fit.options else {}
        return self._resolved[key] | seed

    def _once(self, about: tuple[object, ...], find: Callable[[], str]) -> str:
        if (key := json.dumps(about)) not in self._found:
            try:
                self._found[key] = find()
            except EarlyExitError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, EarlyExitError):
            raise found
        return found


def places_of(options: Mapping[str, Any]) -> Places:
    """Give the backbone and the root of the data that resolved options name."""
    return options["model"]["backbone"], options["data"]["root"]


@cache
def _parser() -> FitOptionsParser:
    return FitOptionsParser()


def _without(options: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Leave out options by their dotted names."""
    here = {name for name in names if "." not in name}
    below = {
        key: tuple(name.removeprefix(f"{key}.") for name in names if name.startswith(f"{key}."))
        for key, value in options.items()
        if isinstance(value, Mapping)
    }
    return {
        key: _without(value, below[key]) if below.get(key) else value
        for key, value in options.items()
        if key not in here
    }
