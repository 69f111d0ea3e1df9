"""Products of linear layers: weights in the layout that a processor multiplies fastest, and where bfloat16 is slow."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.flop_counter import mm_flop, register_flop_formula

_ONEDNN: Any = torch.ops.mkldnn
_PRODUCT = getattr(_ONEDNN, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None  # type: ignore[no-untyped-call]


class _Here(threading.local):
    """Whether layers may multiply by packed weights now, in this thread."""

    is_allowed = False


_HERE = _Here()


def pack_linear_layers(model: nn.Module) -> None:
    """Let the linear layers of a model multiply by packed weights within `packed_products`, on a processor.

    Torch hands MKL the weights row by row. Packed, they are in the order in which oneDNN reads them: gte-small's
    products of 25 tokens take 0.6 to 0.7 of the time on an AMD EPYC with AVX-512, and 0.9 with AVX2 alone. Results
    differ by rounding. The weights stay too, so a layer takes its memory twice.

    Weights are packed when a layer first runs, and again after they changed or the layer was trained. Changes that
    torch does not count, such as those of ``weight.data`` in place, are seen after the next call of this function.
    Layers stay of the type that they are, as what quantises them needs it; those with a forward of their own are left
    alone.
    """
    for module in model.modules() if _PRODUCT is not None else ():
        if type(module) is nn.Linear and isinstance(vars(module).get("forward"), _PackedForward | None):
            module.forward = _PackedForward(module)  # type: ignore[method-assign]


@contextmanager
def packed_products() -> Iterator[None]:
    """Return a context in which this thread multiplies by packed weights."""
    before, _HERE.is_allowed = _HERE.is_allowed, True
    try:
        yield
    finally:
        _HERE.is_allowed = before


class _Packed(NamedTuple):
    """Weights as oneDNN reads them, and of which they were made, with their address, version and type then."""

    weight: Tensor
    made_of: Tensor
    state: tuple[int, int, torch.dtype]


class _PackedForward:
    """The forward of a linear layer; copies and pickles of it pack for themselves."""

    def __init__(self, layer: nn.Linear) -> None:
        self._layer = layer
        self._packed: _Packed | None = None

    def __call__(self, input: Tensor) -> Tensor:
        layer = self._layer
        if layer.training:
            self._packed = None
        is_allowed = _HERE.is_allowed and not torch.compiler.is_compiling()
        if not is_allowed or (dtype := _type_of_products(layer.weight, input)) is None:
            return linear(input, layer.weight, layer.bias)
        bias = None if layer.bias is None else layer.bias.to(dtype)
        return _PRODUCT(input.to(dtype), self._weight(dtype), bias, "none", [], "")  # type: ignore[misc, no-any-return]

    def _weight(self, dtype: torch.dtype) -> Tensor:
        weight, packed = self._layer.weight, self._packed
        state = weight.data_ptr(), weight._version, dtype
        if packed is None or packed.made_of is not weight or packed.state != state:
            packed = _Packed(_ONEDNN._reorder_linear_weight(weight.to(dtype), None), weight, state)
            self._packed = packed
        return packed.weight

    def __getstate__(self) -> dict[str, Any]:
        return {"_layer": self._layer, "_packed": None}


def _type_of_products(weight: Tensor, input: Tensor) -> torch.dtype | None:
    """Return the type in which a product has this weight packed; None where it can't, or changes would not be seen."""
    if type(weight) is not nn.Parameter or weight.is_inference() or not torch.is_inference_mode_enabled():
        return None
    if not weight.is_cpu or not input.is_cpu or weight.dtype is not torch.float32:
        return None
    if not torch.is_autocast_enabled("cpu"):
        return torch.float32 if input.dtype is torch.float32 else None
    is_lower = torch.get_autocast_dtype("cpu") is torch.bfloat16 and _ONEDNN._is_mkldnn_bf16_supported()
    return torch.bfloat16 if is_lower else None


def warn_of_slow_bfloat16(device: str) -> None:
    """Warn where products in bfloat16 are slower than in float32: on a processor without instructions for them.

    With AVX2 alone, products of gte-small's layers take 5 to 30 times as long as in float32.
    """
    instructions = ("avx512_bf16", "amx_bf16", "bf16")  # the last is that of ARM64
    if device == "cpu" and not any(torch.cpu.get_capabilities().get(name) for name in instructions):
        warnings.warn(
            "this processor has no instructions for bfloat16, and computes many times as long in it as in float32",
            stacklevel=2,
        )


if _PRODUCT is not None:

    @register_flop_formula(_PRODUCT)
    def _operations(input: torch.Size, weight: torch.Size, *_: object, **__: object) -> int:
        return mm_flop((input[:-1].numel(), input[-1]), weight[::-1])
