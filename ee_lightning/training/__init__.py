"""Training: the LightningModule, objectives and optimisation."""

from ee_lightning.training.module import EarlyExitModule as EarlyExitModule
from ee_lightning.training.objectives import EnsembleObjective as EnsembleObjective
from ee_lightning.training.objectives import Objective as Objective
from ee_lightning.training.optimization import Optimization as Optimization
