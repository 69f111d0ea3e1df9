"""Ends the W&B runs of a process as the process ends."""

import wandb

from ee_lightning.tracking.logger import EarlyExitWandbLogger


def end_runs(exit_code: int) -> None:
    """Report to W&B how a command ended, and wait for its uploads, for a limited time.

    Args:
        exit_code: 0 for a run that is finished, 255 for one that was killed, any other for one that failed.
    """
    loggers = list(EarlyExitWandbLogger.running)
    for logger in loggers:
        logger.finish(exit_code)
    if not loggers:
        wandb.finish(exit_code)  # of Lightning's own logger, which would take the code of an exit that nobody calls
