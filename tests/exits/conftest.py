"""Stored exits to try the criteria on, and every criterion with every option."""

from copy import deepcopy
from dataclasses import dataclass

import pytest
import torch

from ee_lightning.exits import (
    BEEM,
    FPABEE,
    PCEE,
    CalibratedConfidence,
    Confidence,
    Conformal,
    Criterion,
    Entropy,
    Fitted,
    Fixed,
    Gate,
    LearnedEnsemble,
    Margin,
    NormalisedEntropy,
    Oracle,
    Patience,
    RunningEnsemble,
    SoftVoting,
    StoredExits,
    Voting,
)


def make_exits(num_exits, num_samples, num_classes, *, seed=0, kind="continuous", multi_label=False):
    """Make random stored exits: of continuous logits, of many tied ones, or of equal ones; one class is regression."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(num_exits, num_samples, num_classes, generator=generator)
    gate = torch.rand(num_exits, num_samples, generator=generator)
    coarse = {"continuous": lambda tensor: tensor, "tied": torch.round, "equal": torch.zeros_like}[kind]
    labels = torch.randint(max(num_classes, 2), (num_samples,), generator=generator)
    if multi_label:
        labels = torch.randint(2, (num_samples, num_classes), generator=generator)
    elif num_classes == 1:
        labels = labels + torch.rand(num_samples, generator=generator)
    extras = {"gate": coarse(4 * gate) / 4}
    return StoredExits(coarse(logits), labels, torch.arange(num_samples) + 100, extras, multi_label)


@dataclass(frozen=True)
class Case:
    """A criterion on a task that it can judge."""

    criterion: Criterion
    is_regression: bool = False
    num_exits: int | None = None
    multi_label: bool = False

    def exits(self, num_exits, num_classes, **shape):
        """Make random stored exits of this task."""
        num_classes = 1 if self.is_regression else num_classes
        return make_exits(self.num_exits or num_exits, num_classes=num_classes, **shape, multi_label=self.multi_label)

    def ready_for(self, exits):
        """Give the criterion, fitted on random calibration exits where it has to be."""
        criterion = deepcopy(self.criterion)
        if isinstance(criterion, Fitted):
            criterion.fit(make_exits(exits.num_exits, 30, exits.num_classes, seed=7))
        return criterion


CASES = [
    *map(
        Case,
        [
            Voting(),
            Voting(k=0),
            Voting(k=1, fallback="majority"),
            SoftVoting(),
            SoftVoting(k=0.5),
            Patience(),
            Confidence(),
            Confidence(fallback="most_confident"),
            CalibratedConfidence(),
            Entropy(),
            NormalisedEntropy(),
            Margin(),
            PCEE(),
            PCEE(patience=1),
            PCEE(patience=3, label="mean"),
            FPABEE(),
            FPABEE("kl", patience=1),
            FPABEE("reverse_kl"),
            FPABEE("symmetric_kl", patience=3),
            BEEM(),
            RunningEnsemble(),
            LearnedEnsemble(),
            Gate(),
            Conformal(),
            Fixed(),
            Oracle(),
        ],
    ),
    Case(BEEM([0.5, 1, 2, 0]), num_exits=4),
    *(Case(criterion, is_regression=True) for criterion in (Patience(tolerance=1.5), Gate(), Fixed())),
    *(
        Case(criterion, multi_label=True)
        for criterion in (
            Voting(),
            Voting(k=0),
            Voting(k=1, fallback="majority"),
            Patience(),
            Confidence(),
            Confidence(fallback="most_confident"),
            Entropy(),
            Gate(),
            Fixed(),
            Oracle(),
        )
    ),
]


@pytest.fixture(
    scope="session",
    params=CASES,
    ids=lambda case: (
        f"{case.criterion.name}{' of values' if case.is_regression else ' of labels' if case.multi_label else ''}"
    ),
)
def case(request):
    """Give every criterion with every option, on a task that it can judge."""
    return request.param


@pytest.fixture(scope="session")
def all_cases():
    """Give all of them at once."""
    return CASES


@pytest.fixture(scope="session")
def random_exits():
    """Give a function that makes random stored exits: of continuous logits, of many tied ones, or of equal ones."""
    return make_exits


@pytest.fixture(scope="session")
def exits_predicting():
    """Give a function that makes stored exits from the class each exit predicts for each sample."""

    def make(predictions, *, num_classes=4, labels=None):
        predictions = torch.tensor(predictions)  # [exits, samples]
        logits = torch.nn.functional.one_hot(predictions, num_classes).float()  # [exits, samples, classes]
        labels = None if labels is None else torch.tensor(labels)
        return StoredExits(logits, labels, ids=torch.arange(predictions.shape[1]))

    return make


@pytest.fixture(scope="session")
def exits_of():
    """Give a function that makes stored exits of one sample, of the classes' probabilities at every exit."""

    def make(probabilities):
        return StoredExits(torch.tensor(probabilities).log().unsqueeze(1), None, torch.arange(1))

    return make
