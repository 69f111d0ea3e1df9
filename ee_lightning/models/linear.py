"""Products of linear layers: the faster of torch's two libraries for a processor, and where bfloat16 is slow."""

import warnings
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.flop_counter import mm_flop, register_flop_formula

_HAS_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
_PRODUCT = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if _HAS_ONEDNN else None


def use_faster_products(model: nn.Module) -> None:
    """Let the linear layers of a model multiply by oneDNN in inference on a processor in float32.

    Torch takes MKL there. On an AMD EPYC with AVX-512 oneDNN takes 0.5 to 0.7 of its time at 25 to 64 tokens, with AVX2
    as long. Results differ by rounding. Layers stay of the type that they are, as what quantises them needs it.
    """
    for module in model.modules():
        if type(module) is nn.Linear:
            module.forward = partial(_forward, module)  # type: ignore[method-assign]


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


def _forward(layer: nn.Linear, input: Tensor) -> Tensor:
    is_served = (
        _PRODUCT is not None
        and torch.is_inference_mode_enabled()
        and input.is_cpu
        and input.dtype is layer.weight.dtype is torch.float32
        and not torch.is_autocast_enabled("cpu")
    )
    if not is_served:
        return linear(input, layer.weight, layer.bias)
    product: Tensor = _PRODUCT(input, layer.weight, layer.bias, "none", [], "")  # type: ignore[misc]
    return product


if _PRODUCT is not None:

    @register_flop_formula(_PRODUCT)
    def _operations(input: torch.Size, weight: torch.Size, *_: object, **__: object) -> int:
        return mm_flop((input[:-1].numel(), input[-1]), weight[::-1])
