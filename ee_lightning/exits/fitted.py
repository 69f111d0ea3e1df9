"""Criteria with parameters that are fitted on held-out data."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from array_api_compat import device
from numpy.typing import NDArray

from ee_lightning.errors import OptionError
from ee_lightning.exits.criterion import Criterion, ExitOutput
from ee_lightning.functional import Array, Device, host, namespace

if TYPE_CHECKING:
    from ee_lightning.exits.stored import StoredExits

Parameters = dict[str, Array]
"""What a criterion has learnt, by name; without a batch dimension."""

NUM_EXITS, NUM_CLASSES = "num_exits", "num_classes"


class Fitted(Criterion):
    """A criterion that has to see a calibration split before it can judge.

    Fit it on samples held out from training and from what is reported, or the report flatters it. What it has learnt
    is `fitted`, which JSON can hold and `restore` takes back, to the last bit.

    Attributes:
        shapes: The dimensions of every parameter, such as ``("num_exits", "num_classes")``; others are of any size,
            which is the same wherever a name stands again.
    """

    shapes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    _learnt: dict[str, NDArray[Any]] | None = None  # on the host
    _there: tuple[tuple[str, Device], Parameters] | None = None  # the same of the kind and where they were asked for

    def fit(self, exits: "StoredExits") -> None:
        """Learn from the stored exits of a calibration split alone.

        Raises:
            OptionError: If the exits predict values and this criterion needs classes.
            DataError: If the labels that it needs are missing or are no class numbers.
        """
        self.check_task(exits.target.kind)
        shape = {NUM_EXITS: np.asarray(exits.num_exits), NUM_CLASSES: np.asarray(exits.num_classes)}
        estimated = {name: host(tensor) for name, tensor in self.estimate(exits).items()}
        self._learnt, self._there = {**shape, **estimated}, None

    @property
    def fitted(self) -> dict[str, Any]:
        """What was learnt, as numbers and lists of numbers; an OptionError if nothing was yet."""
        return {name: tensor.tolist() for name, tensor in self._all_learnt().items()}

    def restore(self, fitted: Mapping[str, Any]) -> None:
        """Take back the `fitted` of a criterion of the same class.

        Raises:
            OptionError: If something is missing, of another shape, or not finite.
        """
        try:
            learnt = {name: _read(values) for name, values in fitted.items()}
            sizes = {name: int(learnt[name]) for name in (NUM_EXITS, NUM_CLASSES)}
            for name, shape in self.shapes.items():
                found = list(learnt[name].shape)
                if len(found) != len(shape) or found != [
                    sizes.setdefault(*at) for at in zip(shape, found, strict=True)
                ]:
                    raise ValueError(f"{name} has the shape {found}")
                if not np.isfinite(learnt[name]).all():
                    raise ValueError(f"{name} is not finite")
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise OptionError(
                f"{self.name} can't have learnt this: {error!s:.200}", where="fitted", hint="fit it again"
            ) from error
        self._learnt, self._there = learnt, None

    @abstractmethod
    def estimate(self, exits: "StoredExits") -> Parameters:
        """Estimate the parameters, in float32, from the stored exits of the calibration split."""

    def parameters(self, output: ExitOutput) -> Parameters:
        """Return the parameters, on the device of an exit's output.

        Raises:
            OptionError: If nothing was learnt yet, or it was learnt from another number of exits or classes.
        """
        learnt = self._all_learnt()
        learnt_from = (int(learnt[NUM_EXITS]), int(learnt[NUM_CLASSES]))
        if learnt_from != (output.num_exits, output.logits.shape[-1]):
            raise OptionError(
                f"The criterion {self.name} was fitted on {learnt_from[0]} exits of {learnt_from[1]} classes, "
                f"and these are {output.num_exits} exits of {output.logits.shape[-1]}",
                where="criteria",
                hint="fit it on a calibration split of this model",
            )
        xp, there = namespace(output.logits), self._there
        where = xp.__name__, device(output.logits)
        if there is None or there[0] != where:
            moved = {name: xp.asarray(array, device=where[1]) for name, array in learnt.items()}
            there = self._there = (where, moved)
        return there[1]

    def _all_learnt(self) -> dict[str, NDArray[Any]]:
        if self._learnt is None:
            raise OptionError(
                f"The criterion {self.name} has parameters, and they were not fitted yet",
                where="criteria",
                hint="fit it on a calibration split, held out from training and from what is reported",
            )
        return self._learnt


def _read(values: object) -> NDArray[Any]:
    """Return numbers that JSON can hold as an array, floating-point ones in float32."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError("it holds what is no number")
    return array.astype(np.float32) if array.dtype.kind == "f" else array
