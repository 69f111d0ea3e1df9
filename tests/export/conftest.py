"""A small model to export."""

from copy import deepcopy

import pytest
import torch

from ee_lightning.inference import EarlyExitPredictor, Sample

TEXTS = ["a lovely film", "the dull plot was very very boring", "quite funny", "a clever scene with a cold actor"] * 6


@pytest.fixture(scope="session")
def predictor(small_predictor: EarlyExitPredictor) -> EarlyExitPredictor:
    """Return a predictor whose exits disagree, and whose layers change what they are given by a third.

    Those of an untrained model change it by a hundredth, so that no error of theirs would show behind an exit.
    """
    model = deepcopy(small_predictor.model)
    with torch.no_grad():
        for module in model.backbone.encoder.encoder.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.mul_(5)
    return EarlyExitPredictor(model, small_predictor.tokenizer, small_predictor.deployment, device="cpu")


@pytest.fixture(scope="package")
def samples(predictor: EarlyExitPredictor) -> list[Sample]:
    """Return rows of several lengths."""
    return predictor.tokenise(TEXTS)
