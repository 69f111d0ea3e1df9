"""Keeps off the terminal what a user can do nothing about, or did not ask for."""

import logging
import warnings


def leave_out_noise() -> None:
    """Leave out messages of Lightning."""
    messages = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    messages.addFilter(lambda record: "Tip:" not in record.getMessage())  # which advertise other products
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # when a run goes on
    warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before")  # which ours can
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"lightning\.pytorch\.utilities\._pytree")


def leave_out_other_folders() -> None:
    """Leave out that a checkpoint comes from another folder than the command's own, as every one does that is named.

    Where a run goes on in its folder it would be a mistake.
    """
    warnings.filterwarnings("ignore", message="The dirpath has changed")
