"""Training on several labels a sample: every objective against the binary cross entropy."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ee_lightning.functional import Kind, Target
from ee_lightning.models import HeadOptions, MultiExitOutput
from ee_lightning.training import EarlyExitModule, LabelOptions
from ee_lightning.training.objectives.alternating import AlternatingObjective
from ee_lightning.training.objectives.consistentee import ConsistentEEObjective
from ee_lightning.training.objectives.ensemble import EnsembleObjective
from ee_lightning.training.objectives.joint import JointObjective
from ee_lightning.training.objectives.last_exit import LastExitObjective
from ee_lightning.training.objectives.mutual_distillation import MutualDistillationObjective
from ee_lightning.training.objectives.objective import Objective
from ee_lightning.training.objectives.palbert import PALBERTObjective
from ee_lightning.training.objectives.ramped import RampedObjective
from ee_lightning.training.objectives.two_stage import SelfDistillationObjective, TwoStageObjective

BATCH, LABELS, EXITS = 5, 4, 3


def _module(objective: Objective, backbone: Path, **options: object) -> EarlyExitModule:
    metrics = ["micro_f1", "macro_f1", "exact_match"]
    module = EarlyExitModule(str(backbone), LABELS, metrics, objective, multi_label=True, **options)  # type: ignore[arg-type]
    module.log = module.log_dict = lambda *args, **kwargs: None  # type: ignore[assignment, method-assign]
    module._trainer = SimpleNamespace(global_step=0, current_epoch=0)  # type: ignore[assignment]
    return module


def _loss(module: EarlyExitModule, output: MultiExitOutput, labels: Tensor, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    monkeypatch.setattr(EarlyExitModule, "forward", lambda self, batch: output)
    monkeypatch.setattr(EarlyExitModule, "global_step", 0)
    tokens = torch.ones(len(labels), 2, dtype=torch.long)
    return module.training_step({"input_ids": tokens, "attention_mask": tokens, "labels": labels})


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(EXITS, BATCH, LABELS, generator=generator)
    return logits, torch.randint(2, (BATCH, LABELS), generator=generator)


def _entropies(logits: Tensor, labels: Tensor) -> list[Tensor]:
    return [binary_cross_entropy_with_logits(said, labels.float()) for said in logits]


def test_the_joint_loss_is_the_sum_of_the_exits_binary_cross_entropies(
    batch: tuple[Tensor, Tensor], tiny_backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = _module(JointObjective(), tiny_backbone)
    assert module.target == module.model.target == Target(Kind.MULTI_LABEL, LABELS)
    loss = _loss(module, MultiExitOutput(batch[0]), batch[1], monkeypatch)
    torch.testing.assert_close(loss, sum(_entropies(*batch)))


def test_the_paper_s_loss_takes_diversity_between_labels(
    batch: tuple[Tensor, Tensor], tiny_backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, labels = batch
    loss = _loss(_module(EnsembleObjective(0.3), tiny_backbone), MultiExitOutput(logits), labels, monkeypatch)
    between = {
        (m, j): binary_cross_entropy_with_logits(logits[m], logits[j].sigmoid()) for m in range(3) for j in range(m)
    }
    diversity = between[1, 0] + torch.minimum(between[2, 0], between[2, 1])
    torch.testing.assert_close(loss, sum(_entropies(logits, labels)) - 0.3 * diversity)


def test_weights_and_smoothing_reach_the_loss(
    batch: tuple[Tensor, Tensor], tiny_backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, labels = batch
    options = LabelOptions(smoothing=0.2, class_weights=[1.0, 2.0, 3.0, 4.0])
    module = _module(LastExitObjective(), tiny_backbone, labels=options)
    module._class_weights = options.weights_for(None, Kind.MULTI_LABEL)
    loss = _loss(module, MultiExitOutput(logits), labels, monkeypatch)
    weights = torch.where(labels == 1, torch.tensor([1.0, 2.0, 3.0, 4.0]), 1.0)
    expected = binary_cross_entropy_with_logits(logits[-1], 0.8 * labels + 0.1, weight=weights)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize(
    "objective",
    [
        JointObjective(),
        EnsembleObjective(),
        RampedObjective(),
        AlternatingObjective(),
        LastExitObjective(),
        TwoStageObjective(),
        SelfDistillationObjective(),
        MutualDistillationObjective(),
        PALBERTObjective(),
        ConsistentEEObjective(),
    ],
    ids=lambda objective: type(objective).__name__,
)
def test_every_objective_takes_several_labels(
    objective: Objective, batch: tuple[Tensor, Tensor], tiny_backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, labels = batch
    logits.requires_grad_()
    module = _module(objective, tiny_backbone, heads=HeadOptions(gate=not isinstance(objective, LastExitObjective)))
    extras = {name: torch.full((EXITS, BATCH), 0.5) for name in module.model.heads.extras}
    loss = _loss(module, MultiExitOutput(logits, extras), labels, monkeypatch)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
