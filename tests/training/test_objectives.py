"""Every objective against its source's formula, followed one sample at a time in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from ee_lightning.errors import OptionError
from ee_lightning.functional import Kind, Target
from ee_lightning.models import MultiExitOutput
from ee_lightning.training import Progress
from ee_lightning.training.objectives.alternating import AlternatingObjective
from ee_lightning.training.objectives.cosee import COSEEObjective
from ee_lightning.training.objectives.ensemble import EnsembleObjective
from ee_lightning.training.objectives.joint import JointObjective
from ee_lightning.training.objectives.last_exit import LastExitObjective
from ee_lightning.training.objectives.mutual_distillation import MutualDistillationObjective
from ee_lightning.training.objectives.objective import Objective
from ee_lightning.training.objectives.ramped import RampedObjective
from ee_lightning.training.objectives.sweet import SWEETObjective
from ee_lightning.training.objectives.two_stage import SelfDistillationObjective, TwoStageObjective

M, BATCH = 4, 5
Formula = Callable[[Tensor, Tensor], Tensor]


def _loss(values: Tensor, label: Tensor) -> Tensor:
    """What one exit loses on one sample: -log p(label), or the squared error of the one value."""
    if len(values) == 1:
        return (values[0] - label) ** 2
    return -(values[label].exp() / values.exp().sum()).log()


def _kl(teacher: Tensor, student: Tensor) -> Tensor:
    """KL of two vectors of logits, class by class, to a teacher that is a constant."""
    p, q = teacher.detach().softmax(0), student.softmax(0)
    return torch.stack([p[c] * (p[c] / q[c]).log() for c in range(len(p))]).sum()


def _cross_entropy(later: Tensor, earlier: Tensor) -> Tensor:
    return -torch.stack([earlier.softmax(0)[c] * later.softmax(0)[c].log() for c in range(len(later))]).sum()


def _weighted(*weights: float) -> Formula:
    def formula(logits: Tensor, labels: Tensor) -> Tensor:
        rows = [[_loss(logits[m, b], labels[b]) for b in range(BATCH)] for m in range(M)]
        return torch.stack([w * sum(row) / BATCH for w, row in zip(weights, rows, strict=True)]).sum()

    return formula


def _self_distillation(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([_kl(logits[-1, b], logits[m, b]) for m in range(M - 1) for b in range(BATCH)]).sum() / BATCH


def _mutual_distillation(weight: float) -> Formula:
    def formula(logits: Tensor, labels: Tensor) -> Tensor:
        loss = _weighted(1, 1, 1, 1)(logits, labels)
        for m in range(M):
            for j in range(M):
                for b in range(BATCH):
                    if j != m:
                        loss = loss + weight / (M - 1) * _kl(logits[j, b], logits[m, b]) / BATCH
        return loss

    return formula


def _ensemble(weight: float) -> Formula:
    def formula(logits: Tensor, labels: Tensor) -> Tensor:
        loss = _weighted(1, 1, 1, 1)(logits, labels)
        for m in range(1, M):
            pairs = [[_cross_entropy(logits[m, b], logits[j, b]) for b in range(BATCH)] for j in range(m)]
            loss = loss - weight * torch.stack([sum(pair) / BATCH for pair in pairs]).min()
        return loss

    return formula


def _ramped(done: float, start: float) -> Formula:
    return _weighted(*(start + done * (m / M - start) for m in range(1, M)), 1)


def _cosee(progress: Progress, contrast: float, margin: float = 0.3) -> Formula:
    def formula(logits: Tensor, labels: Tensor) -> Tensor:
        signal = 1 / (1 + logits.exp().sum(-1))  # [exits, batch]
        low, high = signal.min().item(), signal.max().item()
        drawn = torch.rand(5, 1, 1, generator=torch.Generator().manual_seed(progress.step)).flatten().tolist()
        total = torch.zeros(())
        for threshold in (low + (high - low) * each for each in drawn):
            for b in range(BATCH):
                leaves = next((m for m in range(M) if signal[m, b] <= threshold), M - 1)
                falls = torch.tensor([-10 * progress.share * abs(m - leaves) for m in range(M)]).double()
                for m, weight in enumerate(falls.softmax(0).tolist()):
                    total = total + weight * _loss(logits[m, b], labels[b]) / 5 / BATCH
        terms = []
        for m in range(M - 1):
            right = [b for b in range(BATCH) if logits[m, b].argmax() == labels[b]]
            wrong = [b for b in range(BATCH) if b not in right]
            if right and wrong:
                terms.append((signal[m, right].mean() - signal[m, wrong].mean() + margin).clamp_min(0))
        return total + contrast * (torch.stack(terms).mean() if terms else 0)

    return formula


START = Progress(0, 10)
CASES: dict[str, tuple[Objective, Progress, Formula]] = {
    "joint, equal": (JointObjective(), START, _weighted(1, 1, 1, 1)),
    "joint, linear": (JointObjective("linear"), START, _weighted(1, 2, 3, 4)),
    "joint, equal, mean": (JointObjective(reduction="mean"), START, _weighted(*[1 / 4] * 4)),
    "joint, linear, mean": (JointObjective("linear", "mean"), START, _weighted(0.1, 0.2, 0.3, 0.4)),
    "joint, gradient equilibrium": (JointObjective(gradient_equilibrium=True), START, _weighted(1, 1, 1, 1)),
    "ramped, first step": (RampedObjective(), START, _weighted(0.01, 0.01, 0.01, 1)),
    "ramped, a third": (RampedObjective(), Progress(3, 9), _ramped(1 / 3, 0.01)),
    "ramped, half": (RampedObjective(0.2), Progress(5, 10), _ramped(0.5, 0.2)),
    "ramped, end": (RampedObjective(), Progress(10, 10), _weighted(0.25, 0.5, 0.75, 1)),
    "two-stage, first": (TwoStageObjective(), Progress(9, 10, 0), _weighted(0, 0, 0, 1)),
    "two-stage, second": (TwoStageObjective(), Progress(0, 10, 1), _weighted(1, 1, 1, 0)),
    "self-distillation, first": (SelfDistillationObjective(), Progress(9, 10, 0), _weighted(0, 0, 0, 1)),
    "self-distillation, second": (SelfDistillationObjective(), Progress(0, 10, 1), _self_distillation),
    "mutual distillation": (MutualDistillationObjective(), START, _mutual_distillation(1)),
    "mutual distillation, β": (MutualDistillationObjective(0.3), START, _mutual_distillation(0.3)),
    "alternating, even": (AlternatingObjective(), Progress(4, 10), _weighted(0, 0, 0, 1)),
    "alternating, odd": (AlternatingObjective(), Progress(5, 10), _weighted(1, 1, 1, 1)),
    "COSEE, first step": (COSEEObjective(contrast_weight=0), START, _weighted(*[1 / 4] * 4)),
    "COSEE, half": (COSEEObjective(contrast_weight=2.0), Progress(5, 10), _cosee(Progress(5, 10), 2.0)),
    "SWEET": (SWEETObjective(), START, _weighted(1, 1, 1, 1)),
    "last exit": (LastExitObjective(), START, _weighted(0, 0, 0, 1)),
    "ensemble": (EnsembleObjective(0.3), START, _ensemble(0.3)),
    "ensemble, warm-up starts": (EnsembleObjective(0.3, diversity_warmup=0.4), START, _ensemble(0)),
    "ensemble, warm-up": (EnsembleObjective(0.3, diversity_warmup=0.4), Progress(1, 10), _ensemble(0.3 / 4)),
    "ensemble, warmed up": (EnsembleObjective(0.3, diversity_warmup=0.4), Progress(4, 10), _ensemble(0.3)),
    "ensemble, λ = 0": (EnsembleObjective(0), START, _weighted(1, 1, 1, 1)),
}
NOT_FOR_VALUES = {"COSEEObjective", "MutualDistillationObjective", "SelfDistillationObjective", "EnsembleObjective"}


def _handles_values(objective: Objective) -> bool:
    return type(objective).__name__ not in NOT_FOR_VALUES or getattr(objective, "diversity_weight", 1) == 0


def _batch(classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    logits = (2 * torch.randn(M, BATCH, classes, generator=generator, dtype=torch.float64)).requires_grad_()
    if classes == 1:
        return logits, 5 * torch.rand(BATCH, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (BATCH,), generator=generator)


@pytest.mark.parametrize(
    ("case", "classes"),
    [(case, classes) for case in CASES for classes in (1, 2, 3, 20) if classes > 1 or _handles_values(CASES[case][0])],
)
def test_loss_and_gradient_follow_the_formula(case: str, classes: int) -> None:
    objective, progress, formula = CASES[case]
    objective.check_task(Target.of(classes).kind)
    logits, labels = _batch(classes)
    loss, terms = objective(MultiExitOutput(logits), labels, progress)
    expected = formula(logits, labels)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (loss, expected)))
    assert not any(term.requires_grad for term in terms.values())
    assert objective.divergence(objective(MultiExitOutput(logits), labels, progress), logits) is None


class Reads(TorchDispatchMode):
    """Counts how often a value of the loss's type, or what follows from it, is read from a tensor."""

    count = 0

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            self.count += args[0].dtype in (torch.float64, torch.bool)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", CASES)
def test_a_step_waits_for_the_loss_once(case: str) -> None:
    objective, progress, _ = CASES[case]
    logits, labels = _batch(3)
    with Reads() as reads:
        objective.divergence(objective(MultiExitOutput(logits), labels, progress), logits)
    assert reads.count == 1


