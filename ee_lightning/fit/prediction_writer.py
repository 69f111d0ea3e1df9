"""Writes what `trainer.predict` predicts."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from typing_extensions import override

from ee_lightning.data.tasks import LABEL_SEPARATOR
from ee_lightning.errors import RunFolderError
from ee_lightning.functional import Kind
from ee_lightning.training import EarlyExitModule
from ee_lightning.training.module import BatchPrediction


class PredictionWriter(Callback):
    """Writes ``id``, ``label`` and ``exit_layer`` of every row that `trainer.predict` predicts into a CSV file.

    A row is written when its batch is predicted; rows of one process stand in the order of its batches. Of several
    processes each writes a file of its own: ``labels.csv``, ``labels.1.csv`` and so on.

    Args:
        file: The file, which is replaced.
        label_separator: What stands between several labels of a row; None takes the task's separator.

    Example:
        ::

            module.operating_point = (Confidence(), 0.9)
            trainer = Trainer(callbacks=[PredictionWriter("labels.csv")])
            trainer.predict(module, data, return_predictions=False)
    """

    def __init__(self, file: str | Path, label_separator: str | None = None) -> None:
        self.file, self._given_separator, self._separator = Path(file), label_separator, LABEL_SEPARATOR
        self._opened: TextIO | None = None
        self._words: Sequence[str] = ()

    @override
    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = getattr(trainer, "datamodule", None)
        self._words = tuple(getattr(data, "label_names", None) or ())
        of_task = getattr(getattr(data, "task", None), "label_separator", LABEL_SEPARATOR)
        self._separator = of_task if self._given_separator is None else self._given_separator
        rank = trainer.global_rank
        file = self.file.with_suffix(f".{rank}{self.file.suffix}") if rank else self.file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._opened = file.open("w", encoding="utf-8", newline="")
        except OSError as error:
            what = f"predictions can't be written: {error.strerror}"
            raise RunFolderError(what, where=file, hint="name another file") from error
        csv.writer(self._opened).writerow(["id", "label", "exit_layer"])

    @override
    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert self._opened is not None
        assert isinstance(pl_module, EarlyExitModule)
        assert isinstance(outputs, BatchPrediction)
        kind = pl_module.target.kind
        columns = (outputs.ids.tolist(), outputs.label.tolist(), outputs.exit_layer.tolist())
        csv.writer(self._opened).writerows(
            [number, self._said(label, kind), exit_layer] for number, label, exit_layer in zip(*columns, strict=True)
        )

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._opened is not None:
            self._opened.close()

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "predict")

    def _said(self, label: Any, kind: Kind) -> object:
        """Return a label in words, where these are known."""
        if kind is Kind.REGRESSION or not self._words:
            return label
        if kind is Kind.MULTI_LABEL:
            return self._separator.join(word for word, is_there in zip(self._words, label, strict=True) if is_there)
        return self._words[label]
