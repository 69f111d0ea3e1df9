"""Replay equals leaving early for real: a model stepped layer by layer, from which samples that leave are dropped."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ee_lightning.exits import (
    Confidence,
    Criterion,
    Entropy,
    ExitOutput,
    Fixed,
    Patience,
    StoredExits,
    Voting,
    reaches,
    replay,
)
from ee_lightning.models import HeadOptions, MultiExitModel, load_backbone

CRITERIA = [Confidence(), Entropy(), Patience(), Voting(), Voting(k=0.5, fallback="majority"), Fixed()]


@pytest.fixture(scope="module")
def model(tiny_backbone: Path) -> MultiExitModel:
    torch.manual_seed(1)
    model = MultiExitModel(load_backbone(str(tiny_backbone)), 3, HeadOptions(pooling="mean")).eval()
    for classifier in model.heads.classifiers:
        torch.nn.init.normal_(classifier.weight, std=1.0)  # so that exits disagree
    return model


@pytest.fixture(scope="module")
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    lengths = torch.randint(3, 13, (40, 1), generator=generator)
    mask = (torch.arange(12) < lengths).long()  # [batch, length]
    return torch.randint(5, 25, mask.shape, generator=generator) * mask, mask


@torch.inference_mode()
def _leave_early(
    model: MultiExitModel, criterion: Criterion, threshold: float, ids: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Exit layer and label of every sample, ``[batch]`` each."""
    exit_layers, labels = torch.zeros(len(ids), dtype=torch.long), torch.zeros(len(ids), dtype=torch.long)
    here = torch.arange(len(ids))
    state = model.backbone.embed(ids, mask)
    memory = criterion.start(len(ids), 3, ids.device)
    for exit_layer in range(1, model.num_exits + 1):
        state = model.backbone.layer(exit_layer - 1, state)
        output = ExitOutput(exit_layer, model.num_exits, model.heads(exit_layer, state).logits)
        (score, label), memory = criterion.step(output, memory)
        leaves = reaches(score, threshold)
        if exit_layer == model.num_exits:
            label = torch.where(leaves, label, criterion.fallback(output, memory))
            leaves = torch.ones_like(leaves)
        exit_layers[here[leaves]], labels[here[leaves]] = exit_layer, label[leaves]
        stays = (~leaves).nonzero().squeeze(1)
        if len(stays) == 0:
            break
        here, state = here[stays], state.select(stays)
        memory = {name: tensor[stays] for name, tensor in memory.items()}
    return exit_layers, labels


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: criterion.name)
def test_replay_equals_leaving_early(criterion: Criterion, model: MultiExitModel, batch: tuple[Tensor, Tensor]) -> None:
    ids, mask = batch
    with torch.inference_mode():
        logits = model(ids, mask).logits  # [exits, batch, classes]
    replayed = replay(criterion, StoredExits(logits, None, torch.arange(len(ids))))
    scores = replayed.scores.unique()
    between = ((scores[1:] + scores[:-1]) / 2).tolist()  # where batches of other sizes, which may round, can't matter
    used = [scores[0].item() - 1, *between[:: max(1, len(between) // 12)], scores[-1].item() + 1]
    left_at = set()
    for threshold in used:
        expected_layer, expected_label = replayed.at(threshold)
        exit_layer, label = _leave_early(model, criterion, threshold, ids, mask)
        assert torch.equal(exit_layer, expected_layer)
        assert torch.equal(label, expected_label)
        left_at |= set(exit_layer.tolist())
    assert left_at == {1, 2, 3}


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: criterion.name)
def test_batch_size_one_leaves_as_the_batch_does(
    criterion: Criterion, model: MultiExitModel, batch: tuple[Tensor, Tensor]
) -> None:
    ids, mask = batch
    with torch.inference_mode():
        scores = replay(criterion, StoredExits(model(ids, mask).logits, None, torch.arange(len(ids)))).scores
    threshold = scores.unique()[:-1].median().item() + 1e-4
    together = _leave_early(model, criterion, threshold, ids, mask)
    for sample in range(len(ids)):
        length = int(mask[sample].sum())
        alone = _leave_early(model, criterion, threshold, ids[[sample], :length], mask[[sample], :length])
        assert [tensor[sample].item() for tensor in together] == [tensor.item() for tensor in alone]
