"""Where a model runs."""

import torch

from ee_lightning.errors import OptionError


def find_device(name: str) -> torch.device:
    """Give a device that is there.

    Args:
        name: ``cpu``, ``cuda``, or ``auto`` for the GPU if there is one.

    Raises:
        OptionError: There is no such device.
    """
    has_gpu = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if has_gpu else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(f"there is no device {name!r}", where="device", mend="give auto, cpu or cuda") from error
    if device.type == "cuda" and not has_gpu:
        raise OptionError("there is no CUDA device here", where="device", mend="give cpu, or auto")
    return device
