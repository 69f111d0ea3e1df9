"""Reporting: what is shown of results, as tables and plots."""

from ee_lightning.reporting.plots import FolderSink as FolderSink
from ee_lightning.reporting.plots import draw_curves as draw_curves
from ee_lightning.reporting.plots import draw_speed as draw_speed
from ee_lightning.reporting.plots import write_speed as write_speed
from ee_lightning.reporting.plots import write_sweep as write_sweep
from ee_lightning.reporting.tables import Terminal as Terminal
from ee_lightning.reporting.tables import describe as describe
from ee_lightning.reporting.tables import print_choice as print_choice
from ee_lightning.reporting.tables import print_figures as print_figures
from ee_lightning.reporting.tables import print_latencies as print_latencies
from ee_lightning.reporting.tables import print_precision_effects as print_precision_effects
from ee_lightning.reporting.tables import print_speed as print_speed
from ee_lightning.reporting.tables import print_summary as print_summary
