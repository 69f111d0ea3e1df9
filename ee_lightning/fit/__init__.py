"""Training runs: the LightningCLI of fit, validate and test, with its callbacks."""

from ee_lightning.fit.callbacks import LastCheckpoint as LastCheckpoint
from ee_lightning.fit.callbacks import StepSeed as StepSeed
from ee_lightning.fit.signals import INTERRUPTED as INTERRUPTED
from ee_lightning.fit.signals import Terminated as Terminated
from ee_lightning.fit.signals import die_of_termination as die_of_termination
from ee_lightning.fit.signals import ended as ended
from ee_lightning.fit.sweep_callback import ExitSweep as ExitSweep
