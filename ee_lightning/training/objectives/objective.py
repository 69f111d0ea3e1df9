"""The protocol of training objectives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from torch import Tensor, nn

from ee_lightning.errors import OptionError
from ee_lightning.functional import Kind
from ee_lightning.training.optimization import Progress, Stage


class ObjectiveTerms(NamedTuple):
    """What an objective says of a batch.

    Attributes:
        loss: The scalar to minimise.
        terms: Its named parts, scalars without gradient, for the log.
    """

    loss: Tensor
    terms: dict[str, Tensor]


class Objective(nn.Module, ABC):
    """A training objective over the logits of all exits.

    One of your own is a subclass in a module of yours, named by its class path: ``--model.objective my_module.Mine``.
    ``examples/own_objective.py`` is a whole one.

    Attributes:
        handles_regression: Whether it is defined for exits that predict a value.
        gradient_equilibrium: Whether the exits send each layer the mean of their gradients instead of the sum; see
            `MultiExitModel.forward`.
    """

    handles_regression: bool = True
    gradient_equilibrium: bool = False

    @abstractmethod
    def forward(self, logits: Tensor, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """Compute the loss.

        Args:
            logits: Of shape [exits, batch, classes], in float32; for regression values, of shape [exits, batch, 1].
            labels: Class numbers, or for regression values, of shape [batch]; with smoothing or class weights each
                class's share, of shape [batch, classes]. Of several labels a sample the batch is one of decisions
                between two classes, as in `ee_lightning.functional.label_decisions`.
            progress: How far training has come.

        Returns:
            The loss and its named parts.
        """

    def checked(self, logits: Tensor, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """Return what `forward` returns; raise an OptionError if that is not what it has to be."""
        returned: Any = self(logits, labels, progress)
        if not isinstance(returned, ObjectiveTerms):
            raise self._broken(f"a {type(returned).__name__}")
        parts = returned.terms.items() if isinstance(returned.terms, Mapping) else [("terms", returned.terms)]
        for name, part in (("loss", returned.loss), *parts):
            if not (isinstance(part, Tensor) and part.ndim == 0 and part.is_floating_point()):
                shape = f" of shape {list(part.shape)}" if isinstance(part, Tensor) else ""
                raise self._broken(f"a {type(part).__name__}{shape} as {name}")
        return returned

    def _broken(self, what: str) -> OptionError:
        kind = type(self)
        return OptionError(
            f"{kind.__name__}.forward returns {what}",
            where=kind.__module__,
            hint="forward(logits, labels, progress) returns ObjectiveTerms(loss, terms): a scalar to minimise, and a "
            "dict of scalars for the log; examples/own_objective.py is a whole one",
        )

    def stages(self) -> Sequence[Stage]:
        """Return the stages of training in order; unless overridden, one that trains everything."""
        return (Stage(),)

    def trains_early_exits(self, progress: Progress) -> bool:
        """Return whether the early exits, and a gate beside them, learn in a step."""
        return "early_exits" in self.stages()[progress.stage].trains

    def check_task(self, kind: Kind) -> None:
        """Raise an OptionError for regression where the objective compares distributions over classes."""
        if kind is Kind.REGRESSION and not self.handles_regression:
            raise OptionError(
                f"{type(self).__name__} compares distributions over classes, and this task has a value to predict",
                where="model.objective",
                hint="for regression take ee_lightning.training.JointObjective, or another without distributions",
            )

    def divergence(self, terms: ObjectiveTerms, logits: Tensor) -> str | None:
        """Say why the loss has run away, or None while it has not.

        Args:
            terms: What :meth:`forward` returned.
            logits: The logits it was given, of shape [exits, batch, classes].
        """
        loss = terms.loss.item()
        return None if isfinite(loss) else f"the loss is {loss}"
