"""Analysis of stored exits: sweeps, budgets, choices of thresholds, and comparisons of runs."""

from ee_lightning.analysis.budgets import Budget as Budget
from ee_lightning.analysis.budgets import BudgetOutOfReach as BudgetOutOfReach
from ee_lightning.analysis.budgets import Consistency as Consistency
from ee_lightning.analysis.budgets import MaxBrier as MaxBrier
from ee_lightning.analysis.budgets import MaxHellinger as MaxHellinger
from ee_lightning.analysis.budgets import MaxLoss as MaxLoss
from ee_lightning.analysis.budgets import MaxSpoilt as MaxSpoilt
from ee_lightning.analysis.budgets import MinSpeedup as MinSpeedup
from ee_lightning.analysis.budgets import budget_of as budget_of
from ee_lightning.analysis.choice import Rival as Rival
from ee_lightning.analysis.choice import choose as choose
from ee_lightning.analysis.choice import clear_rival as clear_rival
from ee_lightning.analysis.sweep import Sweep as Sweep
from ee_lightning.analysis.sweep import SweepSink as SweepSink
from ee_lightning.analysis.sweep import all_that_apply as all_that_apply
from ee_lightning.analysis.sweep import scalars as scalars
from ee_lightning.analysis.sweep import summarise as summarise
from ee_lightning.analysis.sweep import sweep_exits as sweep_exits
