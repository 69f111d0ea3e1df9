import pytest
import torch
from factories import random_exits

from ee_lightning.analysis.candidates import list_candidates
from ee_lightning.analysis.row_losses import highest, losses_by_exit, totals
from ee_lightning.exits import BEEM, Confidence, Criterion, Patience, replay
from ee_lightning.functional import kept_in_expectation


@pytest.mark.parametrize("criterion", [Confidence(), Patience(), BEEM()], ids=lambda each: each.name)
@pytest.mark.parametrize("loss", ["spoilt", "net", "differing", "brier", "hellinger"])
def test_losses_at_every_point_are_those_of_the_exits_at_which_samples_leave(loss: str, criterion: Criterion):
    exits = random_exits(4, 60, 2, kind="tied")
    candidates, replayed = list_candidates(criterion, exits, "accuracy"), replay(criterion, exits)
    by_exit = losses_by_exit(loss, replayed, exits)
    lost = []
    for threshold in candidates.curve.thresholds.tolist():
        exit_layer, _ = replayed.at(threshold)
        never = ~(replayed.scores >= threshold).any(0)
        lost.append(by_exit.gather(0, torch.where(never, 4, exit_layer - 1).unsqueeze(0)).squeeze(0))
    every = torch.stack(lost)  # [points, samples]
    torch.testing.assert_close(candidates.mean_loss(loss), every.mean(-1))
    grown = totals(highest(by_exit, replayed.scores), replayed.scores)
    torch.testing.assert_close(grown, every.cummax(0).values.sum(-1))
    assert torch.equal(candidates.kept_in_expectation(loss, 0.2), kept_in_expectation(grown, 60, 0.2))
