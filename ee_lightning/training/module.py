"""The LightningModule: wires model, objective, optimisation and log; computes nothing itself."""

from collections.abc import Iterator

from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from ee_lightning.errors import BackboneError, OptionError, TrainingDiverged
from ee_lightning.exits import StoredExits
from ee_lightning.functional import Kind, Target, gate_loss, label_decisions
from ee_lightning.models import HeadOptions, MultiExitModel, MultiExitOutput, Part
from ee_lightning.models.backbones.loading import load_adapter, load_backbone
from ee_lightning.training.data_module import check_batch
from ee_lightning.training.distributed import check_strategy, num_processes, shared_out, whole_batch
from ee_lightning.training.labels import LabelOptions
from ee_lightning.training.objectives import Objective
from ee_lightning.training.optimization import (
    EVERYTHING,
    Optimization,
    StepMeans,
    Timeline,
    check_callbacks,
    total_steps,
)
from ee_lightning.training.recorder import ExitRecorder, exit_scores

Batch = dict[str, Tensor]


class EarlyExitModule(LightningModule):
    """Trains and evaluates a multi-exit model.

    Args:
        backbone: A hub name, a local folder, or ``packaged:NAME``.
        num_classes: Number of classes or labels, 1 for regression; the command line takes it from the task.
        metrics: Names of the task's metrics, the primary one first; the command line takes them from the task.
        objective: The training objective; the command line takes the paper's by default.
        num_layers: Keep the backbone's first layers only; None keeps all.
        heads: Options of the internal classifiers.
        optimization: Options of the optimiser.
        labels: Options of the labels that are trained on.
        multi_label: Whether a sample has any number of these labels; the command line takes it from the task. Every
            label is then a decision between two classes, its being absent and its being there, and an objective gets
            the decisions on all labels of all samples in place of the samples.
        adapter: The full name of your own adapter of the backbone's family, such as ``my_module.MyBackbone``.

    Raises:
        OptionError: The objective does not suit the task or the heads, or the options of the labels not the task.
    """

    def __init__(
        self,
        backbone: str,
        num_classes: int,
        metrics: list[str],
        objective: Objective,
        num_layers: int | None = None,
        heads: HeadOptions = HeadOptions(),
        optimization: Optimization = Optimization(),
        labels: LabelOptions = LabelOptions(),
        multi_label: bool = False,
        adapter: str | None = None,
    ) -> None:
        super().__init__()
        load_adapter(adapter)
        self.target = Target.of(num_classes, multi_label=multi_label)
        objective.check_task(self.target.kind)
        labels.check_task(self.target)
        self.model = MultiExitModel(load_backbone(backbone, num_layers), self.target, heads)
        _check_exits(objective, self.model.num_exits, heads)
        self.metrics = metrics
        self.objective = objective
        self.optimization = optimization
        self.labels = labels
        self._class_weights: Tensor | None = None
        if optimization.gradient_checkpointing:
            self.model.backbone.recompute_layers()
        self._recorders: list[ExitRecorder] = []
        self._timeline = Timeline(objective.stages(), 0)
        self._stage = 0
        self._step_means = StepMeans()

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
        return exit_scores(exits, self.metrics)

    def forward(self, batch: Batch) -> MultiExitOutput:
        """What all exits say of a batch."""
        check_batch(batch, "input_ids", "attention_mask")
        output: MultiExitOutput = self.model(
            batch["input_ids"],
            batch["attention_mask"],
            batch.get("token_type_ids"),
            gradient_equilibrium=self.training and self.objective.gradient_equilibrium,
        )
        gate = None if output.gate is None else output.gate.float()
        return MultiExitOutput(output.logits.float(), gate)  # losses are computed in full precision

    def setup(self, stage: str) -> None:
        """Raise an error for samples that are too long for the backbone, and tokens that it does not know.

        For training also refuse a strategy that would not train all, freeze what no stage trains, weigh the classes.

        Several processes exchange the gradients of those parameters that are not frozen before training starts.
        """
        check_callbacks(self.trainer)
        data = getattr(self.trainer, "datamodule", None)
        _check_length(getattr(data, "max_length", 0), self.model.backbone.max_length)
        _check_vocabulary(getattr(data, "vocabulary_size", 0), self.model.backbone.vocabulary_size)
        if stage != "fit":
            return
        stages = self.objective.stages()
        check_strategy(self.trainer.strategy, stages)
        self._class_weights = self.labels.weights_for(data, self.target.kind)
        for module, trains in self._modules_and_whether_trained(frozenset().union(*(each.trains for each in stages))):
            module.requires_grad_(trains)

    def configure_model(self) -> None:
        """Let a strategy that shares out the model wrap it; `load_from_checkpoint` calls this without a trainer."""
        if self._trainer is not None:
            self.model = shared_out(self.model, self.trainer.strategy)

    def on_train_start(self) -> None:
        """Freeze and train the parts of the current stage, which a resumed training may enter in its middle."""
        self._enter(self._timeline.at(self.global_step).stage)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Go on to the next stage where its first step is due, and forget the figures of the step before."""
        if (logged := self.trainer._results) is not None:
            logged.reset(fx="training_step")  # or a part that this step lacks would be logged once more
        if (stage := self._timeline.at(self.global_step).stage) != self._stage:
            self._enter(stage)

    def training_step(self, batch: Batch) -> Tensor:
        """Compute the objective over the whole batch, of which each process has a share, and stop a run-away.

        What is logged are means over the batches that the optimiser step accumulates.
        """
        check_batch(batch, "input_ids", "attention_mask", "labels")
        output, labels = whole_batch(self(batch), batch["labels"])
        weights = None if self._class_weights is None else self._class_weights.to(labels.device)
        targets = self.labels.targets(labels, self.target.num_classes, weights)  # [batch] or [batch, classes]
        logits = label_decisions(output.logits) if self.target.kind is Kind.MULTI_LABEL else output.logits
        progress = self._timeline.at(self.global_step)
        terms = self.objective.checked(logits, targets, progress)
        if (reason := self.objective.divergence(terms, logits)) is not None:
            raise TrainingDiverged(
                f"training was stopped: {reason}",
                where=f"epoch {self.current_epoch}, step {self.global_step}",
                hint="lower the learning rates, or λ (model.objective.init_args.diversity_weight) where there is one; "
                "checkpoints of earlier epochs are kept",
            )
        loss: Tensor = terms.loss
        named = dict(terms.terms)
        if output.gate is not None and "early_exits" in self._timeline.stages[self._stage].trains:
            gate = gate_loss(output.gate, output.logits, labels)
            if self.objective.trains_early_exits(progress):
                named["gate_term"] = gate.detach()
            else:
                gate = gate * 0  # plain DDP asks for the gradients of all parameters
            loss = loss + gate
        means = self._step_means.add(self.global_step, {"loss": loss.detach(), **named})
        self.log_dict({f"train/{name}": mean for name, mean in means.items() if name != "loss"})
        self.log("train/loss", means["loss"], prog_bar=True)
        return loss * num_processes()  # over which the gradient is a mean

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with warm-up and linear decay over the real number of steps."""
        self._timeline = Timeline(self.objective.stages(), total_steps(self.trainer))
        optimizer, schedule = self.optimization.build(self.model, self._timeline)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_validation_epoch_start(self) -> None:
        """Start new records."""
        self._recorders = []

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Record what every exit says."""
        if dataloader_idx == len(self._recorders):
            evaluated = "test" if self.trainer.testing else "validation"
            split = "calibration" if dataloader_idx > 0 else evaluated
            self._recorders.append(ExitRecorder(split, self.target.kind))
        check_batch(batch, "input_ids", "attention_mask", "labels", "ids")
        self._recorders[dataloader_idx].add(self(batch), batch["labels"], batch["ids"])

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the last exit."""
        self._log_scores("val")

    on_test_epoch_start = on_validation_epoch_start
    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        """Log the scores of the last exit."""
        self._log_scores("test")

    def predict_step(self, batch: Batch) -> MultiExitOutput:
        """What all exits say of a batch."""
        return self.forward(batch)

    def _log_scores(self, stage: str) -> None:
        by_metric = self.exit_scores()
        scores = {f"{stage}/{name}": by_exit[-1] for name, by_exit in by_metric.items()}
        primary = by_metric[self.metrics[0]]
        scores |= {f"{stage}/exit_{exit_layer}/score": score for exit_layer, score in enumerate(primary, 1)}
        self.log_dict({**scores, f"{stage}/score": primary[-1]}, sync_dist=True)  # the same on every process

    def _enter(self, stage: int) -> None:
        self._stage = stage
        for module, trains in self._modules_and_whether_trained(self._timeline.stages[stage].trains):
            module.requires_grad_(trains).train(trains)

    def _modules_and_whether_trained(self, parts: frozenset[Part]) -> Iterator[tuple[nn.Module, bool]]:
        for part in EVERYTHING:
            is_trained = part in parts and not (part == "backbone" and self.optimization.freeze_backbone)
            for module in self.model.part(part):
                yield module, is_trained


