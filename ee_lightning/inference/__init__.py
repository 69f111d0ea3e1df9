"""Inference: what a deployed early-exit model is run with."""

from ee_lightning.inference.operating_point import OPERATING_POINT as OPERATING_POINT
from ee_lightning.inference.operating_point import Asked as Asked
from ee_lightning.inference.operating_point import Estimate as Estimate
from ee_lightning.inference.operating_point import OperatingPoint as OperatingPoint
from ee_lightning.inference.recipe import CriterionRecipe as CriterionRecipe
