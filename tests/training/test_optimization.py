"""Parameter groups and schedule."""

from pathlib import Path

import pytest
from torch import nn
from transformers.pytorch_utils import ALL_LAYERNORM_LAYERS
from transformers.trainer_pt_utils import get_parameter_names

from ee_lightning.errors import OptionError
from ee_lightning.functional import Target
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.training import Optimization, Stage, Timeline


@pytest.fixture(scope="module")
def model(tiny_backbone: Path) -> MultiExitModel:
    return MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), HeadOptions())


def test_every_parameter_has_the_rate_of_its_part_and_only_matrices_decay(model: MultiExitModel) -> None:
    options = Optimization(learning_rate=1e-3, head_learning_rate=1e-2, weight_decay=0.5, warmup_fraction=0)
    optimizer, _ = options.build(model, Timeline([Stage()], 10))
    of = {
        id(p): (group["initial_lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]
    }
    names = dict(model.named_parameters())
    assert len(of) == len(names) == sum(len(group["params"]) for group in optimizer.param_groups)
    for name, parameter in names.items():
        is_bias_or_norm = name.endswith("bias") or "LayerNorm" in name
        assert of[id(parameter)] == (1e-2 if name.startswith("heads") else 1e-3, 0.0 if is_bias_or_norm else 0.5)


def _decaying(model: MultiExitModel) -> set[str]:
    """Name the parameters that decay."""
    optimizer, _ = Optimization().build(model, Timeline([Stage()], 10))
    decay = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in decay}


def test_what_decays_is_what_the_usual_recipe_lets_decay(model: MultiExitModel) -> None:
    usual = {name for name in get_parameter_names(model, ALL_LAYERNORM_LAYERS) if not name.endswith("bias")}
    assert _decaying(model) == usual


def test_pieces_of_sharded_parameters_decay_as_the_whole_does(tiny_backbone: Path) -> None:
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), HeadOptions(gate=True))
    whole = _decaying(model)
    for number, (name, parameter) in enumerate([*model.named_parameters()]):
        module, _, last = name.rpartition(".")
        piece = parameter.detach().flatten()[: number % 3]  # FSDP leaves a flat piece on a process, or nothing
        setattr(model.get_submodule(module), last, nn.Parameter(piece))
    assert _decaying(model) == whole


def test_heads_take_the_rate_of_the_backbone_unless_told_otherwise(model: MultiExitModel) -> None:
    optimizer, _ = Optimization(learning_rate=3e-4).build(model, Timeline([Stage()], 10))
    assert {group["initial_lr"] for group in optimizer.param_groups} == {3e-4}


def test_rate_rises_over_the_warm_up_and_falls_to_zero(model: MultiExitModel) -> None:
    optimizer, schedule = Optimization(learning_rate=1.0, warmup_fraction=0.2).build(model, Timeline([Stage()], 10))
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = [0.0, 0.5, *(1 - step / 8 for step in range(8))]
    assert rates == pytest.approx(expected)
    assert optimizer.param_groups[0]["lr"] == 0


@pytest.mark.parametrize(
    "options",
    [{"learning_rate": -1.0}, {"head_learning_rate": -1.0}, {"weight_decay": float("nan")}, {"warmup_fraction": 1.5}],
)
def test_senseless_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=rf"model.optimization.{next(iter(options))}\n  hint:  .*\d"):
        Optimization(**options)
