"""Rules of the form "t exits in a row": the score is the least of the last t values."""

import torch
from torch import Tensor

from ee_lightning.errors import OptionError

_MOST = 1000


def check_patience(patience: int, option: str) -> None:
    """Refuse a patience below 1, or above all numbers of exits that there are.

    Args:
        patience: How many values in a row have to reach the threshold.
        option: The option's full name.

    Raises:
        OptionError: The patience makes no sense.
    """
    if not 1 <= patience <= _MOST:
        raise OptionError(
            f"{patience} is no patience",
            where=option,
            mend=f"give a whole number from 1 to {_MOST}: how many exits in a row",
        )


def no_values(batch_size: int, patience: int, device: torch.device) -> Tensor:
    """Give the window before the first value: -inf, which never reaches a threshold; of shape [batch, patience]."""
    return torch.full((batch_size, patience), -torch.inf, device=device)


def push(window: Tensor, values: Tensor) -> Tensor:
    """Let new values in and the oldest out.

    Args:
        window: The last values, of shape [batch, patience].
        values: The new ones, of shape [batch].

    Returns:
        The new window, of shape [batch, patience]; the window passed in stays as it is.
    """
    return torch.cat([window[:, 1:], values.unsqueeze(-1)], dim=-1)
