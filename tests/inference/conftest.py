"""Models to leave early from, and samples of many lengths."""

from pathlib import Path

import pytest
import torch

from ee_lightning.functional import Target
from ee_lightning.inference import Sample
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones.loading import load_backbone


def make_model(backbone: Path, num_classes: int = 3, **heads: object) -> MultiExitModel:
    """Make a model with all extras, whose exits disagree."""
    torch.manual_seed(1)
    options = HeadOptions(**{"gate": True, "nsp": True, **heads})
    model = MultiExitModel(load_backbone(str(backbone)), Target.of(num_classes), options).eval()
    for linear in [*model.heads.classifiers.modules(), *model.heads.gates.modules()]:
        if isinstance(linear, torch.nn.Linear):
            torch.nn.init.normal_(linear.weight, std=1.0)
    return model


@pytest.fixture(scope="session")
def model(tiny_backbone: Path) -> MultiExitModel:
    return make_model(tiny_backbone, pooling="mean")


@pytest.fixture(scope="session")
def model_of():
    """Return a function that makes a model with other classes or heads."""
    return make_model


@pytest.fixture(scope="session")
def samples() -> list[Sample]:
    """Return 40 samples of 3 to 24 tokens, two sentences each."""
    generator = torch.Generator().manual_seed(2)
    lengths = torch.randint(3, 25, (40,), generator=generator).tolist()
    ids = [torch.randint(5, 25, (length,), generator=generator).tolist() for length in lengths]
    return [Sample(tokens, [0] * (len(tokens) // 2) + [1] * (len(tokens) - len(tokens) // 2)) for tokens in ids]