def _check_length(asked: int, most: int | None) -> None:
    if most is not None and asked > most:
        raise OptionError(
            f"max_length is {asked}, and the backbone has positions for {most} tokens",
            where="--data.max_length",
            hint=f"give at most {most}",
        )


def _check_vocabulary(of_tokenizer: int, of_backbone: int) -> None:
    if of_tokenizer > of_backbone:
        raise BackboneError(
            f"the tokenizer has {of_tokenizer} tokens, and the backbone embeddings for {of_backbone}",
            where="--model.backbone",
            hint="take the tokenizer that the weights were saved with; where tokens were added to it, call the model's "
            "resize_token_embeddings(len(tokenizer)) and save it again",
        )


def _check_exits(objective: Objective, num_exits: int, heads: HeadOptions) -> None:
    trains_early_exits = any("early_exits" in stage.trains for stage in objective.stages())
    if num_exits == 1 and trains_early_exits:
        raise OptionError(
            f"{type(objective).__name__} trains early exits, and there are none",
            where=f"--model.heads.exits {heads.exits}, --model.num_layers",
            hint="take ee_lightning.training.LastExitObjective, or --model.heads.exits every on more than one layer",
        )
    if heads.gate and not trains_early_exits:
        raise OptionError(
            f"{type(objective).__name__} trains no early exits, and no gate beside them",
            where="--model.heads.gate",
            hint="leave the gate out, or take another objective",
        )
