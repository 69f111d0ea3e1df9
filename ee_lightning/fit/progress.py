"""How training goes, as it is printed: a bar in a terminal, and lines where no bar can move."""

import sys
from time import monotonic
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import RichProgressBar
from typing_extensions import override

_SECONDS = 30.0


class Bar(RichProgressBar):
    """Lightning's bar, with epochs counted from 1, and without the number of the run folder."""

    @override
    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}

    @override
    def _get_train_description(self, current_epoch: int) -> str:
        epochs = self.trainer.max_epochs
        of = "" if epochs is None or epochs < 0 else f"/{epochs}"
        return f"Epoch {current_epoch + 1}{of}".ljust(len(self.validation_description))  # the bars are then one width


class ProgressLines(Callback):
    """Prints at most every half minute how far an epoch or an evaluation is, for pipes and files."""

    def __init__(self) -> None:
        self._last = monotonic()

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        done = trainer.fit_loop.epoch_loop.batch_idx + 1
        loss = trainer.callback_metrics.get("train/loss")
        said = "" if loss is None else f", train/loss {loss:.4f}"
        self._tell(trainer, f"epoch {trainer.current_epoch + 1}: batch {done} of {trainer.num_training_batches}{said}")

    @override
    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        self._tell(trainer, f"validation: batch {batch_idx + 1}")

    @override
    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        self._tell(trainer, f"test: batch {batch_idx + 1}")

    def _tell(self, trainer: Trainer, line: str) -> None:
        if monotonic() - self._last >= _SECONDS and trainer.is_global_zero:
            print(line, flush=True)
            self._last = monotonic()


def suited_to_output(callbacks: list[Any]) -> list[Any]:
    """Return a Trainer's callbacks with its usual bar replaced: by ours in a terminal, else by lines."""
    suited = Bar if sys.stdout.isatty() else ProgressLines
    return [suited() if type(each) is RichProgressBar else each for each in callbacks]
