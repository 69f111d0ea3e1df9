"""Weights & Biases: what a run shows there, and how little it may cost the run."""

from ee_lightning.tracking.logger import EarlyExitWandbLogger as EarlyExitWandbLogger
