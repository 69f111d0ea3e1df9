"""An exported model to serve."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ee_lightning.inference import EarlyExitPredictor


@pytest.fixture(scope="session")
def exported(made_once: Callable[[str, Callable[[Path], None]], Path], small_predictor: EarlyExitPredictor) -> Path:
    """Return the folder of a small exported model."""
    from ee_lightning.export.exporting import export_model

    texts = ["a lovely film", "the dull plot was very very boring", "quite funny"] * 6
    return made_once("served", lambda folder: export_model(small_predictor, folder, small_predictor.tokenise(texts)))
