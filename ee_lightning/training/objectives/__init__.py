"""Training objectives: one file each, injected by ``class_path``."""

from ee_lightning.training.objectives.alternating import AlternatingObjective as AlternatingObjective
from ee_lightning.training.objectives.consistentee import ConsistentEEObjective as ConsistentEEObjective
from ee_lightning.training.objectives.cosee import COSEEObjective as COSEEObjective
from ee_lightning.training.objectives.ensemble import EnsembleObjective as EnsembleObjective
from ee_lightning.training.objectives.joint import JointObjective as JointObjective
from ee_lightning.training.objectives.last_exit import LastExitObjective as LastExitObjective
from ee_lightning.training.objectives.mutual_distillation import (
    MutualDistillationObjective as MutualDistillationObjective,
)
from ee_lightning.training.objectives.objective import Objective as Objective
from ee_lightning.training.objectives.objective import ObjectiveTerms as ObjectiveTerms
from ee_lightning.training.objectives.palbert import PALBERTObjective as PALBERTObjective
from ee_lightning.training.objectives.ramped import RampedObjective as RampedObjective
from ee_lightning.training.objectives.sweet import SWEETObjective as SWEETObjective
from ee_lightning.training.objectives.two_stage import SelfDistillationObjective as SelfDistillationObjective
from ee_lightning.training.objectives.two_stage import TwoStageObjective as TwoStageObjective
