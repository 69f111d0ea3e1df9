"""A small model to export."""

from pathlib import Path

import pytest
import torch

from ee_lightning.data.encoding import load_tokenizer
from ee_lightning.exits import Voting
from ee_lightning.exits.naming import spec_of
from ee_lightning.functional import Target
from ee_lightning.inference import Deployment, EarlyExitPredictor, ExitPolicy, Sample
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones.loading import load_backbone

TEXTS = ["a lovely film", "the dull plot was very very boring", "quite funny", "a clever scene with a cold actor"] * 6


@pytest.fixture(scope="package")
def predictor(tiny_backbone: Path) -> EarlyExitPredictor:
    """Return a predictor whose exits disagree."""
    torch.manual_seed(1)
    heads = HeadOptions(pooling="mean")
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(3), heads).eval()
    for linear in model.heads.classifiers:
        torch.nn.init.normal_(linear.weight, std=1.0)
    deployment = Deployment(
        task="mood",
        text_columns=("sentence",),
        label_names=("good", "bad", "neither"),
        num_classes=3,
        num_exits=3,
        max_length=32,
        heads=heads,
        rule=ExitPolicy(spec_of(Voting(k=0.5)), 1.2),
    )
    return EarlyExitPredictor(model, load_tokenizer(str(tiny_backbone)), deployment, device="cpu")


@pytest.fixture(scope="package")
def samples(predictor: EarlyExitPredictor) -> list[Sample]:
    """Return rows of several lengths."""
    return predictor.tokenise(TEXTS)
