"""Runs the graphs of an exported model, layer by layer or for a single row at once."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from ee_lightning.errors import EarlyExitError, OptionError, first_line
from ee_lightning.exits import Criterion, spec_of
from ee_lightning.functional import Array, Target
from ee_lightning.inference.batches import Batch, Predictions, Sample
from ee_lightning.inference.descent import Places, check_finite
from ee_lightning.inference.schedule import Engine
from ee_lightning.runtime.manifest import Manifest
from ee_lightning.runtime.sessions import Sessions


class Hidden(NamedTuple):
    """Hidden states, ``[batch, length, width]``, and 1 for tokens and 0 for padding, ``[batch, length]``."""

    hidden: NDArray[np.float32]
    attention_mask: NDArray[np.int64]


class OnnxBackend:
    """Runs one graph for each layer and each exit; see `ee_lightning.inference.descent.Backend`.

    Args:
        sessions: The graphs.
        manifest: What they are.
        target: What the exits predict.
    """

    device = "cpu"

    def __init__(self, sessions: Sessions, manifest: Manifest, target: Target) -> None:
        self._sessions, self._manifest, self.target = sessions, manifest, target
        self.num_layers, self.num_exits = len(manifest.graphs.layers), len(manifest.exit_layers)
        self._numbers = {layer: number for number, layer in enumerate(manifest.exit_layers, 1)}
        self.extras: tuple[str, ...] = manifest.extras
        self.like: Array = np.empty(0, np.float32)  # type: ignore[assignment]

    def exit_after(self, layer: int) -> int:
        """Return the number of the exit after a layer, 0 where there is none."""
        return self._numbers.get(layer, 0)

    def running(self) -> AbstractContextManager[object]:
        """Return a context for a descent, which needs none."""
        return nullcontext()

    def embed(self, batch: Batch, *, is_padded: bool) -> Hidden:
        """Return the state before the first layer."""
        arrays: Mapping[str, Any] = batch
        (hidden,) = self._sessions.run(self._manifest.graphs.embed, None, arrays)
        return Hidden(hidden, arrays["attention_mask"])

    def layer(self, layer: int, state: Hidden) -> Hidden:
        """Return the state after a layer."""
        (hidden,) = self._sessions.run(self._manifest.graphs.layers[layer - 1], None, state._asdict())
        return state._replace(hidden=hidden)

    def exit(self, number: int, states: Sequence[Hidden]) -> tuple[Array, Mapping[str, Array]]:
        """Return what an exit says."""
        file, names = self._manifest.graphs.exits[number - 1], ("logits", *self.extras)
        said = [self._sessions.run(file, names, state._asdict()) for state in states]
        all_of: Any = said[0] if len(said) == 1 else [np.concatenate(each) for each in zip(*said, strict=True)]
        return all_of[0], dict(zip(self.extras, all_of[1:], strict=True))

    def keep(self, state: Hidden, kept: Places, length: int, *, is_padded: bool) -> Hidden:
        """Return the state of some samples."""
        return Hidden(state.hidden[kept, :length], state.attention_mask[kept, :length])

    def join(self, states: Sequence[Hidden], length: int, *, is_padded: bool) -> Hidden:
        """Return the state of several batches as one."""

        def padded(array: NDArray[Any]) -> NDArray[Any]:
            return np.pad(array, ((0, 0), (0, length - array.shape[1]), *[(0, 0)] * (array.ndim - 2)))

        return Hidden(*(np.concatenate([*map(padded, arrays)]) for arrays in zip(*states, strict=True)))

    def rows(self, array: Array, kept: Places) -> Array:
        """Return rows of an array."""
        rows: Any = array
        return rows[kept]  # type: ignore[no-any-return]

    def append(self, array: Array, other: Array) -> Array:
        """Return the rows of two arrays."""
        both: Any = np.concatenate([array, other])
        return both  # type: ignore[no-any-return]

    def given(self, array: NDArray[Any]) -> Array:
        """Return an array as it is."""
        return array  # type: ignore[return-value]


class OnnxEngine(Engine):
    """The engine of an exported model: a row that is alone goes through the graph for single rows, if there is one.

    Args:
        sessions: The graphs.
        manifest: What they are.
        target: What the exits predict.
        criterion: When to leave.
        threshold: In the criterion's unit, one for all exits or one for each.
        **options: Those of `Engine`.

    Raises:
        OptionError: An option makes no sense, or the criterion can't judge the exits, or needs torch.
    """

    def __init__(
        self,
        sessions: Sessions,
        manifest: Manifest,
        target: Target,
        criterion: Criterion,
        threshold: float | Sequence[float],
        **options: Any,
    ) -> None:
        backend = OnnxBackend(sessions, manifest, target)
        try:
            criterion.rehearse(target, backend.num_exits, backend.extras, backend.like)
        except EarlyExitError:
            raise
        except Exception as error:  # whatever a user's criterion makes of arrays
            what = f"the criterion {criterion.name} can't judge numpy arrays: {first_line(error)}"
            hint = "write its step by array_api_compat, as ours are, or run the model in torch (EarlyExitPredictor)"
            raise OptionError(what, where="criterion", hint=hint) from error
        super().__init__(
            backend,
            criterion,
            threshold,
            pad_token_id=manifest.fills["input_ids"],
            pad_token_type_id=manifest.fills["token_type_ids"],
            **options,
        )
        self._sessions, self._single = sessions, None if options.get("keep_trail") else _single(manifest, criterion)

    @property
    @override
    def has_single(self) -> bool:
        return self._single is not None

    @override
    def alone(self, sample: Sample) -> Predictions | None:
        if self._single is None or not sample.input_ids:
            return None
        arrays: dict[str, NDArray[Any]] = {
            "input_ids": np.array([sample.input_ids]),
            "thresholds": least_numbers(self.thresholds),
        }
        if sample.token_type_ids is not None:
            arrays["token_type_ids"] = np.array([sample.token_type_ids])
        said: list[Any] = self._sessions.run(self._single, ("label", "score", "exit", "logits"), arrays)
        label, score, exit_layer, logits = said
        check_finite(logits)
        return Predictions(label, score, np.reshape(exit_layer, 1), logits)  # type: ignore[arg-type]


def _single(manifest: Manifest, criterion: Criterion) -> str | None:
    """Return the file of the graph for single rows that holds a criterion."""
    spec = spec_of(criterion)
    for each in manifest.single:
        if (each.class_path, each.init_args, each.fitted) == (spec.class_path, spec.init_args, spec.fitted):
            return each.file
    return None


@lru_cache
def least_numbers(thresholds: tuple[float, ...]) -> NDArray[np.float32]:
    """Return, of each threshold, the least number in float32 that is no less."""
    exact = np.asarray(thresholds, np.float64)
    with np.errstate(over="ignore"):
        nearest = exact.astype(np.float32)
    return np.where(nearest < exact, np.nextafter(nearest, np.float32(inf)), nearest)
