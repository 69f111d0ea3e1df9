"""Inference: early exit for real, at any batch size."""

from ee_lightning.inference.batches import Prediction as Prediction
from ee_lightning.inference.batches import Predictions as Predictions
from ee_lightning.inference.batches import Sample as Sample
from ee_lightning.inference.batches import samples_of as samples_of
from ee_lightning.inference.deployment import Deployment as Deployment
from ee_lightning.inference.engine import EarlyExitEngine as EarlyExitEngine
from ee_lightning.inference.flops import FlopCounter as FlopCounter
from ee_lightning.inference.policy import ExitPolicy as ExitPolicy
from ee_lightning.inference.predictor import EarlyExitPredictor as EarlyExitPredictor
from ee_lightning.inference.speed import FullModel as FullModel
from ee_lightning.inference.speed import SpeedMeter as SpeedMeter
from ee_lightning.inference.texts import TextPrediction as TextPrediction
from ee_lightning.inference.texts import TextStream as TextStream
