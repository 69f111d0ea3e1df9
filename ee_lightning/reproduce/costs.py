"""What leaving early saves on a run's model: layers, and floating-point operations."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import prod

from torch import Tensor

from ee_lightning.exits import StoredExits
from ee_lightning.functional import Target
from ee_lightning.inference.flops import FlopCounter, SampleFlops
from ee_lightning.models import HeadOptions, model_of_shapes
from ee_lightning.models.backbones.loading import backbone_config
from ee_lightning.runs.load_run import RunOptions, evaluated_rows


@dataclass(frozen=True)
class Layers:
    """The layers of a model.

    Attributes:
        full: Those of the whole backbone.
        kept: Those of them that the model has.
        num_exits: How many of these, counted from the last, have an exit behind them.
    """

    full: int
    kept: int
    num_exits: int

    @property
    def without_exit(self) -> int:
        """How many layers are run before the first exit."""
        return self.kept - self.num_exits

    def speedup(self, exit_layers: Tensor) -> float:
        """Return all layers of the whole backbone over the mean of those run.

        Args:
            exit_layers: The number of the exit where each sample leaves, from 1, of shape [samples].
        """
        return self.full / (self.without_exit + exit_layers.double().mean().item())


def layers_of(options: RunOptions, num_exits: int) -> Layers:
    """Count the layers of a run's model.

    Args:
        options: The run's.
        num_exits: Number of its exits.

    Raises:
        BackboneError: The backbone's configuration is needed and not available.
    """
    if options.heads.exits == "every" and options.num_layers is None:
        return Layers(num_exits, num_exits, num_exits)
    full = int(backbone_config(options.backbone).num_hidden_layers)
    return Layers(full, options.num_layers or full, num_exits)


def tokens_of(options: RunOptions, split: str, exits: StoredExits) -> list[int]:
    """Return the number of tokens of every row of a split that was evaluated, in the order of the ids.

    Args:
        options: Of the run that reads them.
        split: Such as ``validation``.
        exits: The stored exits of the split.

    Raises:
        EarlyExitError: The rows or the tokenizer are not available.
    """
    lengths: list[int] = evaluated_rows(options.rows().of(split), exits)["length"][:]
    return lengths


def flops_speedup(
    options: RunOptions, layers: Layers, num_tokens: Sequence[int], exit_layers: Tensor, *, judged: bool
) -> float:
    """Return the operations of the whole backbone with the last head alone over those of samples that leave early.

    Heads that are passed are counted, padding is not; see `FlopCounter`.

    Args:
        options: The run's.
        layers: Those of its model.
        num_tokens: Of each sample.
        exit_layers: The number of the exit where each leaves, from 1, of shape [samples].
        judged: Whether the exits passed were asked; if not, all samples leave at the last one, which is.

    Raises:
        EarlyExitError: The backbone's configuration is not available.
    """
    pairs = Counter(zip(num_tokens, exit_layers.tolist(), strict=True))
    lengths = tuple(sorted({*num_tokens}))
    whole = _flops(options.backbone, None, options.task.target, options.heads, lengths)
    own = _flops(options.backbone, options.num_layers, options.task.target, options.heads, lengths)

    def spent(length: int, exit_layer: int) -> int:
        return own[length].until(layers.without_exit + exit_layer) if judged else own[length].full

    full = sum(number * whole[length].full for (length, _), number in pairs.items())
    return full / sum(number * spent(length, exit_layer) for (length, exit_layer), number in pairs.items())


def flops_by_length(count: Callable[[int], SampleFlops], lengths: Sequence[int]) -> dict[int, SampleFlops]:
    """Count what samples of some lengths take, by counting few of them.

    Products of matrices are linear in the number of tokens and attention is quadratic, so three lengths determine all
    others, exactly. A fourth is counted to see that it is so; where it isn't, every length is counted.

    Args:
        count: What `FlopCounter.of_sample` does, which takes a second.
        lengths: Numbers of tokens, ascending.
    """
    nodes = [lengths[place * (len(lengths) - 1) // 3] for place in range(4)]
    if len(set(nodes)) < 4:
        return {length: count(length) for length in lengths}
    low, check, middle, high = nodes
    known = {length: count(length) for length in nodes}
    parts = {length: (known[length].embedding, *known[length].layers, *known[length].heads) for length in nodes}
    num_layers = len(known[low].layers)

    def interpolate(length: int) -> SampleFlops:
        at = [_quadratic({node: parts[node][part] for node in (low, middle, high)}, length) for part in _all(parts)]
        return SampleFlops(at[0], at[1 : 1 + num_layers], at[1 + num_layers :])

    found = {length: interpolate(length) for length in lengths}
    if (found[check].embedding, *found[check].layers, *found[check].heads) != parts[check]:
        return {length: count(length) for length in lengths}
    return found


def _all(parts: Mapping[int, Sequence[int]]) -> range:
    return range(len(next(iter(parts.values()))))


def _quadratic(values: Mapping[int, int], at: int) -> int:
    """Evaluate the parabola through three points of whole numbers (Lagrange), rounded to a whole number."""
    total = Fraction(0)
    for node, value in values.items():
        others = [other for other in values if other != node]
        total += value * Fraction(prod(at - other for other in others), prod(node - other for other in others))
    return round(total)


@cache
def _flops(
    backbone: str, num_layers: int | None, target: Target, heads: HeadOptions, lengths: tuple[int, ...]
) -> dict[int, SampleFlops]:
    counter = FlopCounter(model_of_shapes(backbone_config(backbone, num_layers), target, heads))
    return flops_by_length(counter.of_sample, lengths)
