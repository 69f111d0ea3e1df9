"""Callbacks, one class a file."""

from ee_lightning.callbacks.exit_sweep import ExitSweep as ExitSweep
from ee_lightning.callbacks.prediction_writer import PredictionWriter as PredictionWriter
