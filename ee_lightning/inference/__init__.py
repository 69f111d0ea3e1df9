"""Inference: early exit for real, at any batch size."""

from ee_lightning.inference.deployment import Deployment as Deployment
from ee_lightning.inference.engine import EarlyExitEngine as EarlyExitEngine
from ee_lightning.inference.flops import FlopCounter as FlopCounter
from ee_lightning.inference.full_model import FullModel as FullModel
from ee_lightning.inference.predictions import Prediction as Prediction
from ee_lightning.inference.predictions import Predictions as Predictions
from ee_lightning.inference.predictor import EarlyExitPredictor as EarlyExitPredictor
from ee_lightning.inference.rules import Rule as Rule
from ee_lightning.inference.samples import Sample as Sample
from ee_lightning.inference.samples import samples_of as samples_of
from ee_lightning.inference.speed import SpeedMeter as SpeedMeter
from ee_lightning.inference.texts import TextPrediction as TextPrediction
from ee_lightning.inference.texts import TextStream as TextStream
