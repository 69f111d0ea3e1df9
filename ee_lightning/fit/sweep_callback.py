"""Sweeps all exit thresholds after an evaluation."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import replace

from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import CombinedLoader

from ee_lightning.analysis.sweep import (
    Sweep,
    diagnostic_scalars,
    distinct,
    require_nothing_fitted,
    scalars,
    sweep_exits,
)
from ee_lightning.data import Task
from ee_lightning.data.batches import LengthBucketedBatches
from ee_lightning.errors import OptionError
from ee_lightning.exits import Criterion, EvaluatedRows, Gate, StoredExits
from ee_lightning.exits.gate import require_gate
from ee_lightning.fit.callbacks import check_monitors
from ee_lightning.inference import SpeedMeter, samples_of
from ee_lightning.models import MultiExitModel
from ee_lightning.reporting import write_speed, write_sweep
from ee_lightning.runs.figures import NAMED_SPEEDUPS
from ee_lightning.runs.folder import CALIBRATION, run_folder_of
from ee_lightning.runs.load_run import evaluated_rows
from ee_lightning.runs.measured import MeasuredSpeed
from ee_lightning.tracking import EarlyExitWandbLogger
from ee_lightning.training import EarlyExitModule
from ee_lightning.training.data_module import TaskDataModule


def rows_evaluated(trainer: Trainer, loader: int, split: str) -> EvaluatedRows:
    """Return which rows of a split an evaluation used.

    Rows of a limited evaluation are drawn at random by the loaders of a `TaskDataModule`; of any other loader they
    may be the first ones of a sorted file.

    Args:
        trainer: The trainer, in an evaluation or at its end.
        loader: Position of the split's loader among those of the evaluation.
        split: The split, as `TaskDataModule` names it.
    """
    loaders = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
    limits = trainer.num_test_batches if trainer.testing else trainer.num_val_batches
    used, num_batches = CombinedLoader(loaders, "sequential").flattened[loader], limits[loader]
    sampler, rows = getattr(used, "sampler", None), getattr(used, "dataset", None)
    is_ours = isinstance(sampler, LengthBucketedBatches) and num_batches == sampler.num_used
    is_whole = isinstance(used, Sized) and num_batches >= len(used)
    data = getattr(trainer, "datamodule", None)
    return EvaluatedRows(
        total=len(rows) if isinstance(rows, Sized) else None,
        is_drawn=is_ours or is_whole,
        files=data.files[split] if isinstance(data, TaskDataModule) else [],
    )


BATCH_SIZE = "32"
"""At which the scalars were measured."""


def measure_sweep(model: MultiExitModel, data: TaskDataModule, split: str, found: Sweep) -> list[MeasuredSpeed]:
    """Measure each criterion of a sweep near the named speed-ups.

    Args:
        model: The model that was swept.
        data: The data it was swept on.
        split: Their split.
        found: The sweep.
    """
    print("measuring the speed on the clock, which takes minutes")
    meter = SpeedMeter(model, samples_of(evaluated_rows(data.rows(split), found.exits)[:]))
    return [
        measured
        for criterion, thresholds in zip(found.criteria, _thresholds(found).values(), strict=True)
        for threshold in dict.fromkeys(thresholds.values())
        for measured in meter.measure(criterion, threshold)
    ]


def speed_scalars(found: Sweep, measured: Sequence[MeasuredSpeed], stage: str) -> dict[str, float]:
    """Flatten what `measure_sweep` returns, for loggers.

    The names are stable: ``<stage>/<criterion>/wall_speedup_at_<speed-up>x``, of the operating point nearest to that
    speed-up by layers, in batches of 32.
    """
    wall = {(each.criterion, each.threshold): each.wall_speedup for each in measured if each.batch_size == BATCH_SIZE}
    return {
        f"{stage}/{criterion}/wall_speedup_at_{speedup:g}x": wall[criterion, threshold]
        for criterion, thresholds in _thresholds(found).items()
        for speedup, threshold in thresholds.items()
    }


def _thresholds(found: Sweep) -> Mapping[str, Mapping[float, float]]:
    """Return each criterion's thresholds near the named speed-ups, by criterion and speed-up."""
    return {
        curve.criterion: {speedup: curve.threshold_near(speedup) for speedup in NAMED_SPEEDUPS if speedup > 1}
        for curve in found.curves[: len(found.criteria)]
    }


