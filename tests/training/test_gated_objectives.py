"""The objectives that train the exits' gates, against their sources' formulas, followed one sample at a time."""

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor

from ee_lightning.errors import OptionError
from ee_lightning.functional import Kind, halting_log_probabilities, label_decisions
from ee_lightning.models import MultiExitOutput
from ee_lightning.training import ConsistentEEObjective, PALBERTObjective, Progress

M, BATCH = 4, 5
START, POLICY, JOINT = Progress(0, 10), Progress(6, 10, 1), Progress(8, 10, 2)


def _said(classes: int) -> tuple[MultiExitOutput, Tensor]:
    """Make what exits and gates say in float64, with gradients, and labels; one class is a value."""
    generator = torch.Generator().manual_seed(classes)
    logits = 2 * torch.randn(M, BATCH, classes, generator=generator, dtype=torch.float64)
    gate = 0.1 + 0.8 * torch.rand(M, BATCH, generator=generator, dtype=torch.float64)
    labels = torch.randint(max(2, classes), (BATCH,), generator=generator)
    output = MultiExitOutput(logits.requires_grad_(), {"gate": gate.requires_grad_()})
    return output, labels.double() if classes == 1 else labels


def _loss(output: MultiExitOutput, labels: Tensor, m: int, b: int) -> Tensor:
    values = output.logits[m, b]
    if len(values) == 1:
        return (values[0] - labels[b]) ** 2
    return -(values[labels[b]].exp() / values.exp().sum()).log()


def _leaves_at(output: MultiExitOutput, m: int, b: int) -> Tensor:
    """Return the probability of leaving at an exit, counted from 0."""
    gate = output.extras["gate"]
    probability = torch.ones((), dtype=torch.float64)
    for j in range(m):
        probability = probability * gate[j, b]
    return probability if m == M - 1 else probability * (1 - gate[m, b])


def _assert_same(loss: Tensor, expected: Tensor, output: MultiExitOutput) -> None:
    torch.testing.assert_close(loss, expected)
    leaves = (output.logits, output.extras["gate"])
    found, wanted = (torch.autograd.grad(each, leaves, allow_unused=True) for each in (loss, expected))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(*(torch.zeros(()) if each is None else each for each in (one, other)))


def test_everybody_leaves_once() -> None:
    output, _ = _said(2)
    probabilities = halting_log_probabilities(output.extras["gate"]).exp()
    torch.testing.assert_close(probabilities.sum(0), torch.ones(BATCH, dtype=torch.float64))
    naive = [[_leaves_at(output, m, b) for b in range(BATCH)] for m in range(M)]
    torch.testing.assert_close(probabilities, torch.stack([torch.stack(row) for row in naive]))
    sure = halting_log_probabilities(torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.5, 0.5]]))
    assert sure.isfinite().all()
    torch.testing.assert_close(sure.exp().T, torch.tensor([[1.0, 0, 0], [0, 0, 1]]), atol=3e-6, rtol=0)


@pytest.mark.parametrize("classes", [1, 2, 20])
@pytest.mark.parametrize(("weight", "prior"), [(0.5, 0.1), (0.0, 0.1), (2.0, 0.6)])
def test_palbert_is_the_expected_loss_and_the_divergence_from_the_prior(
    classes: int, weight: float, prior: float
) -> None:
    output, labels = _said(classes)
    of_prior = [prior * (1 - prior) ** m for m in range(M - 1)]
    of_prior.append(1 - sum(of_prior))
    expected = torch.zeros((), dtype=torch.float64)
    for b in range(BATCH):
        for m in range(M):
            p = _leaves_at(output, m, b)
            expected = expected + p * (_loss(output, labels, m, b) + weight * (p / of_prior[m]).log()) / BATCH
    loss, terms = PALBERTObjective(weight, prior)(output, labels, START)
    _assert_same(loss, expected, output)
    torch.testing.assert_close(loss.detach(), terms["accuracy_term"] + weight * terms["prior_term"])
    assert not any(term.requires_grad for term in terms.values())


def test_gates_as_the_prior_has_them_cost_nothing_and_leave_its_mean_exit() -> None:
    gate = torch.full((M, BATCH), 0.75, dtype=torch.float64)
    _, terms = PALBERTObjective(prior=0.25)(
        MultiExitOutput(torch.zeros(M, BATCH, 3), {"gate": gate}), torch.zeros(5).long(), START
    )
    assert terms["prior_term"].item() == pytest.approx(0, abs=1e-12)
    assert terms["accuracy_term"].item() == pytest.approx(log(3))
    assert terms["mean_exit"].item() == pytest.approx(1 + 0.75 + 0.75**2 + 0.75**3)


def _draws(objective: ConsistentEEObjective, output: MultiExitOutput, progress: Progress) -> list[list[int]]:
    """Let each copy of each sample go from exit to exit."""
    generator = torch.Generator().manual_seed(progress.step)
    drawn = torch.rand(objective.num_draws, M, BATCH, generator=generator, dtype=torch.float64)
    gate = output.extras["gate"]
    return [
        [next((m for m in range(M - 1) if drawn[k, m, b] >= gate[m, b]), M - 1) for b in range(BATCH)]
        for k in range(objective.num_draws)
    ]


def _memorised(output: MultiExitOutput, labels: Tensor, b: int) -> int:
    """Return the first exit, from 1, from which on all are right; M where there is none."""
    right = [bool(output.logits[m, b].argmax() == labels[b]) for m in range(M)]
    return next((m for m in range(1, M + 1) if all(right[m - 1 :])), M)


