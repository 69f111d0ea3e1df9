"""Run folders: what a run leaves behind, and what is read of it."""

from ee_lightning.runs.figures import NAMED_SPEEDUPS as NAMED_SPEEDUPS
from ee_lightning.runs.figures import MeasuredSpeed as MeasuredSpeed
from ee_lightning.runs.folder import CALIBRATION as CALIBRATION
from ee_lightning.runs.folder import RunFolder as RunFolder
from ee_lightning.runs.folder import run_folder_of as run_folder_of
from ee_lightning.runs.operating_point import OPERATING_POINT as OPERATING_POINT
from ee_lightning.runs.operating_point import Asked as Asked
from ee_lightning.runs.operating_point import Estimate as Estimate
from ee_lightning.runs.operating_point import OperatingPoint as OperatingPoint
from ee_lightning.runs.operating_point import StoredPoint as StoredPoint
