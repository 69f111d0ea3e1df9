"""What several processes have in common."""

from collections.abc import Sequence
from typing import cast

import torch
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, Strategy
from torch import Tensor, distributed
from torchmetrics.utilities.distributed import gather_all_tensors

from ee_lightning.errors import OptionError
from ee_lightning.models import MultiExitModel, MultiExitOutput
from ee_lightning.training.optimization import Stage


def num_processes() -> int:
    """Return the number of processes that train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def check_strategy(strategy: Strategy, stages: Sequence[Stage]) -> None:
    """Raise an `OptionError` for DDP, even of one process, that asks for all gradients, or FSDP that joins weights."""
    asks_for_all = isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.get("find_unused_parameters", False)
    if asks_for_all and len(stages) > 1:
        raise OptionError(
            f"each of the {len(stages)} stages of this training leaves some parameters without gradient, and plain ddp "
            "asks for all of them",
            where="--trainer.strategy",
            hint="--trainer.strategy ddp_find_unused_parameters_true, or auto where there is a single device",
        )
    if isinstance(strategy, FSDPStrategy) and not strategy.kwargs["use_orig_params"]:
        raise OptionError(
            "use_orig_params is false: the weights, biases and norms of a layer would be a single parameter, which can "
            "only decay as a whole",
            where="--trainer.strategy, use_orig_params",
            hint="leave it out, or set it to true",
        )


def shared_out(model: MultiExitModel, strategy: Strategy) -> MultiExitModel:
    """Let FSDP wrap a model, once, so that it can be evaluated after training; other strategies leave it as it is.

    Lightning alone would wrap a module around the whole, drop that one after training, and leave the weights outside of
    the layers in pieces.
    """
    if not isinstance(strategy, FSDPStrategy):
        return model
    from torch.distributed.fsdp import FullyShardedDataParallel  # which not every build of torch has
    from torch.distributed.fsdp.wrap import wrap

    if isinstance(model, FullyShardedDataParallel):
        return model
    wrapped = wrap(model)  # with what the strategy was told, inside its context
    strategy.kwargs.pop("auto_wrap_policy", None)  # it is done, and Lightning would warn that it does not do it again
    return cast(MultiExitModel, wrapped)


def whole_batch(output: MultiExitOutput, labels: Tensor) -> tuple[MultiExitOutput, Tensor]:
    """Join the shares, of any sizes, that all processes have of a batch; labels are ``[share]`` or ``[share, labels]``.

    The gradient flows through a process's own share alone. Processes that take the mean of their gradients, as all of
    Lightning's strategies do, therefore need the loss times their number.
    """
    if num_processes() == 1:
        return output, labels
    logits = _joined(output.logits.transpose(0, 1)).transpose(0, 1)  # [exits, batch, classes]
    extras = {name: _joined(extra.T).T for name, extra in output.extras.items()}  # [exits, batch] each
    return MultiExitOutput(logits, extras), _joined(labels)


def _joined(share: Tensor) -> Tensor:
    return torch.cat(gather_all_tensors(share))  # [batch, ...]
