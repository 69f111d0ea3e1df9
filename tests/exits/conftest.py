"""Every criterion with every option, on a task that it can judge."""

from copy import deepcopy
from dataclasses import dataclass
from functools import cache

import pytest
from factories import random_exits

from ee_lightning.exits import (
    BEEM,
    CAP,
    FPABEE,
    JEIDNN,
    PCEE,
    CalibratedConfidence,
    Confidence,
    Conformal,
    Criterion,
    EENet,
    Energy,
    Entropy,
    Fitted,
    Fixed,
    Gate,
    LearnedEnsemble,
    Margin,
    NormalisedEntropy,
    Oracle,
    Patience,
    QExit,
    RunningEnsemble,
    Scheduled,
    SoftVoting,
    Voting,
)


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
        return random_exits(self.num_exits or num_exits, num_classes=num_classes, **shape, multi_label=self.multi_label)

    def ready_for(self, exits):
        """Return the criterion, fitted on random calibration exits where it has to be."""
        return _fitted(self.criterion, exits.num_exits, exits.num_classes)


@cache
def _fitted(criterion, num_exits, num_classes):
    criterion = deepcopy(criterion)
    if isinstance(criterion, Fitted):
        criterion.fit(random_exits(num_exits, 30, num_classes, seed=7))
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
            QExit(),
            Conformal(),
            Energy(),
            CAP(),
            EENet(),
            JEIDNN(),
            Scheduled(),
            Scheduled("voting(k=0.5)", "line"),
            Scheduled("learned_ensemble", "free"),
            Fixed(),
            Oracle(),
        ],
    ),
    Case(BEEM([0.5, 1, 2, 0]), num_exits=4),
    *(Case(criterion, is_regression=True) for criterion in (Patience(tolerance=1.5), Gate(), QExit(), Fixed())),
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
            QExit(),
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
    """Return each of them."""
    return request.param


@pytest.fixture(scope="session")
def all_cases():
    """Return all of them at once."""
    return CASES
