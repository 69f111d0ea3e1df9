"""What several processes have in common."""

import torch
from torch import Tensor, distributed
from torchmetrics.utilities.distributed import gather_all_tensors

from ee_lightning.models import MultiExitOutput


def num_processes() -> int:
    """Give the number of processes that train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def whole_batch(output: MultiExitOutput, labels: Tensor) -> tuple[MultiExitOutput, Tensor]:
    """Join the shares that all processes have of a batch, so that each computes the loss of the whole batch.

    The gradient flows through a process's own share alone. Processes that take the mean of their gradients, as all of
    Lightning's strategies do, therefore need the loss times their number.

    Args:
        output: What all exits say of this process's share.
        labels: The labels of the share, ``[share]``.

    Returns:
        The same of the whole batch, equal on every process; shares may differ in size.
    """
    if num_processes() == 1:
        return output, labels
    logits = _joined(output.logits.transpose(0, 1)).transpose(0, 1)  # [exits, batch, classes]
    gate = None if output.gate is None else _joined(output.gate.T).T  # [exits, batch]
    return MultiExitOutput(logits, gate), _joined(labels)


def _joined(share: Tensor) -> Tensor:
    return torch.cat(gather_all_tensors(share))  # [batch, ...]
