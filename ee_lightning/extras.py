"""Packages that not every installation has, and the extra of ee_lightning that installs each."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import lazy_loader

from ee_lightning.errors import EarlyExitError, first_line

EXTRA_OF = {
    "torch": "torch",
    "transformers": "torch",
    "pyarrow": "parquet",
    "lightning": "train",
    "torchmetrics": "train",
    "datasets": "train",
    "pandas": "train",
    "scipy": "train",
    "omegaconf": "train",
    "shtab": "train",
    "matplotlib": "plot",
    "jinja2": "plot",
    "wandb": "wandb",
    "peft": "peft",
    "onnxruntime": "runtime",
    "onnx": "export",
    "onnx_ir": "export",
    "onnxscript": "export",
    "litserve": "serve",
    "prometheus_client": "serve",
    "ray": "ray",
    "optuna": "optuna",
}
"""The extra of each package, by the name that it is imported by."""


class MissingExtraError(EarlyExitError, ImportError):
    """A package that an extra installs can't be imported; the message is one line, which names the extra."""


def require_extra(extra: str) -> None:
    """Raise a `MissingExtraError` if a package of an extra is not installed; none is imported."""
    for package, its_extra in EXTRA_OF.items():
        if its_extra == extra and find_spec(package) is None:
            raise _missing(package)


_TOLD = re.compile(r"\w+ is not installed: pip install 'ee_lightning\[\w+\]'")


def as_missing_extra(error: BaseException | None) -> MissingExtraError | None:
    """Return what to install about an error of an import, or None where no package of an extra is its cause.

    An error that quotes a `MissingExtraError`, as jsonargparse's do, has it as its cause.
    """
    if (quoted := _TOLD.search(str(error))) is not None:
        return MissingExtraError(quoted[0])
    while error is not None:
        package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
        if isinstance(error, MissingExtraError):
            return error
        if package in EXTRA_OF:
            return _missing(package, "" if isinstance(error, ModuleNotFoundError) else first_line(error))
        error = error.__cause__
    return None


@contextmanager
def telling_missing() -> Iterator[None]:
    """Raise a `MissingExtraError` in the place of an error of an import that a package of an extra is the cause of."""
    try:
        yield
    except ImportError as error:
        if (missing := as_missing_extra(error)) is None:
            raise
        raise missing from None


def load_lazily(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package by its stub: names load what they need."""
    load, names, public = lazy_loader.attach_stub(package, file)
    return telling_missing()(load), names, public


def _missing(package: str, reason: str = "") -> MissingExtraError:
    what = f"can't be imported ({reason})" if reason else "is not installed"
    return MissingExtraError(f"{package} {what}: pip install 'ee_lightning[{EXTRA_OF[package]}]'")
