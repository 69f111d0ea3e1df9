"""Lightning's callbacks: ours, and checks of those that do not suit these models."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import (
    BaseFinetuning,
    BasePredictionWriter,
    LearningRateFinder,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelSummary,
    SpikeDetection,
    StochasticWeightAveraging,
)
from lightning.pytorch.trainer.states import TrainerFn
from typing_extensions import override

from ee_lightning.errors import OptionError, counted, require_at_least_one
from ee_lightning.exits import Criterion
from ee_lightning.fit.metrics_log import MetricsFile, MetricsLog
from ee_lightning.models.lora import trained_share
from ee_lightning.runs.folder import run_folder_of
from ee_lightning.training import EarlyExitModule

_KEY = "last_checkpoint"
_UNSUITABLE = {
    StochasticWeightAveraging: (
        "its average is neither scored nor saved as the best checkpoint, so no figure and no deployed model would be "
        "of it",
        "use lightning.pytorch.callbacks.EMAWeightAveraging, whose average is scored, saved and deployed",
    ),
    LearningRateFinder: (
        "it would train at a rate that config.yaml does not name",
        "find the rate from Python, Tuner(trainer).lr_find(model, datamodule=data).suggestion(), and give it as "
        "--model.optimization.learning_rate",
    ),
    SpikeDetection: (
        "it can't read its own state back from a checkpoint",
        "leave it out: a training whose loss runs away is stopped anyway",
    ),
}


def check_suitable(callbacks: Iterable[str]) -> None:
    """Raise an `OptionError` for callbacks, by their class paths, that would fail or whose work would be lost."""
    for callback in callbacks:
        if (found := resolve_name(callback)) in (BaseFinetuning, BasePredictionWriter):
            raise OptionError(
                f"{found.__name__} is to be subclassed, and does nothing itself",
                where="--trainer.callbacks",
                hint="name a subclass of yours, or leave it out",
            )
        for kind, (reason, hint) in _UNSUITABLE.items():
            if issubclass(found, kind):
                what = f"{kind.__name__} does not suit early-exit models: {reason}"
                raise OptionError(what, where="--trainer.callbacks", hint=hint)


def check_best_checkpoint(checkpoint: Mapping[str, Any], trainer: Mapping[str, Any]) -> None:
    """Raise an `OptionError` for options by which none would be kept, or another than the best.

    Args:
        checkpoint: The options of `ModelCheckpoint`.
        trainer: Those of the trainer.
    """
    if checkpoint["filename"] == "last" and checkpoint["dirpath"] is None:
        raise OptionError(
            "last.ckpt is the file that an interrupted run goes on from, so the best checkpoint would be lost",
            where="--checkpoint.filename last",
            hint="leave it out, or take another name",
        )
    for name in ("every_n_train_steps", "train_time_interval"):
        if checkpoint[name] and str(checkpoint["monitor"]).startswith("val/"):
            raise OptionError(
                f"a checkpoint between two validations would be kept for the {checkpoint['monitor']} of the one before",
                where=f"--checkpoint.{name}",
                hint="leave it out, and validate more often: --trainer.val_check_interval 0.25 keeps checkpoints then",
            )
    every, epochs = trainer["check_val_every_n_epoch"], trainer["max_epochs"]
    if every is not None and epochs is not None and 0 < epochs < every:
        raise OptionError(
            f"of {counted(epochs, 'epoch')} none would be validated, so no checkpoint would be kept, and nothing swept",
            where=f"--trainer.check_val_every_n_epoch {every}",
            hint=f"give {epochs} at most",
        )


def check_monitors(callbacks: Sequence[Callback], criteria: Sequence[Criterion], module: EarlyExitModule) -> None:
    """Raise an `OptionError` for a monitored figure that training does not log, which would end it after an epoch.

    Where a callback or a module is neither Lightning's nor this project's, it may log figures of its own: only those of
    the exits are an error then.
    """
    areas = [f"val/{criterion.name}/area" for criterion in criteria]
    of_exits = [f"val/exit_{exit_layer}/score" for exit_layer in range(1, module.model.num_exits + 1)]
    scores = ["val/score", *(f"val/{metric}" for metric in module.metrics), "val/loss"]
    shown = [*areas, *scores, " to ".join(dict.fromkeys((of_exits[0], of_exits[-1]))), "train/loss"]
    origins = {type(each).__module__.partition(".")[0] for each in (*callbacks, module, module.objective)}
    others_log = not origins <= {"lightning", "ee_lightning"}
    logs_rates = any(isinstance(each, LearningRateMonitor) for each in callbacks)
    for callback in callbacks:
        monitor, is_checkpoint = getattr(callback, "monitor", None), isinstance(callback, ModelCheckpoint)
        if (
            not isinstance(monitor, str)
            or monitor in {*areas, *of_exits, *scores}
            or monitor.startswith("train/")
            or (monitor.startswith("lr-") and logs_rates)
            or (monitor in {"step", "epoch"} and is_checkpoint)
            or (others_log and not _is_of_exits(monitor))
        ):
            continue
        raise OptionError(
            f"{type(callback).__name__} monitors {monitor}, which this training does not log",
            where="--checkpoint.monitor" if is_checkpoint else "--trainer.callbacks",
            hint=f"monitor one of {', '.join(shown)}; --sweep.criteria decides on the areas",
        )


def _is_of_exits(monitor: str) -> bool:
    """Return whether only this project logs a figure of that name."""
    is_of_criterion = monitor.startswith("val/") and (monitor.endswith("/area") or "/score_at_" in monitor)
    others = ("val/exit_", "val/full_model/", "val/oracle/", "val/diversity/", "val/information/")
    return monitor.startswith(others) or is_of_criterion


class StepSeed(Callback):
    """Seeds torch before every batch of training by the run's seed, the epoch, the batch and the process.

    What a batch draws, its dropout above all, then depends on nothing that was drawn before, and an interrupted run can
    go on at any batch. The run's seed is torch's when the training starts, unless a checkpoint brings it.
    """

    def __init__(self) -> None:
        self._seed: int | None = None

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._seed is None:
            self._seed = torch.initial_seed()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed."""
        assert self._seed is not None
        seed = np.random.SeedSequence((self._seed, trainer.current_epoch, batch_idx, trainer.global_rank))
        torch.manual_seed(int(seed.generate_state(1, np.uint64)[0]))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"seed": self._seed}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._seed = state_dict["seed"]


