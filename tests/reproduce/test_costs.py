"""What leaving early saves."""

import pytest
import torch

from ee_lightning.data import get_task
from ee_lightning.errors import EarlyExitError
from ee_lightning.functional import Target
from ee_lightning.inference.flops import FlopCounter
from ee_lightning.models import HeadOptions, model_of_shapes
from ee_lightning.models.backbones.loading import backbone_config, load_backbone
from ee_lightning.models.multi_exit import MultiExitModel
from ee_lightning.reproduce.evaluation import Layers, flops_speedup, layers_of
from ee_lightning.runs.load_run import RunOptions
from ee_lightning.training.data_module import TaskDataModule


def options(backbone, root="", num_layers=None, exits="every"):
    return RunOptions(
        backbone=str(backbone),
        num_layers=num_layers,
        heads=HeadOptions(exits=exits),
        task=get_task("sst2"),
        own=None,
        root=str(root),
        max_length=32,
    )


def test_speed_up_by_layers_is_all_layers_over_the_mean_of_those_run():
    assert Layers(full=12, uncounted=0).speedup(torch.tensor(3.0)) == 4
    assert Layers(full=12, uncounted=5).speedup(torch.tensor(1.0)) == 2
    assert Layers(full=12, uncounted=8).speedup(torch.tensor([1.0, 2.0])).tolist() == pytest.approx([12 / 9, 1.2])


def test_the_layers_of_a_run(tiny_backbone):
    assert layers_of(options("no/such/backbone"), counted=12) == Layers(12, 0)
    assert layers_of(options(tiny_backbone, num_layers=2, exits="last"), counted=1) == Layers(3, 1)
    assert layers_of(options(tiny_backbone, num_layers=2), counted=2) == Layers(3, 0)
    with pytest.raises(EarlyExitError):
        layers_of(options("no/such/backbone", num_layers=2), counted=2)


def test_flops_are_those_of_the_counter_on_the_model_itself(tiny_backbone, glue_folder):
    own = options(tiny_backbone, glue_folder)
    ids = torch.arange(0, 47, 5)
    exit_layers = ids % 3 + 1
    rows = TaskDataModule("sst2", str(glue_folder), str(tiny_backbone), max_length=32).rows("validation")
    of_rows = own.rows().of("validation")["length"][:]
    assert of_rows == [len(row["input_ids"]) for row in rows]
    lengths = [of_rows[number] for number in ids.tolist()]
    assert len(set(lengths)) > 4
    counter = FlopCounter(MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), own.heads))
    each = [counter.of_sample(length) for length in lengths]
    expected = sum(one.full for one in each) / sum(
        one.until(exit_layer) for one, exit_layer in zip(each, exit_layers.tolist(), strict=True)
    )
    assert flops_speedup(own, lengths, exit_layers, judged=True) == pytest.approx(expected)
    last = torch.full_like(ids, 3)
    assert flops_speedup(own, lengths, last, judged=False) == 1
    assert flops_speedup(own, lengths, last, judged=True) < 1
    cut = options(tiny_backbone, glue_folder, num_layers=1, exits="last")
    one, full = (
        FlopCounter(model_of_shapes(backbone_config(str(tiny_backbone), number), Target.of(2), cut.heads))
        for number in (1, None)
    )
    assert flops_speedup(cut, lengths, torch.ones_like(ids), judged=False) == pytest.approx(
        sum(full.of_sample(n).full for n in lengths) / sum(one.of_sample(n).full for n in lengths)
    )
