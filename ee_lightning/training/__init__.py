"""Training: the LightningModule, objectives and optimisation."""

from ee_lightning.extras import telling_missing

with telling_missing():
    from ee_lightning.training.data_module import TaskDataModule as TaskDataModule
    from ee_lightning.training.labels import LabelOptions as LabelOptions
    from ee_lightning.training.module import EarlyExitModule as EarlyExitModule
    from ee_lightning.training.objectives import AlternatingObjective as AlternatingObjective
    from ee_lightning.training.objectives import ConsistentEEObjective as ConsistentEEObjective
    from ee_lightning.training.objectives import COSEEObjective as COSEEObjective
    from ee_lightning.training.objectives import EnsembleObjective as EnsembleObjective
    from ee_lightning.training.objectives import JointObjective as JointObjective
    from ee_lightning.training.objectives import LastExitObjective as LastExitObjective
    from ee_lightning.training.objectives import MutualDistillationObjective as MutualDistillationObjective
    from ee_lightning.training.objectives import Objective as Objective
    from ee_lightning.training.objectives import ObjectiveTerms as ObjectiveTerms
    from ee_lightning.training.objectives import PALBERTObjective as PALBERTObjective
    from ee_lightning.training.objectives import RampedObjective as RampedObjective
    from ee_lightning.training.objectives import SelfDistillationObjective as SelfDistillationObjective
    from ee_lightning.training.objectives import SWEETObjective as SWEETObjective
    from ee_lightning.training.objectives import TwoStageObjective as TwoStageObjective
    from ee_lightning.training.optimization import Optimization as Optimization
    from ee_lightning.training.optimization import Progress as Progress
    from ee_lightning.training.optimization import Stage as Stage
    from ee_lightning.training.optimization import Timeline as Timeline
