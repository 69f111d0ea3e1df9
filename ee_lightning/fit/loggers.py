"""Loggers other than the run folder's and W&B's: named after the run, with the curves of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger

from ee_lightning.analysis.sweep import Sweep
from ee_lightning.reporting.writing import plots_for
from ee_lightning.runs.folder import RunFolder
from ee_lightning.tracking import TrackioLogger

_USUAL = "lightning_logs"


def name_after_run(loggers: Sequence[Logger], folder: CSVLogger) -> None:
    """Let loggers that were given no name have the run's: TensorBoard's files then lie in the run folder, too.

    With ``save_dir`` as the folder of all runs, they lie in ROOT/NAME/version_N; of MLflow the experiment has the name
    of the run, and its run that and the version.
    """
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger) and logger.name == _USUAL:
            logger._name = folder.name
            logger._version = folder.version
        elif isinstance(logger, MLFlowLogger) and logger._experiment_name == _USUAL:
            logger._experiment_name = folder.name
            logger._run_name = logger._run_name or f"{folder.name}/version_{folder.version}"
        elif isinstance(logger, TrackioLogger):
            logger.enter(RunFolder(folder.log_dir))


@dataclass
class LoggerSink:
    """Any logger."""

    logger: Logger

    def take_sweep(self, found: Sweep) -> None:
        """Log the figures of an evaluation, and where pictures are shown the curves; after an epoch Lightning does."""
        if found.epoch is not None:
            return
        self.logger.log_metrics(found.scalars(), step=found.step)
        if not isinstance(self.logger, TensorBoardLogger | MLFlowLogger):
            return
        title, metric = f"{found.summary['task']} {found.split}", found.summary["metrics"][0]
        if (plots := plots_for(f"{found.stage}/curves of {type(self.logger).__name__}")) is None:
            return
        figure = plots.draw_curves({title: found.curves}, metric)
        if isinstance(self.logger, TensorBoardLogger):
            self.logger.experiment.add_figure(f"{found.stage}/curves", figure, found.step)
        else:
            self.logger.experiment.log_figure(self.logger.run_id, figure, f"{found.stage}_curves.png")
