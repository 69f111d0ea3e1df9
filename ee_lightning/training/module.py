"""The LightningModule: wires model, objective, optimisation and log; computes nothing itself."""

from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from ee_lightning.errors import TrainingDiverged
from ee_lightning.exits import StoredExits
from ee_lightning.models import HeadOptions, MultiExitModel, load_backbone
from ee_lightning.training.metrics import exit_scores
from ee_lightning.training.objectives import Objective
from ee_lightning.training.optimization import Optimization
from ee_lightning.training.recorder import ExitRecorder

Batch = dict[str, Tensor]


class EarlyExitModule(LightningModule):
    """Trains and evaluates a multi-exit model.

    Args:
        backbone: A hub name, a local folder, or ``packaged:NAME``.
        num_classes: Number of classes, 1 for regression; the command line takes it from the task.
        metrics: Names of the task's metrics, the primary one first; the command line takes them from the task.
        objective: The training objective; the command line takes the paper's unless told otherwise.
        heads: Options of the internal classifiers.
        optimization: Options of the optimiser.
    """

    def __init__(
        self,
        backbone: str,
        num_classes: int,
        metrics: list[str],
        objective: Objective,
        heads: HeadOptions = HeadOptions(),
        optimization: Optimization = Optimization(),
    ) -> None:
        super().__init__()
        self.model = MultiExitModel(load_backbone(backbone), num_classes, heads)
        self.num_classes = num_classes
        self.metrics = metrics
        self.objective = objective
        self.optimization = optimization
        self._recorders: list[ExitRecorder] = []

    @property
    def recorded_exits(self) -> StoredExits:
        """What every exit said in the current or latest evaluation; joins all processes, so ask on every one."""
        return self._recorders[0].join()

    @property
    def calibration_exits(self) -> StoredExits | None:
        """The same for the rows held out for calibration, the evaluation's second loader; None if there is none."""
        return self._recorders[1].join() if len(self._recorders) > 1 else None

    def exit_scores(self) -> dict[str, list[float]]:
        """Score every exit in the current or latest evaluation: metric name to one score an exit."""
        exits = self.recorded_exits
        if exits.labels is None:
            raise ValueError("The evaluated samples have no labels")
        return exit_scores(exits.logits, exits.labels, self.metrics)

    def forward(self, batch: Batch) -> Tensor:
        """Logits of all exits, ``[exits, batch, classes]``."""
        logits: Tensor = self.model(batch["input_ids"], batch["attention_mask"], batch.get("token_type_ids"))
        return logits

    def training_step(self, batch: Batch) -> Tensor:
        """Compute the objective and stop a run-away."""
        logits = self(batch)  # [exits, batch, classes]
        terms = self.objective(logits, batch["labels"])
        if (reason := self.objective.divergence(terms, logits)) is not None:
            raise TrainingDiverged(
                f"training was stopped: {reason}",
                where=f"epoch {self.current_epoch}, step {self.global_step}",
                mend="lower model.objective.init_args.diversity_weight (λ) or the learning rates; checkpoints of "
                "earlier epochs are kept",
            )
        self.log("train/loss", terms.loss, prog_bar=True)
        self.log_dict({f"train/{name}": term for name, term in terms.terms.items()})
        loss: Tensor = terms.loss
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with warm-up and linear decay over the real number of steps."""
        optimizer, schedule = self.optimization.build(self.model, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_validation_epoch_start(self) -> None:
        """Start new records."""
        self._recorders = []

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Record what every exit says."""
        if dataloader_idx == len(self._recorders):
            self._recorders.append(ExitRecorder())
        self._recorders[dataloader_idx].add(self(batch), batch["labels"], batch["ids"])

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the last exit."""
        self._log_scores("val")

    on_test_epoch_start = on_validation_epoch_start
    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        """Log the scores of the last exit."""
        self._log_scores("test")

    def predict_step(self, batch: Batch) -> dict[str, Tensor]:
        """Logits of all exits ``[exits, batch, classes]`` and ids ``[batch]``."""
        return {"logits": self(batch), "ids": batch["ids"]}

    def _log_scores(self, stage: str) -> None:
        last = {f"{stage}/{name}": scores[-1] for name, scores in self.exit_scores().items()}
        last[f"{stage}/score"] = last[f"{stage}/{self.metrics[0]}"]
        self.log_dict(last, sync_dist=True)  # the same on every process
