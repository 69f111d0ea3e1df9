"""Stored exits and an operating point for the tests of every room."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ee_lightning.exits import StoredExits
from ee_lightning.exits.naming import CriterionSpec
from ee_lightning.runs.operating_point import Asked, Estimate, OperatingPoint


def stored(logits: Tensor, labels: Tensor | None = None, extras: dict[str, Tensor] | None = None, **more: object):
    """Store logits [exits, samples, classes] under the ids 0, 1 and so on."""
    return StoredExits(logits, labels, torch.arange(logits.shape[1]), extras or {}, **more)


def random_exits(num_exits, num_samples, num_classes, *, seed=0, kind="continuous", multi_label=False):
    """Make random ones with all extras: of continuous, many tied, or equal logits; one class is a value."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(num_exits, num_samples, num_classes, generator=generator)
    gate = torch.rand(num_exits, num_samples, generator=generator)
    coarse = {"continuous": lambda tensor: tensor, "tied": torch.round, "equal": torch.zeros_like}[kind]
    labels = torch.randint(max(num_classes, 2), (num_samples,), generator=generator)
    if multi_label:
        labels = torch.randint(2, (num_samples, num_classes), generator=generator)
    elif num_classes == 1:
        labels = labels + torch.rand(num_samples, generator=generator)
    extras = dict.fromkeys(("gate", "nsp"), coarse(4 * gate) / 4)
    return StoredExits(coarse(logits), labels, torch.arange(num_samples) + 100, extras, multi_label)


def exits_predicting(predictions, *, num_classes=4, labels=None):
    """Make those that predict classes, [exits, samples]."""
    logits = one_hot(torch.tensor(predictions), num_classes).float()  # [exits, samples, classes]
    return stored(logits, None if labels is None else torch.tensor(labels))


def exits_of_probabilities(probabilities):
    """Make those of one sample, from the classes' probabilities at every exit."""
    return stored(torch.tensor(probabilities).log().unsqueeze(1))


def exits_of(num_samples: int, *, num_exits: int = 4, num_classes: int = 2, seed: int = 0, tied: bool = False):
    """Make those of samples that are easy or hard, all exits alike."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(num_classes, (num_samples,), generator=generator)
    shared, own = (
        torch.randn(shape, generator=generator)
        for shape in ((num_samples, num_classes), (num_exits, num_samples, num_classes))
    )
    depth = torch.arange(1, num_exits + 1).view(-1, 1, 1) / num_exits  # [exits, 1, 1]
    signal = 2 * one_hot(labels, num_classes)  # [samples, classes]
    logits = depth * (signal + shared) + 0.7 * own  # [exits, samples, classes]
    return stored(logits.round() if tied else logits, labels)


def exits_of_labels(num_samples: int):
    """Make those of samples with any number of three labels."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (num_samples, 3), generator=generator)
    depth = torch.arange(1, 5).view(-1, 1, 1)  # [exits, 1, 1]
    logits = depth * (labels - 0.5) + torch.randn(4, num_samples, 3, generator=generator)
    return stored(logits, labels, multi_label=True)


def operating_point(**changes: object) -> OperatingPoint:
    """Make one of voting, with changes."""
    made = {
        "criterion": CriterionSpec("ee_lightning.exits.Voting", {"k": 0.5, "fallback": "majority"}),
        "threshold": 1.2,
        "layers_of_exits": tuple(range(1, 13)),
        "asked": Asked("min_speedup", 2.0, "f1", 0.95, "validation", 7),
        "chosen_on": 436,
        "measured_on": 437,
        "confidence": 0.95,
        "reached": {"speedup": Estimate(2.04, 1.98, 2.1)},
        "guarantee": "With probability ...",
    }
    return OperatingPoint(**{**made, **changes})
