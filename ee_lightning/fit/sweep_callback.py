"""Sweeps all exit thresholds after an evaluation."""

from collections.abc import Iterator, Mapping, Sized
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import CombinedLoader
from typing_extensions import override

from ee_lightning.analysis.sweep import Sweep, SweepSink, distinct, fit_criteria, scalars, sweep_exits
from ee_lightning.data.custom import ModuleTask
from ee_lightning.data.encoding import LengthBucketedBatches
from ee_lightning.errors import DataError, OptionError
from ee_lightning.exits import Criterion, EvaluatedRows, Fitted
from ee_lightning.fit.callbacks import check_monitors
from ee_lightning.fit.loggers import LoggerSink
from ee_lightning.fit.messages import warn
from ee_lightning.inference import SpeedMeter, samples_of
from ee_lightning.models import MultiExitModel
from ee_lightning.reporting import FolderSink, Terminal
from ee_lightning.reporting.page.data_rows import read_texts
from ee_lightning.runs.figures import MeasuredSpeed
from ee_lightning.runs.folder import RunFolder, run_folder_of
from ee_lightning.runs.load_run import RunOptions, evaluated_rows
from ee_lightning.tracking import EarlyExitWandbLogger, TrackioLogger
from ee_lightning.training import EarlyExitModule
from ee_lightning.training.data_module import TaskDataModule

_MODEL_OPTIONS = ("backbone", "num_layers", "heads", "objective", "optimization", "labels", "adapter")
"""Those of a model that the task does not decide."""


def rows_evaluated(trainer: Trainer, loader: int, split: str) -> EvaluatedRows:
    """Return which rows of a split, the evaluation's loader of this number, are used.

    Rows of a limited evaluation are drawn at random by the loaders of a `TaskDataModule`; of any other loader they
    may be the first ones of a sorted file.
    """
    loaders = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
    limits = trainer.num_test_batches if trainer.testing else trainer.num_val_batches
    used, num_batches = CombinedLoader(loaders, "sequential").flattened[loader], limits[loader]
    sampler, rows = getattr(used, "sampler", None), getattr(used, "dataset", None)
    is_ours = isinstance(sampler, LengthBucketedBatches) and num_batches == sampler.num_used
    is_whole = isinstance(used, Sized) and num_batches >= len(used)
    data = _data(trainer)
    has_batches = getattr(used, "batch_size", None) is None and not isinstance(sampler, LengthBucketedBatches)
    total = len(rows) if isinstance(rows, Sized) and not has_batches else None
    return EvaluatedRows(total=total, is_drawn=is_ours or is_whole, files=[] if data is None else data.files[split])


