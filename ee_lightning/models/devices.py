"""Where a model runs."""

import torch

from ee_lightning.errors import OptionError


def find_device(name: str | torch.device) -> torch.device:
    """Return a device that is there.

    Args:
        name: ``cpu``, ``cuda``, one of several such as ``cuda:1``, or ``auto`` for the GPU if there is one.

    Raises:
        OptionError: There is no such device, or it is of another kind.
    """
    has_gpu = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if has_gpu else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise OptionError(f"there is no device {name!r}", where="device", hint="give auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise OptionError(f"models don't run on {device.type!r}", where="device", hint="give auto, cpu or cuda")
    if device.type == "cuda" and not has_gpu:
        raise OptionError("there is no CUDA device here", where="device", hint="give cpu, or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        there = f"{torch.cuda.device_count()} here, counted from 0"
        raise OptionError(
            f"there is no CUDA device {device.index}: there are {there}", where="device", hint="give cuda"
        )
    return device
