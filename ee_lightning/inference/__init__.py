"""Inference: early exit for real, at any batch size."""

from ee_lightning.inference.engine import EarlyExitEngine as EarlyExitEngine
from ee_lightning.inference.predictions import Prediction as Prediction
from ee_lightning.inference.predictions import Predictions as Predictions
from ee_lightning.inference.samples import Sample as Sample
