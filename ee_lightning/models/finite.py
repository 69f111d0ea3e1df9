"""Weights and logits that are NaN or infinite, of which no prediction can be made."""

from collections.abc import Mapping

from torch import Tensor

from ee_lightning.errors import BackboneError


def check_finite_weights(tensors: Mapping[str, Tensor], where: object) -> None:
    """Raise an error if weights are not finite.

    Args:
        tensors: The weights, by name.
        where: Where they are from, for the error.

    Raises:
        BackboneError: A tensor holds NaN or infinity.
    """
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise BackboneError(
            f"the weights are not finite: there is NaN or infinity in {broken[0]}{more}",
            where=where,
            hint="use weights from before the training diverged, or copy the file again if it was damaged",
        )


def check_finite_logits(finite: Tensor) -> None:
    """Raise an error unless all logits are finite.

    Args:
        finite: Whether each one is, of any shape.

    Raises:
        BackboneError: One is not.
    """
    if not finite.all():
        raise BackboneError(
            "the logits are not finite, so there is nothing to predict",
            where="the model's exits",
            hint="check the weights for NaN and huge values, and try precision fp32 if it is bf16",
        )
