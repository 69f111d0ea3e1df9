"""W&B's public API, opened without a question at the terminal and without a wait that has no end."""

import wandb

from ee_lightning.errors import OptionError
from ee_lightning.tracking.internals import has_account
from ee_lightning.tracking.start import silent_service


def open_api(where: str, seconds: int) -> wandb.Api:
    """Open the API.

    Args:
        where: What is asked for, for messages.
        seconds: How long W&B may be silent.

    Raises:
        OptionError: W&B does not answer, or there is no account on this machine.
    """
    if (silence := silent_service(seconds)) is not None:
        raise OptionError(silence, where=where, mend="ask again where W&B can be reached, or set WANDB_BASE_URL right")
    if not has_account():
        raise OptionError(
            "there is no account of W&B on this machine",
            where=where,
            mend="log in (wandb login), or set WANDB_API_KEY",
        )
    return wandb.Api(timeout=seconds)
