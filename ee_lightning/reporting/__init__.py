"""Reporting: run folders, figures, tables and plots."""

from ee_lightning.reporting.plots import plot_curves as plot_curves
from ee_lightning.reporting.run_folder import RunFolder as RunFolder
from ee_lightning.reporting.summary import scalars as scalars
from ee_lightning.reporting.summary import summarise as summarise
from ee_lightning.reporting.tables import summary_table as summary_table
