"""A few steps of training on every family that has an adapter."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families import NOT_RECOMPUTED
from lightning import Trainer
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from ee_lightning.errors import OptionError
from ee_lightning.models import MultiExitModel
from ee_lightning.models.backbones import FAMILIES
from ee_lightning.training import EarlyExitModule, Optimization
from ee_lightning.training.objectives.joint import JointObjective

Make = Callable[..., Path]


def _batch() -> dict[str, Tensor]:
    """Twelve rows that the first word tells apart."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(12) % 2
    lengths = torch.randint(4, 12, (12, 1), generator=generator)
    mask = (torch.arange(11) < lengths).long()  # [batch, length]
    ids = torch.randint(10, 50, mask.shape, generator=generator)
    ids[:, 1] = 5 + labels
    return {"input_ids": ids * mask, "attention_mask": mask, "labels": labels, "ids": torch.arange(12)}


def _module(folder: Path, **options: Any) -> EarlyExitModule:
    torch.manual_seed(0)
    optimization = Optimization(learning_rate=1e-3, head_learning_rate=1e-2, weight_decay=0.0, **options)
    return EarlyExitModule(str(folder), 2, ["accuracy"], JointObjective(), optimization=optimization)


def _loss(model: MultiExitModel) -> Tensor:
    batch = _batch()
    logits = model(batch["input_ids"], batch["attention_mask"]).logits
    return sum(cross_entropy(each, batch["labels"]) for each in logits) / len(logits)  # type: ignore[return-value]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_few_steps_lower_the_loss_and_move_every_weight(family: str, small_backbone: Make) -> None:
    module = _module(small_backbone(family))
    before = {name: each.detach().clone() for name, each in module.model.named_parameters() if each.requires_grad}
    first = _loss(module.model.eval()).item()
    trainer = Trainer(
        max_epochs=6,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    loader = DataLoader([_batch()], batch_size=None)
    trainer.fit(module.train(), loader, loader)
    assert _loss(module.model.eval()).item() < 0.97 * first
    after = dict(module.model.named_parameters())
    still = [name for name, parameter in before.items() if torch.equal(after[name], parameter)]
    assert still == []


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - NOT_RECOMPUTED))
def test_recomputing_layers_changes_no_gradient(family: str, small_backbone: Make) -> None:
    gradients, kept = [], []
    for recomputes in (False, True):
        model = _module(small_backbone(family), gradient_checkpointing=recomputes).model.train()
        sizes: list[int] = []

        def note(tensor: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        torch.manual_seed(1)  # of the dropout
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = _loss(model)
        loss.backward()
        kept.append(sum(sizes))
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert kept[1] < kept[0] / 2
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("family", sorted(NOT_RECOMPUTED))
def test_a_family_that_can_not_recompute_says_so(family: str, small_backbone: Make) -> None:
    with pytest.raises(OptionError, match=rf"layers of {family} can't[\s\S]*gradient_checkpointing"):
        _module(small_backbone(family), gradient_checkpointing=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_frozen_backbone_stays(family: str, small_backbone: Make) -> None:
    module = _module(small_backbone(family), freeze_backbone=True)
    module.model.backbone.requires_grad_(False)
    _loss(module.model).backward()
    assert {name.split(".")[0] for name, each in module.model.named_parameters() if each.grad is not None} == {"heads"}
