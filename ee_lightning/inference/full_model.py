"""The full model, which early exit is compared with."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ee_lightning.inference.samples import Sample, pad_samples
from ee_lightning.inference.stepper import Precision
from ee_lightning.models import MultiExitModel, check_finite_logits

_ANY_FILLS = {"input_ids": 0, "token_type_ids": 0}
"""What fills padding, which nothing attends to."""


class FullModel:
    """Runs all layers and the last head alone, as the plain fine-tuned model of the same weights would.

    Args:
        model: The model, in evaluation mode.
        precision: ``fp32``, or ``bf16`` for matrix products in bfloat16.
    """

    def __init__(self, model: MultiExitModel, precision: Precision = "fp32") -> None:
        self.model, self.precision = model, precision
        self.device = next(model.parameters()).device

    @torch.inference_mode()
    def predict(self, batches: Iterable[Sequence[Sample]]) -> Tensor:
        """Give the last exit's logits.

        Args:
            batches: At least one, each of at least one sample; padded here.

        Returns:
            ``[samples, classes]`` in float32, on the host.

        Raises:
            BackboneError: Logits are not finite.
        """
        logits = torch.cat([self._logits(batch) for batch in batches]).float().cpu()  # [samples, classes]
        check_finite_logits(logits.isfinite())
        return logits

    def _logits(self, samples: Sequence[Sample]) -> Tensor:
        lengths = [len(sample.input_ids) for sample in samples]
        batch = {
            name: tensor.to(self.device, non_blocking=True) for name, tensor in pad_samples(samples, _ANY_FILLS).items()
        }
        backbone = self.model.backbone
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            state = backbone.embed(**batch, is_padded=min(lengths) < max(lengths))
            for layer in range(backbone.num_layers):
                state = backbone.layer(layer, state)
            logits: Tensor = self.model.heads(self.model.num_exits, state).logits  # [batch, classes]
        return logits
