"""Importing this imports `transformers.models` in half the time."""

import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import transformers
from transformers.utils import import_utils


def _list_once() -> None:
    """Let `transformers.models` take the list that `transformers` has just made of its 1,600 files.

    It would make the list again, because a cache that it looks into holds 128 folders, and there are 550.
    """
    listed = import_utils.define_import_structure(Path(transformers.__file__).parent / "models", prefix="models")
    within = {
        needs: {file.removeprefix("models."): names for file, names in files.items() if file.startswith("models.")}
        for needs, files in listed.items()
    }
    with patch.object(import_utils, "define_import_structure", lambda _: within):
        import_module("transformers.models")


if "transformers.models" not in sys.modules:
    with suppress(AttributeError, TypeError):  # a release that makes its list in another way
        _list_once()