class PartsSummary(ModelSummary):
    """Prints how many parameters the backbone and the exits have, and how many of them are trained, as training starts.

    Lightning's own summary counts FLOPs of an example, and 0 where there is none.
    """

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not isinstance(pl_module, EarlyExitModule) or not trainer.is_global_zero:
            return
        model = pl_module.model
        backbone = f"backbone ({model.backbone.encoder.config.model_type}, {model.backbone.num_layers} layers)"
        parts = {backbone: model.backbone, counted(model.num_exits, "exit"): model.heads}
        print(*(f"{name}: {trained_share(part)} are trained" for name, part in parts.items()), sep="\n")


class LastCheckpoint(Callback):
    """Writes ``checkpoints/last.ckpt``, from which an interrupted run goes on as if nothing had happened.

    It is written between two steps, after the first one's row in ``metrics.csv``, validation and best checkpoint, and
    where no gradients are accumulated. It holds the number of rows in ``metrics.csv``, so that steps that are done
    again don't stand there twice.

    Args:
        every_n_steps: Write it after this many optimiser steps, at least 1. It is also written at the start of every
            epoch but the first, and at the end of training.
    """

    def __init__(self, every_n_steps: int = 1000) -> None:
        require_at_least_one(**{"--last_checkpoint.every_n_steps": every_n_steps})
        self.every_n_steps = every_n_steps
        self._saved_at = 0
        self._loaded: dict[str, Any] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the folder of the checkpoints, by which a training run is known."""
        folder = run_folder_of(trainer)
        if stage == "fit" and trainer.is_global_zero and folder is not None:
            folder.checkpoints.mkdir(parents=True, exist_ok=True)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Write the checkpoint where it is due."""
        if self._loaded is not None:
            _correct_counters(trainer, self._loaded)
            self._loaded = None
        is_due = batch_idx == 0 or trainer.global_step % self.every_n_steps == 0
        if is_due and batch_idx % trainer.accumulate_grad_batches == 0 and trainer.global_step != self._saved_at:
            self._save(trainer)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning leaves out."""
        checkpoint[_KEY] = {
            "batches_that_stepped": trainer.fit_loop.epoch_loop._batches_that_stepped,
            "should_stop": trainer.should_stop,
            "metrics": dict(trainer.callback_metrics),
            "rows": [file.num_rows for file in _metrics_files(trainer)],
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on where the checkpoint was written, in its folder, wherever that is now, or in another."""
        folder = run_folder_of(trainer)
        is_own = folder is not None and Path(str(trainer.ckpt_path)).resolve().parent == folder.checkpoints.resolve()
        if folder is not None and is_own:
            _move(trainer, checkpoint["callbacks"], folder.checkpoints)
        if trainer.state.fn != TrainerFn.FITTING or _KEY not in checkpoint:
            return
        validations = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
        self._saved_at, self._loaded = checkpoint["global_step"], checkpoint[_KEY] | {"validations": validations}
        trainer.should_stop = checkpoint[_KEY]["should_stop"]
        for file, num_rows in zip(_metrics_files(trainer), checkpoint[_KEY]["rows"], strict=False):
            file.num_rows = num_rows if is_own else 0
        if trainer.is_global_zero:
            print(f"going on after step {checkpoint['global_step']}, in epoch {checkpoint['epoch']}")

    def _save(self, trainer: Trainer) -> None:
        folder = run_folder_of(trainer)
        if folder is not None:
            trainer.save_checkpoint(folder.last_checkpoint, weights_only=False)
            self._saved_at = trainer.global_step


