"""Thresholds that differ from exit to exit, fitted for every budget: a schedule.

A family is a file: it makes paths of thresholds from calibration rows. Adding one is adding its file, and a row of
`FAMILIES`. Everything here works on numpy arrays.
"""

from ee_lightning.functional.schedules.choosing import FAMILIES as FAMILIES
from ee_lightning.functional.schedules.choosing import FEWEST as FEWEST
from ee_lightning.functional.schedules.choosing import Schedule as Schedule
from ee_lightning.functional.schedules.choosing import fit_schedule as fit_schedule
from ee_lightning.functional.schedules.paths import Calibration as Calibration
