"""What every exit criterion is: a score and a label after each exit, from what the exits so far have said."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from importlib import import_module
from math import inf
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import device, is_array_api_obj

from ee_lightning.errors import OptionError, shown
from ee_lightning.functional import (
    Array,
    Device,
    Kind,
    Target,
    absent_or_there,
    as_float32,
    at_least,
    log_softmax,
    namespace,
    predictions_of,
    softmax,
)

LEAST_LOG_PROBABILITY = -1e30
"""Stands for the logarithm of 0, so that its product with 0 and its sums over exits are finite."""
CONTRACT = (
    "step(output, state) returns (Decision(score, label), state): score [batch] in floating point, neither NaN nor "
    "+inf; label like output.predictions in shape and type, as fallback returns it too; state a dict of tensors, the "
    "batch first. See help(ee_lightning.exits.Criterion), and examples/own_criterion.py for a whole one"
)
_MOST = 1000


@dataclass(frozen=True, eq=False)
class ExitOutput:
    """What one exit says of a batch.

    Attributes:
        exit_layer: The number of the exit, from 1.
        num_exits: Number of exits M.
        logits: Of shape [batch, classes]; for regression the predicted values, of shape [batch, 1]; of several labels a
            sample of shape [batch, labels].
        extras: What else the exit gives, such as a gate's scores, each of shape [batch].
        labels: True class numbers, of shape [batch], or whether each label is there, of shape [batch, labels]; only the
            oracle reads them.
        kind: What the exit predicts of a sample.
    """

    exit_layer: int
    num_exits: int
    logits: Array
    extras: Mapping[str, Array] = field(default_factory=dict)
    labels: Array | None = None
    kind: Kind = Kind.SINGLE_LABEL

    def extra(self, name: str, hint: str) -> Array:
        """Return an extra in float32, of shape [batch]; an OptionError with a hint where the exits lack it."""
        if name not in self.extras:
            found = ", ".join(sorted(self.extras)) or "no extras"
            what = f"The criterion reads the extra {name!r}, and these exits have {found}"
            raise OptionError(what, where="criteria", hint=hint)
        return as_float32(self.extras[name])

    @property
    def predictions(self) -> Array:
        """The most likely classes, or for regression the values in float32, of shape [batch].

        Of several labels whether each is more likely there than not, of shape [batch, labels].
        """
        return predictions_of(self.logits, self.kind)

    @property
    def probabilities(self) -> Array:
        """The probabilities of the classes in float32, of shape [batch, classes].

        Of several labels those of each one's being absent or there, of shape [batch, labels, 2].
        """
        return softmax(self._logits_of_classes)

    @property
    def log_probabilities(self) -> Array:
        """The natural logarithms of the probabilities, finite, in float32, of the same shape."""
        return at_least(LEAST_LOG_PROBABILITY, log_softmax(self._logits_of_classes))

    @property
    def _logits_of_classes(self) -> Array:
        return absent_or_there(self.logits) if self.kind is Kind.MULTI_LABEL else self.logits


State = dict[str, Array]
"""What a criterion remembers between exits. Every tensor has the batch first, so that rows can be kept or dropped."""


class Decision(NamedTuple):
    """A criterion's view of a batch after one exit.

    Attributes:
        score: A sample leaves where its score is at least the threshold; of shape [batch].
        label: What is predicted for a sample that leaves here, a class number or for regression a value, of shape
            [batch]; of several labels whether each one is there, of shape [batch, labels].
    """

    score: Array
    label: Array


def reaches(score: Array, threshold: float) -> Array:
    """Return whether each score is at least the threshold, exactly, though its type can't hold every number.

    Example:
        >>> import numpy as np
        >>> reaches(np.float32([0.9499999, 0.95, 0.9500001]), 0.95)  # the float32 next to 0.95 is below it
        array([False, False,  True])
    """
    return score >= _least(threshold, score.dtype)


@lru_cache
def _least(threshold: float, dtype: Any) -> float:
    """Return the least number of a type, of torch or numpy, that is at least the threshold."""
    xp: Any = np if isinstance(dtype, np.dtype) else import_module(str(dtype).partition(".")[0])
    with np.errstate(over="ignore"):  # beyond the largest number of the type lies infinity
        nearest = xp.asarray(threshold, dtype=dtype)
    return float(nearest if float(nearest) >= threshold else xp.nextafter(nearest, xp.asarray(inf, dtype=dtype)))


class Criterion(ABC):
    """A rule for leaving early: a sample leaves at the first exit whose score is at least the threshold.

    Written once, as a `step` that live inference calls on the samples still there and that replay folds over stored
    exits. For both to agree to the last bit, a row's score must not depend on the other rows, not even by rounding:
    work along the last dimension, by products and sums, without a matrix product, `alpha=`, or a number taken from the
    whole batch. Ours judge torch tensors and numpy arrays alike, by what `array_api_compat` gives both; one of your own
    may be written for tensors alone, and then serves wherever there is torch.

    One of your own is a subclass in a module of yours, named ``my_module.MyCriterion(option=value)`` wherever criteria
    are named; ``examples/own_criterion.py`` is a whole one. Its options are numbers, texts, truth values, None and
    lists of them. `Fitted` is for those that learn something from held-out rows.

    Attributes:
        name: Short, for tables, columns and metric keys: that of the class (its own ``name``, else what it is called),
            with the options that differ from their defaults.
        init_args: Those options.
        handles_regression: Whether it can judge exits that predict a value and no class.
        handles_multi_label: Whether it can judge exits that predict any number of labels.
        reads: The name of the extra that it reads, if any.
    """

    name: str
    init_args: Mapping[str, Any] = MappingProxyType({})
    handles_regression: bool = False
    handles_multi_label: bool = False
    reads: str | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.name = vars(cls).get("name", cls.__name__)
        if "__init__" in vars(cls):
            cls.__init__ = _recorded(cls.__init__)  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def start(self, batch_size: int, target: Target, device: Device) -> State:
        """Return the state before the first exit, on the device where the logits will be.

        Raises:
            OptionError: If the exits predict values or several labels, and this criterion can't judge those.
        """
        self.check_task(target.kind)
        return self.initial_state(batch_size, target.num_classes, device)

    def check_task(self, kind: Kind) -> None:
        """Raise an OptionError for exits that predict values or several labels where it can't judge those."""
        if kind is Kind.MULTI_LABEL and not self.handles_multi_label:
            raise OptionError(
                f"The criterion {self.name} needs one class a sample, and these exits predict several labels",
                where="criteria",
                hint="for several labels use voting, patience, confidence, scheduled_confidence, entropy, gate, q_exit "
                "or fixed",
            )
        if kind is Kind.REGRESSION and not self.handles_regression:
            raise OptionError(
                f"The criterion {self.name} needs classes, and these exits predict a value",
                where="criteria",
                hint="for regression use patience with a tolerance (configs/tasks/stsb.yaml), gate, q_exit or fixed",
            )

    def initial_state(self, batch_size: int, num_classes: int, device: Device) -> State:
        """Return what `start` returns; unless overridden, nothing.

        What depends on whether exits predict classes or labels is best remembered from the first exit on.
        """
        return {}

    @abstractmethod
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        """Judge a batch after one exit.

        Args:
            output: What this exit says.
            state: What the step before returned, with the rows of the samples still there; at the first exit what
                `initial_state` returned.

        Returns:
            The decision, and the state for the next exit. The state passed in stays as it is.
        """

    def rehearse(self, target: Target, num_exits: int, extras: Collection[str], like: Array) -> None:
        """Judge two samples of zeros, with these extras, so that errors come before there is anything to judge.

        Args:
            target: What the exits predict.
            num_exits: Number of exits.
            extras: What else they give.
            like: An array of the kind that is to be judged.
        """
        xp, where = namespace(like), device(like)
        state = self.start(2, target, where)
        for exit_layer in range(1, num_exits + 1):
            logits = xp.zeros((2, target.num_classes), dtype=xp.float32, device=where)
            given = {name: xp.zeros(2, dtype=xp.float32, device=where) for name in extras}
            output = ExitOutput(exit_layer, num_exits, logits, given, kind=target.kind)
            _, state = self.checked_step(output, state)
        self.checked_fallback(output, state)

    def checked_step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        """Return what `step` returns; raise an OptionError if that is not what it has to be."""
        returned: Any = self.step(output, state)
        try:
            (score, label), following = returned
            remembered = [*following.items()]
        except (AttributeError, TypeError, ValueError):
            raise self._broken("step", returned, "result") from None
        batch = output.logits.shape[:1]
        is_number = _is_like(score, output.logits) and namespace(score).isdtype(score.dtype, "real floating")
        if not (is_number and score.shape == batch and (score < inf).all()):
            raise self._broken("step", score, "score")
        self._check_label("step", label, output)
        for name, tensor in remembered:
            if not (_is_like(tensor, output.logits) and tensor.shape[:1] == batch):
                raise self._broken("step", tensor, f"state[{name!r}]")
        return Decision(score, label), following

    def checked_fallback(self, output: ExitOutput, state: State) -> Array:
        """Return what `fallback` returns; raise an OptionError if that is not what it has to be."""
        label = self.fallback(output, state)
        self._check_label("fallback", label, output)
        return label

    def _check_label(self, method: str, label: Any, output: ExitOutput) -> None:
        usual = output.predictions
        if not _is_like(label, usual) or (label.shape, label.dtype) != (usual.shape, usual.dtype):
            raise self._broken(method, label, "label")

    def _broken(self, method: str, found: Any, name: str) -> OptionError:
        what, is_array = f"a {type(found).__name__}", is_array_api_obj(found)
        if is_array:
            what = f"{found.dtype} of shape {list(found.shape)}, {shown(found.reshape(-1).tolist(), 40)},"
        kind = type(self)
        return OptionError(f"{kind.__name__}.{method} returns {what} as {name}", where=kind.__module__, hint=CONTRACT)

    def highest_score(self, exit_layer: int) -> float:
        """Return a bound that no sample's score exceeds after an exit, numbered from 1; unless overridden, infinity.

        Where it is below the threshold, no sample leaves, and inference need not look.
        """
        return inf

    def fallback(self, output: ExitOutput, state: State) -> Array:
        """Predict the samples that no exit let leave; unless overridden, what the last exit predicts.

        Args:
            output: What the last exit says.
            state: What the step at the last exit returned, with the same rows.

        Returns:
            As the label of a `Decision`.
        """
        return output.predictions


