"""Reporting: run folders, figures, tables and plots."""

from ee_lightning.reporting.budget import Budget as Budget
from ee_lightning.reporting.budget import BudgetOutOfReach as BudgetOutOfReach
from ee_lightning.reporting.budgets import Consistency as Consistency
from ee_lightning.reporting.budgets import MaxLoss as MaxLoss
from ee_lightning.reporting.budgets import MinSpeedup as MinSpeedup
from ee_lightning.reporting.choice import choose as choose
from ee_lightning.reporting.diagnostics import diagnose as diagnose
from ee_lightning.reporting.diagnostics import diagnostic_scalars as diagnostic_scalars
from ee_lightning.reporting.plots import draw_curves as draw_curves
from ee_lightning.reporting.run_folder import CALIBRATION as CALIBRATION
from ee_lightning.reporting.run_folder import RunFolder as RunFolder
from ee_lightning.reporting.run_folder import run_folder_of as run_folder_of
from ee_lightning.reporting.summary import scalars as scalars
from ee_lightning.reporting.summary import summarise as summarise
from ee_lightning.reporting.sweep import Sweep as Sweep
from ee_lightning.reporting.sweep import distinct as distinct
from ee_lightning.reporting.sweep import fit_criteria as fit_criteria
from ee_lightning.reporting.sweep import fit_recipe as fit_recipe
from ee_lightning.reporting.sweep import sweep_exits as sweep_exits
from ee_lightning.reporting.sweep import write_sweep as write_sweep
from ee_lightning.reporting.tables import describe as describe
from ee_lightning.reporting.tables import print_choice as print_choice
from ee_lightning.reporting.tables import print_summary as print_summary
