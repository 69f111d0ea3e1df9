"""Callbacks, one class a file."""

from ee_lightning.callbacks.exit_sweep import ExitSweep as ExitSweep
from ee_lightning.callbacks.last_checkpoint import LastCheckpoint as LastCheckpoint
from ee_lightning.callbacks.step_seed import StepSeed as StepSeed
