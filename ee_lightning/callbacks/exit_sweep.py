"""Sweeps all exit thresholds after an evaluation."""

from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn

from ee_lightning.data import Task
from ee_lightning.errors import OptionError
from ee_lightning.exits import Criterion, Curve, Fixed, Oracle, StoredExits, trace_curve
from ee_lightning.reporting import RunFolder, describe, draw_curves, run_folder_of, scalars, summarise
from ee_lightning.training import EarlyExitModule


class ExitSweep(Callback):
    """Traces the exact accuracy-speed curve of every criterion from one evaluation.

    After ``validate`` and ``test`` it stores the exits, writes curves, plot and figures into the run folder, and logs
    them to every logger. During ``fit`` it logs, after every validation, the scores of all exits as one table and the
    area under each criterion's curve (``val/<criterion>/area``), which checkpoints and early stopping may monitor.

    Args:
        criteria: The exit criteria; the command line takes voting, patience, confidence and entropy unless told
            otherwise. The oracle and the fixed exits are always traced beside them.

    Raises:
        OptionError: Two criteria have the same name.
    """

    def __init__(self, criteria: list[Criterion]) -> None:
        references = {reference.name: reference for reference in (Oracle(), Fixed())}
        methods = [criterion for criterion in criteria if criterion.name not in references]
        self.criteria = [*methods, *references.values()]
        names = [criterion.name for criterion in self.criteria]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise OptionError(
                f"two exit criteria have the same name: {', '.join(twice)}",
                where="sweep.criteria",
                mend="list each criterion once, or give the two different options",
            )

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log every exit's scores and every criterion's area after an epoch of training."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        module = _as_ours(pl_module)
        figures = scalars(summarise(self._trace(module.recorded_exits, module), module.metrics), "val")
        areas = {name: value for name, value in figures.items() if name.endswith("/area")}
        module.log_dict(areas, sync_dist=True)  # the same on every process
        folder = run_folder_of(trainer)
        if trainer.is_global_zero and folder is not None:
            self._log_exit_scores(trainer, folder, module.exit_scores())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sweep after ``validate``."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._sweep(trainer, _as_ours(pl_module), split="validation", stage="val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sweep after ``test``."""
        self._sweep(trainer, _as_ours(pl_module), split="test", stage="test")

    def _trace(self, exits: StoredExits, module: EarlyExitModule) -> list[Curve]:
        return [trace_curve(criterion, exits, module.metrics) for criterion in self.criteria]

    def _log_exit_scores(self, trainer: Trainer, folder: RunFolder, scores: dict[str, list[float]]) -> None:
        folder.write_exit_scores(trainer.current_epoch, scores)
        rows = [[exit_layer, *row] for exit_layer, row in enumerate(zip(*scores.values(), strict=True), 1)]
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_table("val/exits", columns=["exit", *scores], data=rows)

    def _sweep(self, trainer: Trainer, module: EarlyExitModule, split: str, stage: str) -> None:
        exits = module.recorded_exits  # joins all processes
        folder = run_folder_of(trainer)
        if not trainer.is_global_zero or folder is None:
            return
        curves = self._trace(exits, module)
        summary = {"task": _task(trainer), "samples": exits.num_samples, **summarise(curves, module.metrics)}
        folder.write_exits(split, exits)
        folder.write_curves(split, curves)
        with folder.whole("curves.png") as file:
            draw_curves(describe(split, summary), curves, module.metrics[0]).savefig(file, format="png")
        for logger in trainer.loggers:
            logger.log_metrics(scalars(summary, stage), step=trainer.global_step)
            if isinstance(logger, WandbLogger):
                from ee_lightning.reporting.wandb import log_curves  # wandb takes a second to import

                log_curves(logger, stage, curves, module.metrics)
        folder.write_summary(split, summary)


def _as_ours(module: LightningModule) -> EarlyExitModule:
    if not isinstance(module, EarlyExitModule):
        raise TypeError(f"Expected an EarlyExitModule, but got {type(module).__name__}")
    return module


def _task(trainer: Trainer) -> str:
    task = getattr(getattr(trainer, "datamodule", None), "task", None)
    return str(task.name) if isinstance(task, Task) else "data"
