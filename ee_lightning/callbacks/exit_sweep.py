"""Sweeps all exit thresholds after an evaluation."""

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from rich.console import Console

from ee_lightning.errors import OptionError
from ee_lightning.exits import (
    Confidence,
    Criterion,
    Curve,
    Entropy,
    Fixed,
    Oracle,
    Patience,
    StoredExits,
    Voting,
    trace_curve,
)
from ee_lightning.reporting import RunFolder, plot_curves, scalars, summarise, summary_table
from ee_lightning.training import EarlyExitModule


class ExitSweep(Callback):
    """Traces the exact accuracy-speed curve of every criterion from one evaluation.

    After ``validate`` and ``test`` it stores the exits, writes curves, plot and figures into the run folder, logs them to
    every logger and prints a table. During ``fit`` it logs, after every validation, the scores of all exits as one table
    and the area under each criterion's curve (``val/<criterion>/area``), which checkpoints and early stopping may monitor.

    Args:
        criteria: The exit criteria; None stands for voting, patience, confidence and entropy. The oracle and the fixed
            exits are always traced beside them.

    Raises:
        OptionError: Two criteria have the same name.
    """

    def __init__(self, criteria: list[Criterion] | None = None) -> None:
        methods = [Voting(), Patience(), Confidence(), Entropy()] if criteria is None else criteria
        references = {reference.name: reference for reference in (Oracle(), Fixed())}
        self.criteria = [*(method for method in methods if method.name not in references), *references.values()]
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
        if trainer.is_global_zero and not trainer.fast_dev_run:
            self._log_exit_scores(trainer, module.exit_scores())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sweep after ``validate``."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._sweep(trainer, _as_ours(pl_module), split="validation", stage="val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sweep after ``test``."""
        self._sweep(trainer, _as_ours(pl_module), split="test", stage="test")

    def _trace(self, exits: StoredExits, module: EarlyExitModule) -> list[Curve]:
        return [trace_curve(criterion, exits, module.metrics) for criterion in self.criteria]

    def _log_exit_scores(self, trainer: Trainer, scores: dict[str, list[float]]) -> None:
        _run_folder(trainer).write_exit_scores(trainer.current_epoch, scores)
        rows = [[exit_layer, *row] for exit_layer, row in enumerate(zip(*scores.values(), strict=True), 1)]
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_table("val/exits", columns=["exit", *scores], data=rows)

    def _sweep(self, trainer: Trainer, module: EarlyExitModule, split: str, stage: str) -> None:
        exits = module.recorded_exits  # joins all processes
        if not trainer.is_global_zero or trainer.fast_dev_run:
            return
        curves = self._trace(exits, module)
        summary = {"samples": len(exits.ids), **summarise(curves, module.metrics)}
        title = f"{_task(trainer)} {split}, {summary['samples']} samples, {summary['num_exits']} exits"
        folder = _run_folder(trainer)
        folder.write_exits(split, exits)
        folder.write_curves(split, curves)
        with folder.whole("curves.png") as file:
            plot_curves(file, title, curves, module.metrics[0])
        for logger in trainer.loggers:
            logger.log_metrics(scalars(summary, stage), step=trainer.global_step)
            if isinstance(logger, WandbLogger):
                from ee_lightning.reporting.wandb import log_curves  # wandb takes a second to import

                log_curves(logger, stage, curves, module.metrics)
        folder.write_summary(split, summary)
        console = Console(width=80)
        console.print(summary_table(title, summary))
        console.print(f"run folder: {folder.path}", soft_wrap=True, highlight=False)


def _as_ours(module: LightningModule) -> EarlyExitModule:
    if not isinstance(module, EarlyExitModule):
        raise TypeError(f"Expected an EarlyExitModule, but got {type(module).__name__}")
    return module


def _run_folder(trainer: Trainer) -> RunFolder:
    return RunFolder(trainer.log_dir or trainer.default_root_dir)


def _task(trainer: Trainer) -> str:
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    return str(getattr(datamodule, "task", "")) or "evaluation"
