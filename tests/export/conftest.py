"""A small model to export."""

import pytest

from ee_lightning.inference import EarlyExitPredictor, Sample

TEXTS = ["a lovely film", "the dull plot was very very boring", "quite funny", "a clever scene with a cold actor"] * 6


@pytest.fixture(scope="session")
def predictor(small_predictor: EarlyExitPredictor) -> EarlyExitPredictor:
    """Return a predictor whose exits disagree."""
    return small_predictor


@pytest.fixture(scope="package")
def samples(predictor: EarlyExitPredictor) -> list[Sample]:
    """Return rows of several lengths."""
    return predictor.tokenise(TEXTS)
