"""Reporting: run folders, figures, tables and plots."""

from ee_lightning.reporting.plots import draw_curves as draw_curves
from ee_lightning.reporting.run_folder import RunFolder as RunFolder
from ee_lightning.reporting.run_folder import run_folder_of as run_folder_of
from ee_lightning.reporting.summary import scalars as scalars
from ee_lightning.reporting.summary import summarise as summarise
from ee_lightning.reporting.tables import describe as describe
from ee_lightning.reporting.tables import print_summary as print_summary