def _is_like(found: Any, output: Array) -> bool:
    return is_array_api_obj(found) and namespace(found) is namespace(output)


def _recorded(init: Callable[..., None]) -> Callable[..., None]:
    """Return an ``__init__`` that keeps the options it is called with, and names the criterion by them."""
    signature = inspect.signature(init)

    @wraps(init)
    def recorded(self: Criterion, *args: Any, **options: Any) -> None:
        if "init_args" in vars(self):  # it is called by that of a subclass
            init(self, *args, **options)
            return
        given = [*signature.bind(self, *args, **options).arguments.items()][1:]
        with_default = {name: (value, signature.parameters[name].default) for name, value in given}
        self.init_args = {name: value for name, (value, default) in with_default.items() if not _same(value, default)}
        init(self, *args, **options)
        if "name" not in vars(self):
            self.name = name_with_options(type(self).name, **with_default)

    return recorded


def _same(value: object, default: object) -> bool:
    return value is default or (isinstance(value, int | float | str | list | tuple) and value == default)


def name_with_options(name: str, **options: tuple[object, object]) -> str:
    """Name a criterion so that two of different options, of each the value and the default, can be distinguished.

    Example:
        >>> name_with_options("voting", k=(0.5, 0.75), fallback=("last", "last"))
        'voting(k=0.5)'
    """
    changed = [f"{option}={_shown(value)}" for option, (value, default) in options.items() if not _same(value, default)]
    return f"{name}({', '.join(changed)})" if changed else name


def in_short(number: float) -> str:
    """Return the shortest text that reads back as the same number.

    Example:
        >>> in_short(2.0), in_short(0.123456789)
        ('2', '0.123456789')
    """
    return f"{number:g}" if float(f"{number:g}") == number else repr(number)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return in_short(value) if isinstance(value, float) else str(value)


def check_patience(patience: int, option: str) -> None:
    """Raise an OptionError for a patience below 1, or above all numbers of exits that there are."""
    if not 1 <= patience <= _MOST:
        raise OptionError(
            f"{patience} is no patience",
            where=option,
            hint=f"give a whole number from 1 to {_MOST}: how many exits in a row",
        )


def no_values(output: ExitOutput, patience: int) -> Array:
    """Return the window before the first value: -inf, which never reaches a threshold; of shape [batch, patience]."""
    xp, shape = namespace(output.logits), (len(output.logits), patience)
    window: Array = xp.full(shape, -inf, dtype=xp.float32, device=device(output.logits))
    return window


def push(window: Array, values: Array) -> Array:
    """Return a window [batch, patience] with new values [batch] in place of the oldest."""
    pushed: Array = namespace(window).concat([window[:, 1:], values[:, None]], axis=-1)
    return pushed
