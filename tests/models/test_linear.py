"""Linear layers that multiply by packed weights in engines, and change nothing else."""

import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from ee_lightning.functional import Target
from ee_lightning.inference.torch_backend import TorchBackend
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.models.linear import pack_linear_layers, packed_products, warn_of_slow_bfloat16

PRODUCT, PACKING = "mkldnn._linear_pointwise.default", "mkldnn._reorder_linear_weight.default"


class Own(nn.Linear):
    """A user's layer."""


class Operators(TorchDispatchMode):
    """Writes down the names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names = list[str]()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def operators(module: nn.Module, given: Tensor) -> list[str]:
    with Operators() as operators:
        module(given)
    return operators.names


@contextmanager
def predicting() -> Iterator[None]:
    with torch.inference_mode(), packed_products():
        yield


@pytest.fixture
def layers() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 5), Own(5, 4), nn.Linear(4, 3, bias=False)).eval()
    pack_linear_layers(layers)
    return layers


def test_they_keep_weights_and_names_and_leave_a_users_layers(layers: nn.Sequential) -> None:
    assert [type(layer) for layer in layers] == [nn.Linear, Own, nn.Linear]
    plain = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 3, bias=False))
    plain.load_state_dict(layers.state_dict())
    given = torch.randn(2, 7, 6)
    with predicting():
        expected = plain(given)
        for module in (layers, deepcopy(layers), pickle.loads(pickle.dumps(layers))):
            torch.testing.assert_close(module(given), expected, rtol=0, atol=1e-6)
            torch.testing.assert_close(module(given[:, :0]), expected[:, :0])
            torch.testing.assert_close(module(given.transpose(0, 1)), expected.transpose(0, 1), rtol=0, atol=1e-6)


def test_only_engines_multiply_by_packed_weights(layers: nn.Sequential) -> None:
    layer, given = layers[0], torch.randn(2, 6)
    with predicting():
        assert PRODUCT in operators(layer, given)
        assert PRODUCT not in operators(deepcopy(layer).double(), given.double())
        assert PRODUCT not in operators(deepcopy(layer).to("meta"), given.to("meta"))
        with pytest.raises(RuntimeError, match="dtype"):
            layer(given.bfloat16())
    with packed_products():
        assert PRODUCT not in operators(layer, given)
        layer(given).sum().backward()
    with torch.inference_mode():
        assert PRODUCT not in operators(layer, given)
    assert layer.weight.grad is not None


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor multiplies no bfloat16")
def test_bfloat16_is_packed_as_autocast_would_cast(layers: nn.Sequential) -> None:
    layer, given = layers[0], torch.randn(2, 6)
    with predicting(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert PRODUCT in operators(layer, given)
        said, expected = layer(given), linear(given, layer.weight, layer.bias)
    assert said.dtype is torch.bfloat16
    torch.testing.assert_close(said, expected)
    with predicting(), torch.autocast("cpu", dtype=torch.float16):
        assert PRODUCT not in operators(layer, given)


def test_weights_are_packed_once_and_again_after_they_changed(layers: nn.Sequential) -> None:
    layer, given = layers[0], torch.randn(2, 6)
    other = nn.Linear(6, 5)
    with predicting():
        assert PACKING in operators(layer, given)
        assert PACKING not in operators(layer, given)
    layer.load_state_dict(other.state_dict())
    with predicting():
        torch.testing.assert_close(layer(given), other(given))
    layer.weight = nn.Parameter(torch.zeros(5, 6))
    with predicting():
        torch.testing.assert_close(layer(given), layer.bias.expand(2, 5))


def test_changes_that_leave_no_trace_are_seen_after_training_and_by_the_next_engine(layers: nn.Sequential) -> None:
    layer, given = layers[0], torch.randn(2, 6)
    for forget in (lambda: layers.train()(given), lambda: pack_linear_layers(layers)):
        with predicting():
            layer(given)
        layer.weight.data.add_(1.0)  # as some optimisers do it, and what merges adapters
        forget()
        layers.eval()
        with predicting():
            torch.testing.assert_close(layer(given), linear(given, layer.weight, layer.bias))


def test_a_forward_that_others_gave_a_layer_stays() -> None:
    layer = nn.Linear(6, 5).eval()
    layer.forward = lambda input: input  # type: ignore[method-assign]
    pack_linear_layers(layer)
    with predicting():
        assert layer(torch.ones(2, 6)).shape == (2, 6)


def test_an_engine_multiplies_by_packed_weights_and_compiled_models_do_not(tiny_backbone: str) -> None:
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), HeadOptions())
    layer = next(module for module in model.backbone.modules() if isinstance(module, nn.Linear))
    given, backend = torch.zeros(2, layer.in_features), TorchBackend(model)
    with backend.running():
        assert PRODUCT in operators(layer, given)
        compiled = torch.compile(layer, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(given), layer(given))
    with torch.inference_mode():
        assert PRODUCT not in operators(layer, given)


def test_operations_of_both_libraries_are_counted_alike(layers: nn.Sequential) -> None:
    counted = []
    for mode in (predicting, torch.no_grad):
        with mode(), FlopCounterMode(display=False) as counter:
            layers(torch.randn(2, 7, 6))
        counted.append(counter.get_total_flops())
    assert counted == [2 * 14 * (6 * 5 + 5 * 4 + 4 * 3)] * 2


@pytest.mark.parametrize(
    ("device", "instructions", "is_slow"),
    [
        ("cpu", ["avx2"], True),
        ("cpu", ["avx2", "avx512_bf16"], False),
        ("cpu", ["amx_bf16"], False),
        ("cuda", [], False),
    ],
)
def test_bfloat16_is_warned_of_where_a_processor_has_no_instructions_for_it(
    device: str, instructions: list[str], is_slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(instructions, True))
    with warnings.catch_warnings(record=True, action="always") as warned:
        warn_of_slow_bfloat16(device)
    assert [str(each.message).startswith("this processor has no instructions for bfloat16") for each in warned] == (
        [True] * is_slow
    )
