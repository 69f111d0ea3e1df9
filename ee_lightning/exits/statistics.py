"""What is added up over samples, so that a metric can be had of any predictions for them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from ee_lightning.exits.stored import StoredExits
from ee_lightning.functional import (
    CLASSIFICATION_METRICS,
    MULTI_LABEL_METRICS,
    REGRESSION_METRICS,
    Kind,
    classification_counts,
    label_counts,
    label_moments,
    label_sizes,
    regression_moments,
)


class Statistics(NamedTuple):
    """The sums that the metrics of a task are made of.

    Attributes:
        tally: Gives, for predictions [events] or [events, labels] of samples [events], what to add up, of shape
            [events, statistics].
        actual: The sums over the labels themselves.
        metrics: By name what gives the metric of summed statistics [..., statistics], given `actual`.
    """

    tally: Callable[[Tensor, Tensor], Tensor]
    actual: Tensor
    metrics: Mapping[str, Callable[[Tensor, Tensor], Tensor]]


def statistics_of(exits: StoredExits) -> Statistics:
    """Give the statistics of a task.

    Args:
        exits: Stored exits of its samples, with labels.

    Raises:
        DataError: If labels are missing or are no class numbers where these are needed.
    """
    return _OF_KIND[exits.kind](exits)


def _classification(exits: StoredExits) -> Statistics:
    labels, num_classes = exits.class_numbers(), exits.num_classes
    return Statistics(
        tally=lambda predictions, samples: classification_counts(predictions, labels[samples], num_classes),
        actual=labels.bincount(minlength=num_classes),  # [classes]
        metrics=CLASSIFICATION_METRICS,
    )


def _multi_label(exits: StoredExits) -> Statistics:
    labels = exits.label_sets()  # [samples, labels]
    return Statistics(
        tally=lambda predictions, samples: label_counts(predictions, labels[samples]),
        actual=label_sizes(labels).sum(0),  # [labels + 1]
        metrics=MULTI_LABEL_METRICS,
    )


def _regression(exits: StoredExits) -> Statistics:
    labels, middle = exits.known_labels().double(), exits.logits.double().nanmedian()
    shifted = labels - labels.mean()
    return Statistics(
        tally=lambda predictions, samples: regression_moments(predictions - middle, shifted[samples]),
        actual=label_moments(shifted),  # [3]
        metrics=REGRESSION_METRICS,
    )


_OF_KIND = {Kind.SINGLE_LABEL: _classification, Kind.MULTI_LABEL: _multi_label, Kind.REGRESSION: _regression}
