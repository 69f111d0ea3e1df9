"""Stored exits to try the criteria on."""

import pytest
import torch

from ee_lightning.exits import StoredExits


@pytest.fixture(scope="session")
def random_exits():
    """Give a function that makes random stored exits: of continuous logits, of many tied ones, or of equal ones."""

    def make(num_exits, num_samples, num_classes, *, seed=0, kind="continuous"):
        generator = torch.Generator().manual_seed(seed)
        logits = 2 * torch.randn(num_exits, num_samples, num_classes, generator=generator)
        logits = {"continuous": logits, "tied": logits.round(), "equal": torch.zeros_like(logits)}[kind]
        labels = torch.randint(num_classes, (num_samples,), generator=generator)
        return StoredExits(logits, labels, ids=torch.arange(num_samples) + 100)

    return make


@pytest.fixture(scope="session")
def exits_predicting():
    """Give a function that makes stored exits from the class each exit predicts for each sample."""

    def make(predictions, *, num_classes=4, labels=None):
        predictions = torch.tensor(predictions)  # [exits, samples]
        logits = torch.nn.functional.one_hot(predictions, num_classes).float()  # [exits, samples, classes]
        labels = None if labels is None else torch.tensor(labels)
        return StoredExits(logits, labels, ids=torch.arange(predictions.shape[1]))

    return make