class ExitSweep(Callback):
    """Traces the exact accuracy-speed curve of every criterion from one evaluation.

    After ``validate`` and ``test`` it writes exits, curves, plot and figures into the run folder, and logs them to
    every logger. During ``fit`` it logs, after every validation, the scores of all exits as one table and the area
    under each criterion's curve (``val/<criterion>/area``), which checkpoints and early stopping may monitor.

    Args:
        criteria: The exit criteria; the command line takes voting, patience, confidence and entropy if none are given.
            The oracle and the fixed exits are always computed too.
        speed: Whether to measure, after ``validate`` and ``test``, the speed of each criterion on the clock near 1.5x,
            2x and 3x. This takes minutes.
        report: Whether to write the page of ``ee-lightning report`` after ``validate`` and ``test``, and print what
            the figures say.
        texts: Whether to store the texts of the rows beside the exits, for a page that can be made where the data are
            not. Anyone who has the run folder can then read them.
    """

    def __init__(
        self, criteria: list[Criterion], speed: bool = False, report: bool = False, texts: bool = False
    ) -> None:
        self.criteria, self.speed, self.report, self.texts = distinct(criteria), speed, report, texts
        self.terminal = Terminal()
        self._latest: Sweep | None = None
        self._repeated: Sweep | None = None
        self._scores = dict[str, float]()  # logged by the validation of the repeated sweep

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise an `OptionError` for criteria, monitored figures and a speed that can't come about, before training."""
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
            if not isinstance(criterion, Fitted):
                criterion.rehearse(module.target, module.model.num_exits, module.model.heads.extras, torch.zeros(0))
        if data is not None and not data.calibration:
            fit_criteria(self.criteria, None)  # which raises an error for one that has to be fitted
        if stage == TrainerFn.FITTING:
            check_monitors(trainer.callbacks, self.criteria, module)  # type: ignore[attr-defined]
        for logger in trainer.loggers:
            if isinstance(logger, EarlyExitWandbLogger):
                logger.enter(run_folder_of(trainer), training=stage == TrainerFn.FITTING)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Raise a `DataError` where nothing validates, as in your own data module that lacks what does."""
        is_there = trainer.fit_loop.epoch_loop.val_loop._data_source.is_defined()
        if trainer.limit_val_batches and (
            not is_there or (trainer.val_dataloaders is not None and not sum(trainer.num_val_batches))
        ):
            raise DataError(
                "there are no validation data",
                where=type(getattr(trainer, "datamodule", None) or pl_module).__name__,
                hint="let the data module's val_dataloader return a loader of them: exits are swept and checkpoints "
                "chosen on these",
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print a line, also above a progress bar."""
        if trainer.is_global_zero:
            logged = trainer.callback_metrics
            shown = [f"{name} {logged[name]:.4f}" for name in ("train/loss", "val/loss", "val/score") if name in logged]
            print(f"epoch {trainer.current_epoch + 1}: {', '.join(shown)}", flush=True)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log every exit's scores and every criterion's area after an epoch of training."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        found = self._sweep(trainer, _as_ours(pl_module), "validation")
        figures = scalars(found.summary, found.stage)
        areas = {name: value for name, value in figures.items() if name.endswith("/area")}
        pl_module.log_dict(areas, sync_dist=True)  # the same on every process
        self._latest = replace(found, epoch=trainer.current_epoch)
        self._hand_out(self._latest, trainer)

    @contextmanager
    def repeating_nothing(self, trainer: Trainer, checkpoint: str) -> Iterator[None]:
        """Let ``trainer.validate`` take the latest sweep of training where the checkpoint's weights are those swept."""
        limit, latest = trainer.limit_val_batches, self._latest
        if latest is not None and latest.step == _step_of(checkpoint):
            self._repeated, trainer.limit_val_batches = latest, 0
            areas = {f"{latest.stage}/{criterion.name}/area" for criterion in self.criteria}
            logged = {name: value.item() for name, value in trainer.callback_metrics.items() if name not in areas}
            self._scores = {name: value for name, value in logged.items() if name.startswith(f"{latest.stage}/")}
        try:
            yield
        finally:
            self._repeated, self._latest, trainer.limit_val_batches = None, None, limit

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._evaluate(trainer, _as_ours(pl_module), "validation")

    @override
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._evaluate(trainer, _as_ours(pl_module), "test")

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if (folder := run_folder_of(trainer)) is not None:
            if self._repeated is not None and stage == TrainerFn.VALIDATING:
                _log_again(self._scores, trainer)
                summary = {**self._repeated.summary, "checkpoint": folder.name_of(str(trainer.ckpt_path))}
                self._complete(replace(self._repeated, epoch=None, summary=summary), trainer, _as_ours(pl_module))
            is_shown = self.terminal.show(folder)  # now that the progress bar is over
            if is_shown and self.report:
                from ee_lightning.reporting.page.writing import tell_page  # the extra `plot`

                tell_page([folder])

    def _evaluate(self, trainer: Trainer, module: EarlyExitModule, split: str) -> None:
        self._complete(self._sweep(trainer, module, split), trainer, module)

    def _complete(self, found: Sweep, trainer: Trainer, module: EarlyExitModule) -> None:
        """Add the speed where it is asked for, and hand out."""
        if self.speed and (data := _data(trainer)) is not None:
            found = replace(found, measured=_measured(module.model, data, found))
        self._hand_out(found, trainer)

    def _sweep(self, trainer: Trainer, module: EarlyExitModule, split: str) -> Sweep:
        exits, calibration = module.recorded_exits, module.calibration_exits  # which join all processes
        folder = run_folder_of(trainer)
        found = sweep_exits(
            self.criteria,
            replace(exits, rows=rows_evaluated(trainer, 0, split)),
            calibration and replace(calibration, rows=rows_evaluated(trainer, 1, "train")),
            split=split,
            task=_name_of_data(trainer),
            metrics=module.metrics,
            checkpoint=None if folder is None or trainer.ckpt_path is None else folder.name_of(trainer.ckpt_path),
        )
        return replace(found, exit_scores=module.exit_scores(), step=trainer.global_step)

    def _hand_out(self, found: Sweep, trainer: Trainer) -> None:
        """Hand a sweep first to the run folder, so that a logger that fails loses nothing."""
        folder = run_folder_of(trainer)
        if not trainer.is_global_zero or folder is None:
            return
        _write_options(folder, trainer)
        sinks: list[SweepSink] = [FolderSink(folder), self.terminal]
        ours = (EarlyExitWandbLogger, TrackioLogger)
        sinks += [each if isinstance(each, ours) else LoggerSink(each) for each in trainer.loggers]
        for sink in sinks:
            sink.take_sweep(found)
        if self.texts and found.epoch is None:
            _store_texts(folder, found)


