"""The two orders in which samples go through the layers; what is predicted is the same."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ee_lightning.inference.cohort import Cohort, join, packs
from ee_lightning.inference.predictions import Departed, Predictions, in_order
from ee_lightning.inference.samples import Sample
from ee_lightning.inference.stepper import Judged, Stepper

Batch = Mapping[str, Tensor]


@torch.inference_mode()
def depth_first(stepper: Stepper, batch: Batch) -> Predictions:
    """Let one batch go down together, shrinking: the shortest way to its last prediction.

    Args:
        stepper: Model, criterion and threshold.
        batch: As `Stepper.start` takes it; each sample's tokens on the left.
    """
    lengths = batch["attention_mask"].sum(1).cpu()  # [batch]
    cohort: Cohort | None = stepper.start(batch, torch.arange(len(lengths)), lengths)
    departed: list[Departed] = []
    for layer in range(1, stepper.num_layers + 1):
        if cohort is None:
            break
        gone, cohort = _through(stepper, layer, cohort)
        if gone is not None:
            departed.append(gone)
    return in_order(departed)


def _through(stepper: Stepper, layer: int, cohort: Cohort) -> tuple[Departed | None, Cohort | None]:
    """Take a cohort through a layer; give who left and who stays."""
    judged = stepper.advance(layer, cohort)
    return stepper.part(judged, None if judged.leaves is None else judged.leaves.cpu())


@dataclass(frozen=True)
class Packing:
    """How samples and cohorts are put together.

    Attributes:
        max_tokens: The most tokens a batch may have, padding included.
        slack: The most tokens of padding that putting together may add to a batch; what a batch costs beside its
            tokens, in tokens.
    """

    max_tokens: int
    slack: int

    @classmethod
    def on(cls, device: torch.device, max_tokens: int | None = None) -> "Packing":
        """Give what suits a device: a processor is busy with few tokens, an accelerator needs many."""
        most, slack = (512, 16) if device.type == "cpu" else (32768, 2048)
        return cls(max_tokens or most, slack)

    def __call__(self, sizes: Sequence[tuple[int, int]]) -> list[range]:
        """See `packs`."""
        return packs(sizes, max_tokens=self.max_tokens, slack=self.slack)


@torch.inference_mode()
def breadth_first(
    stepper: Stepper, samples: Sequence[Sample], pad: Callable[[Sequence[Sample]], Batch], packing: Packing
) -> Predictions:
    """Let many samples go through one layer, then those that stay through the next, repacked into full batches.

    Args:
        stepper: Model, criterion and threshold.
        samples: At least one.
        pad: Makes a batch of samples.
        packing: How full batches are.
    """
    lengths = torch.tensor([len(sample.input_ids) for sample in samples])  # [samples]
    order = lengths.argsort(descending=True, stable=True)  # [samples]; longest first, as in all that follows
    waiting = deque[Cohort]()
    for pack in packing([(1, length) for length in lengths[order].tolist()]):
        rows = order[pack.start : pack.stop]  # [batch]
        waiting.append(stepper.start(pad([samples[row] for row in rows.tolist()]), rows, lengths[rows]))
    departed: list[Departed] = []
    for layer in range(1, stepper.num_layers + 1):
        judged = deque[Judged]()
        for pack in packing([cohort.size for cohort in waiting]):
            together = join([waiting.popleft() for _ in pack], stepper.model.backbone)
            judged.append(stepper.advance(layer, together))
        for leaves in _on_the_host([each.leaves for each in judged]):
            gone, stays = stepper.part(judged.popleft(), leaves)
            departed += [] if gone is None else [gone]
            waiting += [] if stays is None else [stays]
    return in_order(departed)


def _on_the_host(leaves: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Fetch who leaves from all cohorts, waiting for the device once."""
    asked = [each for each in leaves if each is not None]
    if not asked:
        return list(leaves)
    fetched = iter(torch.split(torch.cat(asked).cpu(), [len(each) for each in asked]))
    return [None if each is None else next(fetched) for each in leaves]
