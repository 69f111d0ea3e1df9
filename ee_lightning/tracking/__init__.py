"""Weights & Biases and Trackio: what a run shows there, and how little it may cost the run."""

from ee_lightning.tracking.logger import EarlyExitWandbLogger as EarlyExitWandbLogger
from ee_lightning.tracking.trackio_logger import TrackioLogger as TrackioLogger
