"""Training objectives: one file each, injected by ``class_path``."""

from ee_lightning.training.objectives.ensemble import EnsembleObjective as EnsembleObjective
from ee_lightning.training.objectives.objective import Objective as Objective
from ee_lightning.training.objectives.objective import ObjectiveTerms as ObjectiveTerms
