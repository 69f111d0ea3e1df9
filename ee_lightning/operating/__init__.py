"""Operating points: which criterion at which threshold, as a file that a deployed model reads, and what it reaches."""

from ee_lightning.operating.measured_speed import MeasuredSpeed as MeasuredSpeed
from ee_lightning.operating.naming import criteria as criteria
from ee_lightning.operating.naming import recipe_of as recipe_of
from ee_lightning.operating.operating_point import OPERATING_POINT as OPERATING_POINT
from ee_lightning.operating.operating_point import Asked as Asked
from ee_lightning.operating.operating_point import Estimate as Estimate
from ee_lightning.operating.operating_point import OperatingPoint as OperatingPoint
from ee_lightning.operating.operating_point import StoredPoint as StoredPoint
from ee_lightning.operating.recipe import CriterionRecipe as CriterionRecipe
from ee_lightning.operating.recipe import StoredRecipe as StoredRecipe
