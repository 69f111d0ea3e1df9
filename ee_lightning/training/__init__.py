"""Training: the LightningModule, objectives and optimisation."""

from ee_lightning.training.data_module import TaskDataModule as TaskDataModule
from ee_lightning.training.labels import LabelOptions as LabelOptions
from ee_lightning.training.module import EarlyExitModule as EarlyExitModule
from ee_lightning.training.optimization import Optimization as Optimization
from ee_lightning.training.optimization import Progress as Progress
from ee_lightning.training.optimization import Stage as Stage
from ee_lightning.training.optimization import Timeline as Timeline