class ExitSweep(Callback):
    """Traces the exact accuracy-speed curve of every criterion from one evaluation.

    After ``validate`` and ``test`` it stores the exits, writes curves, plot and figures into the run folder, and logs
    them to every logger. During ``fit`` it logs, after every validation, the scores of all exits as one table and the
    area under each criterion's curve (``val/<criterion>/area``), which checkpoints and early stopping may monitor.

    Args:
        criteria: The exit criteria; the command line takes voting, patience, confidence and entropy unless told
            otherwise. The oracle and the fixed exits are always traced beside them.
        speed: Whether to measure, after ``validate`` and ``test``, the speed of each criterion on the clock near 1.5x,
            2x and 3x. This takes minutes.

    Raises:
        OptionError: Two criteria have the same name.
    """

    def __init__(self, criteria: list[Criterion], speed: bool = False) -> None:
        self.criteria, self.speed = distinct(criteria), speed

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise an error for what can't come about, before anything is trained.

        Raises:
            OptionError: A criterion can't judge tasks of this kind, reads a gate that the model lacks, or has to be
                fitted where no rows are held out; a checkpoint or early stopping monitors a figure
                that training does not log; or the speed is to be measured on several processes, or on rows that are not
                the task's.
        """
        if stage == TrainerFn.PREDICTING:
            return
        data = _data(trainer)
        if self.speed and (trainer.world_size > 1 or data is None):
            raise OptionError(
                "the speed is measured by one process, on the rows of a TaskDataModule",
                where="--sweep.speed true",
                hint="leave it out, and measure afterwards: ee-lightning speed RUN",
            )
        module = _as_ours(pl_module)
        for criterion in self.criteria:
            criterion.check_task(module.target.kind)
            if isinstance(criterion, Gate) and module.model.heads.gate is None:
                require_gate([])
        if data is not None and not data.calibration:
            require_nothing_fitted(self.criteria)
        if stage == TrainerFn.FITTING:
            check_monitors(trainer.callbacks, self.criteria, module)  # type: ignore[attr-defined]
        for logger in _wandb_loggers(trainer):
            logger.enter(training=stage == TrainerFn.FITTING)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log every exit's scores and every criterion's area after an epoch of training."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        module = _as_ours(pl_module)
        found = self._sweep(trainer, *_recorded(trainer, module, "validation"), module.metrics)
        figures = scalars(found.summary, "val")
        areas = {name: value for name, value in figures.items() if name.endswith("/area")}
        module.log_dict(areas, sync_dist=True)  # the same on every process
        folder = run_folder_of(trainer)
        if trainer.is_global_zero and folder is not None:
            scores = module.exit_scores()
            folder.write_exit_scores(trainer.current_epoch, scores)
            for logger in _wandb_loggers(trainer):
                logger.log_epoch("val", trainer.current_epoch, trainer.global_step, found, scores)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sweep after ``validate``."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._report(trainer, _as_ours(pl_module), split="validation", stage="val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sweep after ``test``."""
        self._report(trainer, _as_ours(pl_module), split="test", stage="test")

    def _sweep(
        self,
        trainer: Trainer,
        exits: StoredExits,
        calibration: StoredExits | None,
        metrics: list[str],
        checkpoint: str | None = None,
    ) -> Sweep:
        return sweep_exits(
            self.criteria, exits, calibration, task=_task(trainer), metrics=metrics, checkpoint=checkpoint
        )

    def _report(self, trainer: Trainer, module: EarlyExitModule, split: str, stage: str) -> None:
        folder = run_folder_of(trainer)
        checkpoint = None if folder is None or trainer.ckpt_path is None else folder.name_of(trainer.ckpt_path)
        exits, calibration = _recorded(trainer, module, split)
        found = self._sweep(trainer, exits, calibration, module.metrics, checkpoint)
        if not trainer.is_global_zero or folder is None:
            return
        folder.write_exits(split, exits)
        if calibration is not None:
            folder.write_exits(CALIBRATION, calibration)
        write_sweep(folder, split, found)
        figures = scalars(found.summary, stage) | diagnostic_scalars(found.diagnostics, stage)
        for logger in trainer.loggers:  # after the run folder, so that a logger that fails loses nothing
            logger.log_metrics(figures, step=trainer.global_step)
        for wandb_logger in _wandb_loggers(trainer):
            wandb_logger.log_sweep(stage, found, module.exit_scores(), folder.curves_picture)
        if self.speed and (data := _data(trainer)) is not None:
            measured = measure_sweep(module.model, data, split, found)
            write_speed(folder, split, measured)
            for logger in trainer.loggers:
                logger.log_metrics(speed_scalars(found, measured, stage), step=trainer.global_step)
        for wandb_logger in _wandb_loggers(trainer):
            wandb_logger.enter_folder(folder)


def _recorded(trainer: Trainer, module: EarlyExitModule, split: str) -> tuple[StoredExits, StoredExits | None]:
    """Return the exits of a split and of the rows held out for calibration, with which rows they are."""
    exits, calibration = module.recorded_exits, module.calibration_exits  # which join all processes
    exits = replace(exits, rows=rows_evaluated(trainer, 0, split))
    return exits, calibration and replace(calibration, rows=rows_evaluated(trainer, 1, "train"))


def _as_ours(module: LightningModule) -> EarlyExitModule:
    if not isinstance(module, EarlyExitModule):
        raise TypeError(f"Expected an EarlyExitModule, but got {type(module).__name__}")
    return module


def _wandb_loggers(trainer: Trainer) -> list[EarlyExitWandbLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, EarlyExitWandbLogger)]


def _data(trainer: Trainer) -> TaskDataModule | None:
    data = getattr(trainer, "datamodule", None)  # an attribute that Lightning adds at run time
    return data if isinstance(data, TaskDataModule) else None


def _task(trainer: Trainer) -> str:
    task = getattr(getattr(trainer, "datamodule", None), "task", None)
    return str(task.name) if isinstance(task, Task) else "data"
