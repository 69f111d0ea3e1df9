from types import SimpleNamespace

import torch

from ee_lightning.fit.callbacks import StepSeed


def draw(seed: StepSeed, *, epoch: int = 0, batch: int = 0, rank: int = 0) -> float:
    trainer = SimpleNamespace(current_epoch=epoch, global_rank=rank)
    seed.on_train_batch_start(trainer, None, None, batch)
    return torch.rand(()).item()


def started(seed: int) -> StepSeed:
    torch.manual_seed(seed)
    callback = StepSeed()
    callback.on_train_start(None, None)
    return callback


def test_a_batch_draws_by_its_place_alone() -> None:
    callback = started(42)
    first = draw(callback, epoch=2, batch=7, rank=1)
    draw(callback)
    torch.rand(5)
    assert draw(callback, epoch=2, batch=7, rank=1) == first


def test_places_and_seeds_draw_differently() -> None:
    places = [(epoch, batch, rank) for epoch in range(3) for batch in range(4) for rank in range(2)]
    drawn = {
        draw(started(seed), epoch=epoch, batch=batch, rank=rank) for seed in (0, 42) for epoch, batch, rank in places
    }
    assert len(drawn) == 2 * len(places)


def test_a_resumed_run_has_the_seed_of_the_run_not_its_own() -> None:
    before, resumed = started(42), StepSeed()
    resumed.load_state_dict(before.state_dict())
    torch.manual_seed(7)
    resumed.on_train_start(None, None)
    assert draw(resumed, batch=3) == draw(before, batch=3)