@pytest.mark.parametrize("case", [case for case in CASES if not _handles_values(CASES[case][0])])
def test_regression_is_refused_with_the_reason_where_distributions_are_compared(case: str) -> None:
    with pytest.raises(OptionError, match=r"classes, and this task has a value to predict[\s\S]*JointObjective"):
        CASES[case][0].check_task(Kind.REGRESSION)


def test_the_last_exit_learns_nothing_from_teaching() -> None:
    logits, labels = _batch(3)
    loss = SelfDistillationObjective()(MultiExitOutput(logits), labels, Progress(0, 10, 1)).loss
    gradient = torch.autograd.grad(loss, logits)[0]
    assert gradient[-1].abs().max() == 0
    p = logits.detach().softmax(-1)
    torch.testing.assert_close(gradient[:-1], (p[:-1] - p[-1]) / BATCH)


def test_every_exit_learns_from_the_others_and_nothing_from_teaching_them() -> None:
    logits, labels = _batch(3)
    loss = (
        MutualDistillationObjective(0.5)(MultiExitOutput(logits), labels, START).loss
        - JointObjective()(MultiExitOutput(logits), labels, START).loss
    )
    p = logits.detach().softmax(-1)
    expected = [sum(p[m] - p[j] for j in range(M)) * 0.5 / (M - 1) / BATCH for m in range(M)]
    torch.testing.assert_close(torch.autograd.grad(loss, logits)[0], torch.stack(expected))


