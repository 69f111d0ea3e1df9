"""Training: the LightningModule, objectives and optimisation."""

from ee_lightning.training.label_options import LabelOptions as LabelOptions
from ee_lightning.training.module import EarlyExitModule as EarlyExitModule
from ee_lightning.training.objectives import AlternatingObjective as AlternatingObjective
from ee_lightning.training.objectives import EnsembleObjective as EnsembleObjective
from ee_lightning.training.objectives import JointObjective as JointObjective
from ee_lightning.training.objectives import LastExitObjective as LastExitObjective
from ee_lightning.training.objectives import MutualDistillationObjective as MutualDistillationObjective
from ee_lightning.training.objectives import Objective as Objective
from ee_lightning.training.objectives import ObjectiveTerms as ObjectiveTerms
from ee_lightning.training.objectives import RampedObjective as RampedObjective
from ee_lightning.training.objectives import SelfDistillationObjective as SelfDistillationObjective
from ee_lightning.training.objectives import TwoStageObjective as TwoStageObjective
from ee_lightning.training.optimization import Optimization as Optimization
from ee_lightning.training.timeline import Progress as Progress
from ee_lightning.training.timeline import Stage as Stage
from ee_lightning.training.timeline import Timeline as Timeline
