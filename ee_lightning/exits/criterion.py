"""What every exit criterion is: a score and a label after each exit, from what the exits so far have said."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

State = dict[str, Tensor]
"""What a criterion remembers between exits. Every tensor has the batch first, so that rows can be kept or dropped."""


@dataclass(frozen=True, eq=False)
class ExitOutput:
    """What one exit says of a batch.

    Attributes:
        exit_layer: The number of the exit, from 1.
        num_exits: Number of exits M.
        logits: Of shape [batch, classes].
        extras: What else the exit gives, such as a gate's scores, each of shape [batch].
        labels: True class numbers, of shape [batch]; only the oracle reads them.
    """

    exit_layer: int
    num_exits: int
    logits: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    labels: Tensor | None = None

    @property
    def predictions(self) -> Tensor:
        """The most likely classes, of shape [batch]."""
        return self.logits.argmax(-1)


class Decision(NamedTuple):
    """A criterion's view of a batch after one exit.

    Attributes:
        score: A sample leaves where its score is at least the threshold; of shape [batch].
        label: The class predicted for a sample that leaves here, of shape [batch].
    """

    score: Tensor
    label: Tensor


class Criterion(ABC):
    """A rule for leaving early: a sample leaves at the first exit whose score is at least the threshold.

    Written once, as a `step` that live inference calls on the samples still there and that replay folds over stored
    exits. For both to agree to the last bit, a row's score must not depend on the other rows, not even by rounding:
    work along the last dimension, without a matrix product or a number taken from the whole batch.

    Attributes:
        name: Short, for tables, columns and metric keys.
    """

    name: str

    def __repr__(self) -> str:
        """Show the name."""
        return f"{type(self).__name__}({self.name!r})"

    def start(self, batch_size: int, num_classes: int, device: torch.device) -> State:
        """Give the state before the first exit.

        Args:
            batch_size: Number of samples.
            num_classes: Number of classes.
            device: Where the logits will be.
        """
        return {}

    @abstractmethod
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        """Judge a batch after one exit.

        Args:
            output: What this exit says.
            state: What the step before returned, with the rows of the samples still there.

        Returns:
            The decision, and the state for the next exit. The state passed in stays as it is.
        """

    def fallback(self, output: ExitOutput, state: State) -> Tensor:
        """Predict the samples that no exit let leave; unless overridden, the last exit's most likely class.

        Args:
            output: What the last exit says.
            state: What the step at the last exit returned, with the same rows.

        Returns:
            Class numbers, of shape [batch].
        """
        return output.predictions


def name_with_options(name: str, **options: tuple[object, object]) -> str:
    """Name a criterion so that two of different options can be told apart.

    Args:
        name: The criterion's name with its default options.
        **options: The value and the default of each option.

    Example:
        >>> name_with_options("voting", k=(1.0, 0.75), fallback=("last", "last"))
        'voting(k=1)'
    """
    changed = [
        f"{option}={value:g}" if isinstance(value, float) else f"{option}={value}"
        for option, (value, default) in options.items()
        if value != default
    ]
    return f"{name}({', '.join(changed)})" if changed else name
