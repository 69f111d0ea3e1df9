"""Runs a model in torch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from ee_lightning.functional import Array
from ee_lightning.inference.batches import Batch
from ee_lightning.inference.descent import Places
from ee_lightning.models import EncoderState, MultiExitModel
from ee_lightning.models.linear import pack_linear_layers, packed_products, warn_of_slow_bfloat16


class TorchBackend:
    """Runs a model in torch, where it is.

    Args:
        model: The model.
        lower: Whether matrix products are in bfloat16.
    """

    def __init__(self, model: MultiExitModel, *, lower: bool = False) -> None:
        self.model, self._lower = model, lower
        self.target, self.num_layers, self.num_exits = model.target, model.backbone.num_layers, model.num_exits
        self.extras: tuple[str, ...] = model.heads.extras
        self.where = next(model.parameters()).device
        self.device = self.where.type
        if lower:
            warn_of_slow_bfloat16(self.device)
        pack_linear_layers(model.backbone)
        self.like: Array = torch.empty(0, device=self.where)
        self._numbers = {layer: number for number, layer in enumerate(model.layers_of_exits, 1)}

    def exit_after(self, layer: int) -> int:
        """Return the number of the exit after a layer, 0 where there is none."""
        return self._numbers.get(layer, 0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Return a context for a descent, entered once for all layers, because the weights are cast again each time."""
        if self.model.training:
            self.model.eval()
        lower = torch.autocast(self.device, dtype=torch.bfloat16) if self._lower else nullcontext()
        with torch.inference_mode(), lower, packed_products():
            yield

    def embed(self, batch: Batch, *, is_padded: bool) -> EncoderState:
        """Return the state before the first layer."""
        there = {name: torch.as_tensor(array).to(self.where, non_blocking=True) for name, array in batch.items()}
        return self.model.backbone.embed(**there, is_padded=is_padded)

    def layer(self, layer: int, state: EncoderState) -> EncoderState:
        """Return the state after a layer."""
        return self.model.backbone.layer(layer - 1, state)

    def exit(self, number: int, states: Sequence[EncoderState]) -> tuple[Array, Mapping[str, Array]]:
        """Return what an exit says."""
        heads = self.model.heads
        pooled = [heads.pool(state) for state in states]  # [batch, width] each
        said = heads.classify(number, pooled[0] if len(pooled) == 1 else torch.cat(pooled))
        return said.logits.float(), {name: extra.float() for name, extra in said.extras.items()}

    def keep(self, state: EncoderState, kept: Places, length: int, *, is_padded: bool) -> EncoderState:
        """Return the state of some samples."""
        there = self._places(kept)
        hidden = state.hidden[:, :length].index_select(0, there)  # [kept, length, width]
        padding_mask = state.padding_mask[:, :length].index_select(0, there)  # [kept, length]
        return self.model.backbone.state(hidden, padding_mask, is_padded=is_padded)

    def join(self, states: Sequence[EncoderState], length: int, *, is_padded: bool) -> EncoderState:
        """Return the state of several batches as one."""
        hidden = [pad(each.hidden, (0, 0, 0, length - each.hidden.shape[1])) for each in states]
        masks = [pad(each.padding_mask, (0, length - each.hidden.shape[1])) for each in states]
        return self.model.backbone.state(torch.cat(hidden), torch.cat(masks), is_padded=is_padded)

    def rows(self, array: Array, kept: Places) -> Array:
        """Return rows of an array."""
        rows: Any = array
        return rows.index_select(0, self._places(kept))  # type: ignore[no-any-return]

    def append(self, array: Array, other: Array) -> Array:
        """Return the rows of two arrays."""
        both: Any = (array, other)
        return torch.cat(both)

    def given(self, array: NDArray[Any]) -> Tensor:
        """Return a tensor on the host."""
        return torch.from_numpy(array)

    def _places(self, kept: Places) -> Tensor:
        return torch.from_numpy(kept).to(self.where, non_blocking=True)
