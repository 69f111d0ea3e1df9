"""Stored exits of a made-up model whose later exits know more."""

from collections.abc import Callable

import pytest
import torch

from ee_lightning.exits import StoredExits


@pytest.fixture(scope="session")
def exits_of_labels() -> Callable[[int], StoredExits]:
    """Give a function that makes stored exits of samples with any number of three labels."""

    def make(num_samples: int) -> StoredExits:
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(2, (num_samples, 3), generator=generator)
        depth = torch.arange(1, 5).view(-1, 1, 1)  # [exits, 1, 1]
        logits = depth * (labels - 0.5) + torch.randn(4, num_samples, 3, generator=generator)
        return StoredExits(logits, labels, torch.arange(num_samples), multi_label=True)

    return make


@pytest.fixture(scope="session")
def exits_of() -> Callable[..., StoredExits]:
    """Give a function that makes stored exits of samples that are easy or hard, all exits alike."""

    def make(num_samples: int, *, num_exits: int = 4, num_classes: int = 2, seed: int = 0, tied: bool = False):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(num_classes, (num_samples,), generator=generator)
        shared, own = (
            torch.randn(shape, generator=generator)
            for shape in ((num_samples, num_classes), (num_exits, num_samples, num_classes))
        )
        depth = torch.arange(1, num_exits + 1).view(-1, 1, 1) / num_exits  # [exits, 1, 1]
        signal = 2 * torch.nn.functional.one_hot(labels, num_classes)  # [samples, classes]
        logits = depth * (signal + shared) + 0.7 * own  # [exits, samples, classes]
        return StoredExits(logits.round() if tied else logits, labels, ids=torch.arange(num_samples))

    return make
