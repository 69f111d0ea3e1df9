from types import SimpleNamespace

import pytest

from ee_lightning.errors import OptionError
from ee_lightning.fit.callbacks import LastCheckpoint


@pytest.mark.parametrize("every_n_steps", [0, -5])
def test_an_impossible_interval_is_refused(every_n_steps: int) -> None:
    with pytest.raises(OptionError, match=f"every_n_steps is {every_n_steps}"):
        LastCheckpoint(every_n_steps)


@pytest.mark.parametrize(
    ("accumulate", "expected"),
    [(1, [3, 5, 6, 9, 10]), (2, [3, 6, 9])],  # three steps an epoch; for 2, five batches, the last on its own
)
def test_it_is_written_between_steps_and_once(
    accumulate: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    callback = LastCheckpoint(every_n_steps=5 if accumulate == 1 else 3)
    written: list[int] = []

    def save(trainer: SimpleNamespace) -> None:
        written.append(trainer.global_step)
        callback._saved_at = trainer.global_step

    monkeypatch.setattr(callback, "_save", save)
    trainer = SimpleNamespace(global_step=0, accumulate_grad_batches=accumulate)
    batches = 3 if accumulate == 1 else 5
    for _ in range(4):
        for batch in range(batches):
            callback.on_train_batch_start(trainer, None, None, batch)
            trainer.global_step += (batch + 1) % accumulate == 0 or batch + 1 == batches
    assert written == expected
