"""Which rows the loaders of an evaluation gave, as far as its limits let them."""

from collections.abc import Sized

from lightning import Trainer
from lightning.pytorch.utilities import CombinedLoader

from ee_lightning.data import LengthBucketedBatches, TaskDataModule
from ee_lightning.exits import EvaluatedRows


def rows_evaluated(trainer: Trainer, loader: int, split: str) -> EvaluatedRows:
    """Return which rows of a split an evaluation used.

    Rows of a limited evaluation are drawn at random by the loaders of a `TaskDataModule`; of any other loader they
    may be the first ones of a sorted file.

    Args:
        trainer: The trainer, in an evaluation or at its end.
        loader: Position of the split's loader among those of the evaluation.
        split: The split, as `TaskDataModule` names it.
    """
    loaders = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
    limits = trainer.num_test_batches if trainer.testing else trainer.num_val_batches
    used, num_batches = CombinedLoader(loaders, "sequential").flattened[loader], limits[loader]
    sampler, rows = getattr(used, "sampler", None), getattr(used, "dataset", None)
    is_ours = isinstance(sampler, LengthBucketedBatches) and num_batches == sampler.num_used
    is_whole = isinstance(used, Sized) and num_batches >= len(used)
    data = getattr(trainer, "datamodule", None)
    return EvaluatedRows(
        total=len(rows) if isinstance(rows, Sized) else None,
        is_drawn=is_ours or is_whole,
        files=data.files[split] if isinstance(data, TaskDataModule) else [],
    )
