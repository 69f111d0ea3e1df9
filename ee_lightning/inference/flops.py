"""Floating-point operations of early exit, counted on the model's own modules."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ee_lightning.models import MultiExitModel


class SampleFlops(NamedTuple):
    """Floating-point operations that the parts of a model spend on a sample; 0 where a layer has no head."""

    embedding: int
    layers: Sequence[int]
    heads: Sequence[int]

    @property
    def full(self) -> int:
        """Operations of the full model: all layers and the last head alone."""
        return self.until(len(self.layers)) - sum(self.heads[:-1])

    def until(self, layer: int) -> int:
        """Return those of the layers up to one, counted from 1, and of all heads after them."""
        return self.embedding + sum(self.layers[:layer]) + sum(self.heads[:layer])


class FlopCounter:
    """Counts a model's floating-point operations, by PyTorch's counter on the modules that run.

    One multiply-add is two operations. Matrix products are counted, those of attention among them, and element-wise
    work (norms, activations, softmax, what criteria do) is not, as PyTorch's counter has it; nor is padding, for a
    sample is counted alone, at its own length. It runs on shapes alone: a copy of the model without weights, once for
    each length. The model stays as it is.
    """

    def __init__(self, model: MultiExitModel) -> None:
        self._model = _without_weights(model)
        self._by_length: dict[int, SampleFlops] = {}

    def of_sample(self, num_tokens: int) -> SampleFlops:
        """Count what a sample takes, of so many tokens, special ones included."""
        if num_tokens not in self._by_length:
            self._by_length[num_tokens] = self._count(num_tokens)
        return self._by_length[num_tokens]

    def of_lengths(self, lengths: Sequence[int]) -> list[SampleFlops]:
        """Count what samples take, one of each length."""
        of_samples = self._of_samples(lengths)
        return [of_samples[length] for length in lengths]

    def of_full(self, num_tokens: Sequence[int]) -> int:
        """Count what samples, of so many tokens each, take of the full model: all layers and the last head alone."""
        of_samples = self._of_samples(num_tokens)
        return sum(of_samples[length].full for length in num_tokens)

    def of_exits(self, num_tokens: Sequence[int], exit_layers: Sequence[int]) -> int:
        """Count what samples take that leave early, with all heads passed.

        Args:
            num_tokens: Number of tokens of each sample, ``[samples]``.
            exit_layers: The number of the exit at which it leaves, from 1, ``[samples]``.
        """
        layers = self._model.layers_of_exits
        of_samples, pairs = self._of_samples(num_tokens), Counter(zip(num_tokens, exit_layers, strict=True))
        return sum(
            number * of_samples[length].until(layers[exit_layer - 1]) for (length, exit_layer), number in pairs.items()
        )

    def _of_samples(self, num_tokens: Sequence[int]) -> dict[int, SampleFlops]:
        if unknown := set(num_tokens) - self._by_length.keys():
            self._by_length |= flops_by_length(self.of_sample, unknown)
        return self._by_length

    @torch.inference_mode()
    def _count(self, num_tokens: int) -> SampleFlops:
        model, totals = self._model, [0]
        tokens = torch.zeros(1, num_tokens, dtype=torch.long, device="meta")  # [1, tokens]
        # One kernel of attention is counted as the products that it is made of; others may not be counted at all.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            state = model.backbone.embed(tokens, torch.ones_like(tokens), is_padded=False)
            totals.append(counter.get_total_flops())
            for layer in range(1, model.backbone.num_layers + 1):
                state = model.backbone.layer(layer - 1, state)
                totals.append(counter.get_total_flops())
                if (exit_layer := model.exit_after(layer)) > 0:
                    model.heads(exit_layer, state)
                totals.append(counter.get_total_flops())
        embedding, *parts = [after - before for before, after in pairwise(totals)]
        return SampleFlops(embedding, layers=parts[::2], heads=parts[1::2])


def flops_by_length(count: Callable[[int], SampleFlops], lengths: Collection[int]) -> dict[int, SampleFlops]:
    """Count what samples of some lengths take, by counting few of them.

    Products of matrices are linear in the number of tokens and attention is quadratic, so that three lengths tell all
    others, exactly. A fourth is counted to see that it is so; where it isn't, every length is counted, a second each.
    """
    ascending = sorted(lengths)
    nodes = [ascending[place * (len(ascending) - 1) // 3] for place in range(4)]
    if len(set(nodes)) == 4:
        counted = [count(length) for length in nodes]
        parts = np.array([[each.embedding, *each.layers, *each.heads] for each in counted], dtype=float)  # [4, parts]
        check, known, num_layers = nodes.pop(1), np.delete(parts, 1, axis=0), len(counted[0].layers)

        def interpolate(length: int) -> list[int]:
            # Lagrange's parabola through three lengths, rounded to whole numbers.
            weights = [prod((length - other) / (node - other) for other in nodes if other != node) for node in nodes]
            return [round(part) for part in (weights @ known).tolist()]

        if interpolate(check) == parts[1].tolist():
            found = {length: interpolate(length) for length in ascending}
            split = 1 + num_layers
            return {length: SampleFlops(each[0], each[1:split], each[split:]) for length, each in found.items()}
    return {length: count(length) for length in ascending}


def _without_weights(model: MultiExitModel) -> MultiExitModel:
    """Copy a model but for its tensors, of which the copy has the shapes alone."""
    shapes: dict[int, object] = {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    for parameter in model.parameters():
        shapes[id(parameter)] = nn.Parameter(parameter.to("meta"), requires_grad=False)
    return deepcopy(model, shapes).eval()