@pytest.mark.parametrize(
    ("kind", "option", "values"),
    [
        (TwoStageObjective, "first_stage", [0.0, 1.0, -0.5, float("nan")]),
        (SelfDistillationObjective, "first_stage", [0.0, 1.0]),
        (RampedObjective, "start", [-0.1, 1.1, float("nan")]),
        (MutualDistillationObjective, "distillation_weight", [-1.0, float("inf"), float("nan")]),
        (EnsembleObjective, "diversity_warmup", [-0.1, 1.5, float("nan")]),
        (COSEEObjective, "contrast_weight", [-1.0, float("nan")]),
        (COSEEObjective, "num_thresholds", [0]),
        (JointObjective, "layer_weights", ["ramped"]),
        (JointObjective, "reduction", ["max"]),
    ],
)
def test_senseless_options_are_refused(kind: type[Objective], option: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(OptionError, match=rf"{option}[\s\S]*where: model.objective.init_args.{option}\n  hint: "):
            kind(**{option: value})


def test_the_ramp_rises_to_the_share_of_the_layers_that_an_exit_takes() -> None:
    objective = RampedObjective()
    objective.check_exits((1, 3, 6, 12))
    logits, labels = torch.randn(M, BATCH, 3, dtype=torch.float64), torch.tensor([0, 2, 1, 1, 0])
    expected = _weighted(1 / 12, 3 / 12, 6 / 12, 1)(logits, labels)
    torch.testing.assert_close(objective(MultiExitOutput(logits), labels, Progress(10, 10)).loss, expected)


def test_the_ramp_s_mean_weight_and_alternating_steps_are_logged() -> None:
    logits, labels = _batch(2)
    terms = RampedObjective(0.2)(MultiExitOutput(logits), labels, Progress(5, 10)).terms
    assert terms["mean_weight"].item() == pytest.approx(sum(0.2 + 0.5 * (m / M - 0.2) for m in (1, 2, 3)) / 3)
    named = [
        set(AlternatingObjective()(MultiExitOutput(logits), labels, Progress(step, 10)).terms) for step in range(3)
    ]
    assert named == [{"last_exit_term"}, {"accuracy_term"}, {"last_exit_term"}]
