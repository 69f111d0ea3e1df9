"""The way of samples through the layers, up to the exit where each leaves."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ee_lightning.inference.cohort import Cohort, join
from ee_lightning.inference.packing import Packing
from ee_lightning.inference.predictions import Departed, Predictions, in_order
from ee_lightning.inference.stepper import Stepper

Batch = Mapping[str, Tensor]


def descend(stepper: Stepper, lengths: Tensor, take: Callable[[Tensor], Batch], packing: Packing) -> Predictions:
    """Let samples go through one layer, then those that stay through the next, each time in batches of like lengths.

    One exit judges all of them together, and the device is waited for at most once a layer.

    Args:
        stepper: Model, criterion and threshold.
        lengths: Numbers of tokens, ``[samples]``, at least one, on the host.
        take: Makes a batch of the samples at some places, ``[batch]`` on the host, as `Stepper.start` takes it.
        packing: How full batches are.
    """
    if stepper.model.training:
        stepper.model.eval()
    with torch.inference_mode(), stepper.lower_precision():  # once, for the weights are cast anew each time
        return _descend(stepper, lengths, take, packing)


def _descend(stepper: Stepper, lengths: Tensor, take: Callable[[Tensor], Batch], packing: Packing) -> Predictions:
    rows = lengths.argsort(descending=True, stable=True)  # [samples]; longest first, as in all that follows
    packs = packing([(1, length) for length in lengths[rows].tolist()])
    together = [rows[pack.start : pack.stop] for pack in packs]  # [batch] each
    cohorts = [stepper.start(take(some), lengths[some]) for some in together]
    memory = stepper.remember(len(rows))
    departed: list[Departed] = []
    for layer in range(1, stepper.num_layers + 1):
        packs = packing([cohort.size for cohort in cohorts])
        waiting = deque(cohorts)
        cohorts.clear()  # so that what went through the layer is given up batch by batch
        for pack in packs:
            joined = join([waiting.popleft() for _ in pack], stepper.model.backbone)
            cohorts.append(stepper.advance(layer, joined))
        judged = stepper.judge(layer, cohorts, memory)
        if judged is None:
            continue
        memory, leaves = judged.memory, judged.leaves.cpu()  # leaves: [samples still there]
        leaving = int(leaves.count_nonzero())
        if leaving == len(rows):
            departed.append(judged.departed(rows))
            break
        if leaving > 0:
            gone, kept = leaves.nonzero().squeeze(1), (~leaves).nonzero().squeeze(1)  # [gone], [kept]
            departed.append(judged.departed(rows, gone))
            rows, memory = rows[kept], stepper.recall(memory, kept)
            cohorts = _staying(stepper, cohorts, leaves)
    return in_order(departed)


def _staying(stepper: Stepper, cohorts: Sequence[Cohort], leaves: Tensor) -> list[Cohort]:
    """Drop who leaves, ``[samples]``, from the cohorts."""
    staying = []
    for cohort, leave in zip(cohorts, torch.split(leaves, [cohort.size[0] for cohort in cohorts]), strict=True):
        kept = (~leave).nonzero().squeeze(1)  # [kept]
        if len(kept) == len(leave):
            staying.append(cohort)
        elif len(kept) > 0:
            staying.append(cohort.keep(kept, stepper.model.backbone))
    return staying