def _log_again(scores: Mapping[str, float], trainer: Trainer) -> None:
    """Log scores as Lightning does at the end of an evaluation."""
    for logger in trainer.loggers:
        logger.log_metrics(
            {**scores, "epoch": trainer.current_epoch}, step=trainer.fit_loop.epoch_loop._batches_that_stepped
        )
        logger.save()


def _step_of(checkpoint: str) -> int | None:
    """Return the optimiser steps before a checkpoint; None where it is no file, as one of several processes."""
    if not Path(checkpoint).is_file():
        return None
    step: int = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["global_step"]
    return step


def _measured(model: MultiExitModel, data: TaskDataModule, found: Sweep) -> list[MeasuredSpeed]:
    """Measure each criterion of a sweep near the named speed-ups."""
    print("measuring the speed on the clock, which takes minutes")
    meter = SpeedMeter(model, samples_of(evaluated_rows(data.rows(found.split), found.exits)[:]))
    criteria = {criterion.name: criterion for criterion in found.criteria}
    points = dict.fromkeys((name, threshold) for (name, _), threshold in found.near_named_speedups().items())
    return [measured for name, threshold in points for measured in meter.measure(criteria[name], threshold)]


def _store_texts(folder: RunFolder, found: Sweep) -> None:
    """Store the texts of evaluated rows, or tell why they can't be read."""
    ids = found.exits.ids.tolist()
    texts = read_texts(RunOptions.read(folder), ids, found.split)
    if isinstance(texts, str):
        warn(f"no texts are stored: {texts}")
    else:
        folder.write_texts(found.split, dict(zip(ids, texts, strict=True)))


def _write_options(folder: RunFolder, trainer: Trainer) -> None:
    """Write the options of a run from Python, which no command wrote, so that commands read it too."""
    data, own, known = _data(trainer), getattr(trainer, "datamodule", None), trainer.lightning_module.hparams
    if own is None or "backbone" not in known or folder.config.exists():
        return
    model = {name: known[name] for name in _MODEL_OPTIONS}
    if data is not None:
        folder.write_options({"seed_everything": data.seed, "model": model, "data": data.options()})
        return
    if getattr(own, "num_classes", None) is None:  # which a module's task is known by
        return
    folder.write_module_task(ModuleTask.of(own))
    class_path = f"{type(own).__module__}.{type(own).__qualname__}"
    folder.write_options({"model": model, "data": {"class_path": class_path}})


def _as_ours(module: LightningModule) -> EarlyExitModule:
    if not isinstance(module, EarlyExitModule):
        raise TypeError(f"Expected an EarlyExitModule, but got {type(module).__name__}")
    return module


def _name_of_data(trainer: Trainer) -> str:
    data = getattr(trainer, "datamodule", None)
    return data.task.name if isinstance(data, TaskDataModule) else "data" if data is None else type(data).__name__


def _data(trainer: Trainer) -> TaskDataModule | None:
    data = getattr(trainer, "datamodule", None)  # an attribute that Lightning adds at run time
    return data if isinstance(data, TaskDataModule) else None
