"""The protocol of training objectives."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from math import isfinite
from sys import modules
from typing import Any, NamedTuple

from torch import Tensor, nn

from ee_lightning.errors import OptionError
from ee_lightning.exits.placement import Layers
from ee_lightning.functional import Kind
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.optimization import Progress, Stage

_ANY = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_CONTRACT = (
    "forward(output, labels, progress) returns ObjectiveTerms(loss, terms): a scalar to minimise, and a "
    "dict of scalars for the log; output.logits is [exits, batch, classes]; examples/own_objective.py is a whole one"
)


class ObjectiveTerms(NamedTuple):
    """What an objective says of a batch.

    Attributes:
        loss: The scalar to minimise.
        terms: Its named parts, scalars without gradient, for the log.
    """

    loss: Tensor
    terms: dict[str, Tensor]


class Objective(nn.Module, ABC):
    """A training objective over what all exits say.

    One of your own is a subclass in a module of yours, named by its class path: ``--model.objective my_module.Mine``.
    ``examples/own_objective.py`` is a whole one.

    A checkpoint makes it again of its arguments, if it keeps them, plain values, as attributes of the same names.

    Attributes:
        handles_regression: Whether it is defined for exits that predict a value.
        gradient_equilibrium: Whether the exits send each layer the mean of their gradients instead of the sum; see
            `MultiExitModel.forward`.
        separates_exits: Whether each layer learns from the next exit alone; see there too.
        trains_gates: Whether its loss trains the exits' gates, which it then needs. Beside another, a gate learns to
            tell whether its exit is wrong, as in BERxiT.
    """

    handles_regression: bool = True
    gradient_equilibrium: bool = False
    separates_exits: bool = False
    trains_gates: bool = False

    @abstractmethod
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """Compute the loss.

        Args:
            output: What all exits say, in float32: `logits`, of shape [exits, batch, classes], for regression values,
                of shape [exits, batch, 1]; and `extras`, such as gates' probabilities, of shape [exits, batch] each.
            labels: Class numbers, or for regression values, of shape [batch]; with smoothing or class weights each
                class's share, of shape [batch, classes]. Of several labels a sample the logits and labels are those of
                decisions between two classes, as in `ee_lightning.functional.label_decisions`.
            progress: How far training has come.
        """

    def checked(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """Return what `forward` returns; raise an OptionError if that is not what it has to be."""
        returned: Any = self(output, labels, progress)
        if not isinstance(returned, ObjectiveTerms):
            raise self._broken(f"a {type(returned).__name__}")
        parts = returned.terms.items() if isinstance(returned.terms, Mapping) else [("terms", returned.terms)]
        for name, part in (("loss", returned.loss), *parts):
            if not (isinstance(part, Tensor) and part.ndim == 0 and part.is_floating_point()):
                shape = f" of shape {list(part.shape)}" if isinstance(part, Tensor) else ""
                raise self._broken(f"a {type(part).__name__}{shape} as {name}")
        if output.logits.requires_grad and not returned.loss.requires_grad:
            raise self._broken("a loss without gradient")
        return returned

    def _broken(self, what: str) -> OptionError:
        kind = type(self)
        return OptionError(
            f"{kind.__name__}.forward returns {what}",
            where=kind.__module__,
            hint=_CONTRACT,
        )

    def stages(self) -> Sequence[Stage]:
        """Return the stages of training in order; unless overridden, one that trains everything."""
        return (Stage(),)

    def trains_early_exits(self, progress: Progress) -> bool:
        """Return whether the early exits, and a gate beside them, learn in a step."""
        return "early_exits" in self.stages()[progress.stage].trains

    def check_task(self, kind: Kind) -> None:
        """Raise an OptionError for regression where the objective needs classes."""
        if kind is Kind.REGRESSION and not self.handles_regression:
            raise OptionError(
                f"{type(self).__name__} needs classes, and this task has a value to predict",
                where="model.objective",
                hint="for regression take ee_lightning.training.JointObjective, or another that takes values",
            )

    @property
    def has_early_exits(self) -> bool:
        """Whether a stage trains early exits."""
        return any("early_exits" in stage.trains for stage in self.stages())

    def check_exits(self, layers_of_exits: Layers) -> None:
        """Take notice of the layers after which the exits stand, before training; the last one is the whole model's.

        One that needs other exits than these raises an error, as this one does where it trains early exits and there
        are none.

        Raises:
            OptionError: It can't train a model with these exits.
        """
        if len(layers_of_exits) == 1 and self.has_early_exits:
            raise OptionError(
                f"{type(self).__name__} trains early exits, and there are none",
                where="--model.heads.exits, --model.num_layers",
                hint="take ee_lightning.training.LastExitObjective, or --model.heads.exits every on several layers",
            )

    def saved(self) -> dict[str, Any] | None:
        """Return its class path and arguments for a checkpoint; None if it does not keep its arguments."""
        own = signature(type(self)).parameters.values()
        try:
            init_args = {each.name: getattr(self, each.name) for each in own if each.kind not in _ANY}
            json.dumps(init_args)
        except (AttributeError, TypeError):
            return None
        return {"class_path": f"{type(self).__module__}.{type(self).__qualname__}", "init_args": init_args}

    @staticmethod
    def of_saved(class_path: str, init_args: Mapping[str, Any]) -> "Objective":
        """Make it of what `saved` returned, if its class is imported already; raise an `OptionError` for another."""
        module, _, name = class_path.rpartition(".")
        found = getattr(modules.get(module), name, None)
        if not (isinstance(found, type) and issubclass(found, Objective)):
            hint = f"import {module}, or pass objective="
            raise OptionError(f"the objective {class_path} is not imported", where="objective", hint=hint)
        return found(**init_args)

    def divergence(self, terms: ObjectiveTerms, logits: Tensor) -> str | None:
        """Say why the loss of these logits, ``[exits, batch, classes]``, has run away, or None while it has not."""
        loss = terms.loss.item()
        return None if isfinite(loss) else f"the loss is {loss}"


def check_contract(objective: Any) -> None:
    """Raise an `OptionError` for what is no objective, or can't be called as one."""
    try:
        if not isinstance(objective, Objective):
            raise TypeError("it is of another class")
        signature(objective.forward).bind(None, None, None)
        if not all(isinstance(stage, Stage) for stage in objective.stages()):
            raise TypeError("its stages are no ee_lightning.training.Stage")
    except TypeError as error:
        what = f"{type(objective).__name__} can't be used as an objective: {error}"
        hint = f"give a subclass of ee_lightning.training.Objective; {_CONTRACT}"
        raise OptionError(what, where="model.objective", hint=hint) from error
