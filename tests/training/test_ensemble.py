"""The paper's objective against a loop that follows the formula."""

import itertools
from math import log

import pytest
import torch
from torch import Tensor

from ee_lightning.errors import OptionError
from ee_lightning.models import MultiExitOutput
from ee_lightning.training import Progress
from ee_lightning.training.objectives.ensemble import EnsembleObjective
from ee_lightning.training.objectives.joint import JointObjective

START = Progress(0, 100)


def _formula(
    logits: Tensor, labels: Tensor, weight: float, minimum: str, last_exit: bool, linear: bool, stop: bool
) -> Tensor:
    """L as the paper writes it, one sample and one pair of exits at a time."""
    probabilities = logits.softmax(-1)
    exits, batch, _ = logits.shape
    loss = logits.new_zeros(())
    for m in range(exits):
        for b in range(batch):
            alpha = m + 1 if linear else 1
            loss = loss - alpha * probabilities[m, b, labels[b]].log() / batch
    for m in range(1, exits if last_exit else exits - 1):
        pairs = []  # of every earlier exit, one cross entropy a sample
        for j in range(m):
            target = probabilities[j].detach() if stop else probabilities[j]
            pairs.append(torch.stack([-(target[b] * probabilities[m, b].log()).sum() for b in range(batch)]))
        if minimum == "batch":
            diversity = torch.stack([pair.mean() for pair in pairs]).min()
        else:
            diversity = torch.stack([torch.stack([pair[b] for pair in pairs]).min() for b in range(batch)]).mean()
        loss = loss - weight * diversity
    return loss


@pytest.mark.parametrize(
    ("minimum", "last_exit", "layer_weights", "stop_gradient"),
    [*itertools.product(["batch", "sample"], [True, False], ["equal", "linear"], [True, False])],
)
def test_loss_and_gradient_equal_the_formula(
    minimum: str, last_exit: bool, layer_weights: str, stop_gradient: bool
) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = (2 * torch.randn(5, 7, 3, generator=generator, dtype=torch.float64)).requires_grad_()
    labels = torch.randint(3, (7,), generator=generator)
    objective = EnsembleObjective(0.3, minimum, last_exit, layer_weights, stop_gradient)  # type: ignore[arg-type]
    loss = objective(MultiExitOutput(logits), labels, START).loss
    expected = _formula(logits, labels, 0.3, minimum, last_exit, layer_weights == "linear", stop_gradient)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (loss, expected)))


def test_terms_are_separate_and_without_weight() -> None:
    logits, labels = torch.randn(4, 6, 2), torch.randint(2, (6,))
    loss, terms = EnsembleObjective(0.25)(MultiExitOutput(logits), labels, START)
    torch.testing.assert_close(loss, terms["accuracy_term"] - 0.25 * terms["diversity_term"])
    torch.testing.assert_close(
        EnsembleObjective(0.0)(MultiExitOutput(logits), labels, START).loss, terms["accuracy_term"]
    )
    torch.testing.assert_close(JointObjective()(MultiExitOutput(logits), labels, START).loss, terms["accuracy_term"])


def test_exits_that_only_guess_cost_log_c_each() -> None:
    _, terms = EnsembleObjective(0.5)(MultiExitOutput(torch.zeros(4, 6, 3)), torch.randint(3, (6,)), START)
    assert terms["accuracy_term"].item() == pytest.approx(4 * log(3))
    assert terms["diversity_term"].item() == pytest.approx(3 * log(3))


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_senseless_weight_is_refused(weight: float) -> None:
    with pytest.raises(OptionError, match=r"diversity_weight[\s\S]*λ"):
        EnsembleObjective(weight)


@pytest.mark.parametrize(("option", "value"), [("minimum", "mean"), ("layer_weights", "ramped")])
def test_an_unknown_option_is_refused(option: str, value: str) -> None:
    with pytest.raises(OptionError, match=f"'{value}' is not a value of[\\s\\S]*{option}"):
        EnsembleObjective(**{option: value})  # type: ignore[arg-type]


def test_confident_disagreement_counts_as_a_run_away_once_it_outweighs_being_right() -> None:
    objective, labels = EnsembleObjective(2.0), torch.zeros(8, dtype=torch.long)
    for confidence, runs_away in ((0.5, False), (50.0, True)):
        sign = torch.tensor([1.0, -1.0]).view(2, 1)  # two exits that contradict each other
        logits = confidence * torch.stack([sign, -sign], -1).expand(2, 8, 2)
        reason = objective.divergence(objective(MultiExitOutput(logits), labels, START), logits)
        assert (reason is not None) == runs_away
    assert (
        EnsembleObjective(0.01).divergence(EnsembleObjective(0.01)(MultiExitOutput(logits), labels, START), logits)
        is None
    )


@pytest.mark.parametrize("num_classes", [2, 20])
@pytest.mark.parametrize("last_exit", [True, False])
def test_exits_that_only_guess_are_no_run_away_however_large_the_weight(num_classes: int, last_exit: bool) -> None:
    objective, logits = EnsembleObjective(100.0, last_exit=last_exit), torch.zeros(12, 4, num_classes)
    terms = objective(MultiExitOutput(logits), torch.zeros(4, dtype=torch.long), START)
    assert terms.loss < -12 * log(num_classes)
    assert objective.divergence(terms, logits) is None


def test_a_loss_that_is_not_finite_counts_as_a_run_away() -> None:
    objective, logits = EnsembleObjective(), torch.full((2, 3, 2), float("nan"))
    reason = objective.divergence(objective(MultiExitOutput(logits), torch.zeros(3, dtype=torch.long), START), logits)
    assert reason == "the loss is nan"


def test_share_and_disagreement_of_four_samples_by_hand() -> None:
    predicted = torch.tensor([[0, 1, 2, 2], [0, 1, 1, 0], [0, 2, 1, 2]])  # [exits, batch]
    logits = torch.nn.functional.one_hot(predicted, 3).double() * 3
    _, terms = EnsembleObjective(0.4, diversity_warmup=0.5)(
        MultiExitOutput(logits), torch.tensor([0, 1, 1, 2]), Progress(25, 100)
    )
    assert terms["disagreement"].item() == pytest.approx((2 / 4 + 2 / 4 + 2 / 4) / 3)
    assert terms["diversity_weight"].item() == pytest.approx(0.2)
    diversity = 0.2 * terms["diversity_term"].item()
    assert terms["diversity_share"].item() == pytest.approx(diversity / (terms["accuracy_term"].item() + diversity))


def test_exits_that_are_right_beyond_rounding_leave_the_diversity_no_share() -> None:
    labels = torch.tensor([0, 1, 1])
    logits = 200 * torch.nn.functional.one_hot(labels, 2).float().expand(3, 3, 2)  # [exits, batch, classes]
    loss, terms = EnsembleObjective()(MultiExitOutput(logits), labels, START)
    assert loss == terms["diversity_share"] == 0


def test_a_single_exit_differs_from_none() -> None:
    loss, terms = EnsembleObjective()(MultiExitOutput(torch.randn(1, 5, 2)), torch.randint(2, (5,)), START)
    assert loss == terms["accuracy_term"]
    assert terms["diversity_share"] == terms["disagreement"] == 0