@pytest.mark.parametrize("classes", [2, 3, 20])
@pytest.mark.parametrize("progress", [POLICY, JOINT], ids=["policy", "joint"])
def test_consistentee_rewards_a_row_s_exits_against_their_mean(classes: int, progress: Progress) -> None:
    output, labels = _said(classes)
    objective = ConsistentEEObjective(acceleration=0.3, num_draws=6)
    exits = _draws(objective, output, progress)
    policy = accuracy = torch.zeros((), dtype=torch.float64)
    for b in range(BATCH):
        losses = [_loss(output, labels, each[b], b) for each in exits]
        hurry = 0.3 * (1 - _memorised(output, labels, b) / M)
        rewards = [-loss.item() - hurry * (each[b] + 1) for loss, each in zip(losses, exits, strict=True)]
        for each, reward, loss in zip(exits, rewards, losses, strict=True):
            advantage = reward - sum(rewards) / 6
            policy = policy - advantage * _leaves_at(output, each[b], b).log() / 6 / BATCH
            accuracy = accuracy + loss / 6 / BATCH
    loss, terms = objective(output, labels, progress)
    _assert_same(loss, policy if progress.stage == 1 else policy + accuracy, output)
    torch.testing.assert_close(terms["policy_term"], policy.detach())
    assert terms["mean_exit"].item() == pytest.approx(sum(map(sum, exits)) / 6 / BATCH + 1)
    assert len({tuple(each) for each in exits}) > 1


def test_consistentee_s_first_stage_weighs_exits_by_their_depth_and_asks_no_gate() -> None:
    output, labels = _said(3)
    expected = sum((m + 1) / 10 * _loss(output, labels, m, b) / BATCH for m in range(M) for b in range(BATCH))
    _assert_same(ConsistentEEObjective()(output, labels, START).loss, expected, output)  # type: ignore[arg-type]


def test_a_policy_learns_to_leave_where_a_sample_is_cheapest() -> None:
    torch.manual_seed(0)
    labels, cheapest = torch.zeros(3, dtype=torch.long), torch.tensor([0, 2, 3])
    logits = torch.zeros(M, 3, 2)
    logits[cheapest, torch.arange(3), 0] = 5.0  # elsewhere log 2
    odds = torch.zeros(M, 3, requires_grad=True)
    optimizer, objective = torch.optim.Adam([odds], 0.1), ConsistentEEObjective(acceleration=0)
    for step in range(300):
        loss, _ = objective(MultiExitOutput(logits, {"gate": odds.sigmoid()}), labels, Progress(step, 300, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    likeliest = halting_log_probabilities(odds.detach().sigmoid()).exp().max(0)
    assert likeliest.indices.tolist() == cheapest.tolist()
    assert likeliest.values.min() > 0.9


@pytest.mark.parametrize(
    "objective", [PALBERTObjective(), ConsistentEEObjective()], ids=lambda each: type(each).__name__
)
def test_of_several_labels_a_sample_leaves_once_with_their_mean_loss(objective: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    said = torch.randn(M, BATCH, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(2, (BATCH, 3), generator=generator)
    gate = torch.rand(M, BATCH, generator=generator, dtype=torch.float64)
    terms = objective(MultiExitOutput(label_decisions(said), {"gate": gate}), labels.flatten(), JOINT).terms
    decisions = torch.nn.functional.binary_cross_entropy_with_logits(
        said, labels.expand(M, -1, -1).double(), reduction="none"
    ).mean(-1)  # [exits, batch]
    if isinstance(objective, PALBERTObjective):
        expected = (halting_log_probabilities(gate).exp() * decisions).sum(0).mean()
        torch.testing.assert_close(terms["accuracy_term"], expected)
        return
    exits = torch.tensor(_draws(objective, MultiExitOutput(said, {"gate": gate}), JOINT))  # [draws, batch]
    torch.testing.assert_close(terms["accuracy_term"], decisions.gather(0, exits).mean())
    right = ((said > 0) == labels).all(-1)  # [exits, batch]
    memorised = [next((m for m in range(1, M + 1) if right[m - 1 :, b].all()), M) for b in range(BATCH)]
    ease = 1 - torch.tensor(memorised).double() / M
    expected = (-decisions.gather(0, exits) - 0.05 * (exits + 1) * ease).mean()
    torch.testing.assert_close(terms["reward"], expected)


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        (PALBERTObjective, {"prior_weight": -0.1}, "prior_weight"),
        (PALBERTObjective, {"prior": 0.0}, "prior"),
        (PALBERTObjective, {"prior": 1.0}, "prior"),
        (ConsistentEEObjective, {"acceleration": float("nan")}, "acceleration"),
        (ConsistentEEObjective, {"num_draws": 1}, "num_draws"),
        (ConsistentEEObjective, {"first_stage": 0.0}, "first_stage"),
        (ConsistentEEObjective, {"second_stage": 1.0}, "second_stage"),
        (ConsistentEEObjective, {"first_stage": 0.6, "second_stage": 0.4}, "first_stage"),
    ],
)
def test_senseless_options_are_refused(kind: Any, options: dict[str, float], named: str) -> None:
    with pytest.raises(OptionError, match=rf"where: model.objective.init_args.{named}[\s\S]*hint: "):
        kind(**options)


def test_consistentee_refuses_values_for_which_no_exit_is_right() -> None:
    with pytest.raises(OptionError, match=r"ConsistentEEObjective needs classes[\s\S]*JointObjective"):
        ConsistentEEObjective().check_task(Kind.REGRESSION)
