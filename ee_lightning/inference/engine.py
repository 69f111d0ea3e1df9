"""The inference engine: samples leave early for real, at any batch size."""

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from ee_lightning.errors import DataError, require_one_of
from ee_lightning.exits import Criterion
from ee_lightning.functional import host
from ee_lightning.inference.batches import Batch, Predictions, Sample, pad_samples
from ee_lightning.inference.descent import Places
from ee_lightning.inference.schedule import Engine, Precision, Schedule
from ee_lightning.inference.torch_backend import TorchBackend
from ee_lightning.models import MultiExitModel


class EarlyExitEngine(Engine):
    """Runs a model layer by layer and lets every sample leave where the criterion says so.

    Predictions are those of batch size 1: samples that left are dropped from hidden states, masks and the criterion's
    memory, together with padding that no other sample needs. Logits differ only by rounding, as they do between any
    two batch sizes: in float32 the tests allow 1e-5. A score can fall on the other side of the threshold only if it is
    that close. Exits and labels are those of `ee_lightning.exits.curve` on stored exits.

    Samples go through a layer in batches of similar length; those that stay are packed again before the next layer.
    The schedule ``depth_first`` finishes ``batch_size`` samples before it takes the next ones, for latency.
    ``breadth_first`` takes a pool of many batches from layer to layer, for throughput. ``auto`` takes the first for up
    to ``batch_size`` samples, and the second for more.

    Args:
        model: The model; it is put into evaluation mode.
        criterion: When to leave; already fitted if it needs to be.
        threshold: In the criterion's unit, one for all exits or one for each; with infinity no sample leaves early.
        schedule: ``auto``, ``depth_first`` or ``breadth_first``.
        batch_size: Samples on their way at a time by ``depth_first``.
        max_tokens: Tokens a batch in a layer, padding included; a pool of ``breadth_first`` has 16 times as many. None
            takes 512 on the CPU and 32,768 elsewhere.
        precision: ``fp32``, or ``bf16`` for matrix products in bfloat16.
        keep_trail: Whether to return the logits of all exits that a sample passed.
        pad_token_id: What fills ``input_ids``.
        pad_token_type_id: What fills ``token_type_ids``.

    Raises:
        OptionError: An option makes no sense, or the criterion can't judge the model's exits.
    """

    def __init__(
        self,
        model: MultiExitModel,
        criterion: Criterion,
        threshold: float | Sequence[float],
        *,
        schedule: Schedule = "auto",
        batch_size: int = 32,
        max_tokens: int | None = None,
        precision: Precision = "fp32",
        keep_trail: bool = False,
        pad_token_id: int = 0,
        pad_token_type_id: int = 0,
    ) -> None:
        require_one_of(precision, get_args(Precision), "precision")
        self.model, self.precision = model.eval(), precision
        backend = TorchBackend(model, lower=precision == "bf16")
        self.device = backend.where
        super().__init__(
            backend,
            criterion,
            threshold,
            schedule=schedule,
            batch_size=batch_size,
            max_tokens=max_tokens,
            keep_trail=keep_trail,
            pad_token_id=pad_token_id,
            pad_token_type_id=pad_token_type_id,
        )

    def predict_batch(self, batch: Batch) -> Predictions:
        """Predict a padded batch of a data loader: ``map(engine.predict_batch, loader)`` predicts all.

        Args:
            batch: ``input_ids``, ``attention_mask`` and, where the backbone has them, ``token_type_ids``, each
                ``[batch, length]``; other entries are ignored.

        Raises:
            DataError: There is no row, a row has no tokens, or tokens of a row don't all stand before its padding.
        """
        mask = host(batch["attention_mask"])
        names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in batch]
        lengths = mask.sum(1)  # [batch]
        if (mask[:, 1:] > mask[:, :-1]).any():
            raise DataError("tokens stand behind padding", where="attention_mask", hint="pad on the right")
        if len(lengths) == 0 or lengths.min() == 0:
            raise DataError("there is nothing to predict", where="attention_mask", hint="leave out what has no tokens")

        def take(rows: Places) -> Batch:
            places, longest = torch.from_numpy(rows), int(lengths[rows].max())
            return {name: batch[name][places.to(batch[name].device), :longest] for name in names}

        return self.descent(lengths, take, self.thresholds)

    def pad(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Make a batch of samples, padded on the right to the longest."""
        return {name: torch.from_numpy(array) for name, array in pad_samples(samples, self.fills).items()}