def _move(trainer: Trainer, states: dict[str, Any], checkpoints: Path) -> None:
    """Let callbacks find what they wrote into a run folder's checkpoints/ in its present place."""
    for callback in trainer.checkpoint_callbacks:
        state = states.get(callback.state_key)
        if isinstance(callback, ModelCheckpoint) and state and Path(str(callback.dirpath)) == checkpoints:
            states[callback.state_key] = _renamed(state, str(state["dirpath"]), str(callback.dirpath))


def _renamed(state: Any, old: str, new: str) -> Any:
    """Replace one path by another wherever a value is that path or lies below it."""
    if isinstance(state, dict):
        return {_renamed(key, old, new): _renamed(value, old, new) for key, value in state.items()}
    is_below = isinstance(state, str) and f"{state}/".startswith(f"{old}/")
    return new + state.removeprefix(old) if is_below else state


def _correct_counters(trainer: Trainer, state: dict[str, Any]) -> None:
    """Correct what Lightning has wrong within an epoch: three counters, and the latest validation's scores."""
    loop = trainer.fit_loop.epoch_loop
    loop._batches_that_stepped = state["batches_that_stepped"]
    loop.batch_progress.total.ready = loop.batch_progress.total.completed + 1
    loop.val_loop.batch_progress.load_state_dict(state["validations"])
    if loop.batch_idx == 0:
        loop.val_loop.batch_progress.total.reset()  # as Lightning does in every epoch
    trainer.callback_metrics.update(state["metrics"])


def _metrics_files(trainer: Trainer) -> list[MetricsFile]:
    """Return the open ``metrics.csv``, on the first process, everything logged so far written."""
    if not trainer.is_global_zero:
        return []
    logs = [logger for logger in trainer.loggers if isinstance(logger, MetricsLog)]
    for log in logs:
        log.save()
    return [log.experiment for log in logs]
