"""The LightningModule: wires model, objective, optimisation and log; computes nothing itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple, Self

from lightning import LightningModule
from lightning.fabric.utilities.cloud_io import _load
from lightning.pytorch.callbacks import BaseFinetuning
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from ee_lightning.errors import BackboneError, OptionError, RunFolderError, TrainingDiverged, first_line
from ee_lightning.exits import GATE, Criterion, Fixed, StoredExits, Threshold, replay
from ee_lightning.files import check_imported
from ee_lightning.functional import Kind, Target, exit_losses, gate_loss, label_decisions
from ee_lightning.models import HeadOptions, MultiExitModel, MultiExitOutput, Part
from ee_lightning.models.backbones.loading import load_adapter, load_backbone
from ee_lightning.models.lora import LoraOptions, add_adapters, train_adapters_alone, trained_share
from ee_lightning.models.warm_start import start_heads
from ee_lightning.training.data_module import check_batch
from ee_lightning.training.distributed import check_strategy, num_processes, shared_out, whole_batch
from ee_lightning.training.labels import LabelOptions
from ee_lightning.training.objectives import Objective
from ee_lightning.training.objectives.objective import check_contract
from ee_lightning.training.optimization import (
    EVERYTHING,
    Optimization,
    StepMeans,
    Timeline,
    check_callbacks,
    total_steps,
)
from ee_lightning.training.recorder import ExitRecorder, exit_scores
from ee_lightning.training.suiting import check_adapters, check_gate, suited_to

Batch = dict[str, Tensor]
_REQUIRED = {"backbone", "num_classes", "metrics", "objective"}
_MADE_AGAIN: dict[str, Callable[..., Any]] = {
    "heads": HeadOptions,
    "labels": LabelOptions,
    "lora": LoraOptions,
    "objective": Objective.of_saved,
    "optimization": Optimization,
}


class BatchPrediction(NamedTuple):
    """What `trainer.predict` returns of a batch.

    Attributes:
        ids: The samples' row numbers, ``[batch]``.
        label: The predicted class numbers or values, ``[batch]``; of several labels whether each is there, ``[batch,
            labels]``.
        exit_layer: The exits, from 1, at which the samples leave, ``[batch]``.
        output: What all exits say.
    """

    ids: Tensor
    label: Tensor
    exit_layer: Tensor
    output: MultiExitOutput


class EarlyExitModule(LightningModule):
    """Trains and evaluates a multi-exit model.

    Args:
        backbone: A hub name, a local folder, or ``packaged:NAME``.
        num_classes: Number of classes or labels, 1 for regression; the command line takes it from the task.
        metrics: Names of the task's metrics, the primary one first; the command line takes them from the task.
        objective: The training objective; the command line takes `JointObjective` by default.
        num_layers: Keep the backbone's first layers only; None keeps all.
        heads: Options of the internal classifiers.
        optimization: Options of the optimiser.
        labels: Options of the labels that are trained on.
        multi_label: Whether a sample has any number of these labels; the command line takes it from the task. Every
            label is then a decision between two classes, its being absent and its being there, and an objective gets
            the decisions on all labels of all samples in place of the samples.
        adapter: The full name of your own adapter of the backbone's family, such as ``my_module.MyBackbone``.
        keep_heads: Whether training starts from heads that the weights have: a fine-tuned classifier's for the last
            exit, a saved model's for all. None keeps them where they fit; true makes it an error where they don't.
        lora: Options of adapters, which are trained in place of the backbone's own weights; None trains these.

    Attributes:
        operating_point: The criterion and the threshold, or one for each exit, by which `trainer.predict` lets samples
            leave; None lets all reach the last exit.

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
        keep_heads: bool | None = None,
        lora: LoraOptions | None = None,
    ) -> None:
        super().__init__()
        load_adapter(adapter)
        self.target = Target.of(num_classes, multi_label=multi_label)
        check_contract(objective)
        objective.check_task(self.target.kind)
        labels.check_task(self.target)
        pooling, head_rate = suited_to(
            backbone, heads.pooling, optimization.learning_rate, optimization.head_learning_rate
        )
        heads, optimization = replace(heads, pooling=pooling), replace(optimization, head_learning_rate=head_rate)
        self.model = MultiExitModel(load_backbone(backbone, num_layers), self.target, heads)
        objective.check_exits(self.model.layers_of_exits)
        check_gate(objective, heads)
        self.lora = lora
        if lora is not None:
            add_adapters(self.model.backbone.encoder, lora)
        self.metrics = metrics
        self.objective = objective
        self.optimization = optimization
        self.labels = labels
        self.operating_point: tuple[Criterion, Threshold] | None = None
        options = {"backbone": backbone, "num_classes": num_classes, "num_layers": num_layers}
        options |= {
            "metrics": list(metrics),
            "multi_label": multi_label,
            "adapter": adapter,
            "keep_heads": keep_heads,
            "lora": None if lora is None else asdict(lora),
            "objective": objective.saved(),
        }
        options |= {"heads": asdict(heads), "optimization": asdict(optimization), "labels": asdict(labels)}
        self.save_hyperparameters(options, logger=False)  # loggers have the whole configuration
        self._keeps_heads = keep_heads  # until it has weights of its own
        self._class_weights: Tensor | None = None
        if optimization.gradient_checkpointing:
            self.model.backbone.recompute_layers()
        self._recorders: list[ExitRecorder] = []
        self._timeline = Timeline(objective.stages(), 0)
        self._stage = 0
        self._step_means = StepMeans()

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, *args: Any, **kwargs: Any) -> Self:
        """Load a module, from the options that its checkpoint has, or that are given; nothing is imported for that.

        Raises:
            RunFolderError: The checkpoint is of another class or another model.
            OptionError: The class of the objective is not imported.
        """
        saved = _load(checkpoint_path, map_location="cpu", weights_only=True).get("hyper_parameters", {})
        options = {name: value for name, value in (saved | kwargs).items() if value is not None}
        try:
            if lacking := sorted(_REQUIRED - options.keys()):
                raise TypeError(f"it lacks {', '.join(lacking)}")
            if options.get("adapter") is not None:
                check_imported(options["adapter"], "adapter")
            for name, make in _MADE_AGAIN.items():
                if isinstance(given := options.get(name), dict):
                    options[name] = make(**given)
            return super().load_from_checkpoint(checkpoint_path, *args, **options)
        except (RuntimeError, TypeError) as error:
            raise RunFolderError(
                f"the checkpoint is of another class or model: {first_line(error)}",
                where=checkpoint_path,
                hint=f"give a checkpoint of {cls.__name__}, and the arguments that it lacks, such as objective=",
            ) from error

    @property
    def backbone(self) -> nn.Module:
        """The encoder, by the name that Lightning's `BackboneFinetuning` knows."""
        return self.model.backbone

    @property
    def learning_rate(self) -> float:
        """The backbone's, by the name that Lightning's `Tuner.lr_find` sets; that of the heads keeps its ratio."""
        return self.optimization.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        old, of_heads = self.optimization.learning_rate, self.optimization.head_learning_rate
        heads = of_heads if of_heads is None or old == 0 else of_heads * rate / old
        self.optimization = replace(self.optimization, learning_rate=rate, head_learning_rate=heads)

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
        return exit_scores(self.recorded_exits, self.metrics)

    def forward(self, batch: Batch) -> MultiExitOutput:
        """What all exits say of a batch."""
        check_batch(batch, "input_ids", "attention_mask")
        output: MultiExitOutput = self.model(
            batch["input_ids"],
            batch["attention_mask"],
            batch.get("token_type_ids"),
            gradient_equilibrium=self.training and self.objective.gradient_equilibrium,
            separate_exits=self.training and self.objective.separates_exits,
        )
        extras = {name: extra.float() for name, extra in output.extras.items()}
        return MultiExitOutput(output.logits.float(), extras)  # losses are computed in full precision

    def setup(self, stage: str) -> None:
        """Check the trainer and its data; for training also freeze what no stage trains, and weigh the classes.

        Several processes exchange the gradients of those parameters that are not frozen before training starts.

        Raises:
            OptionError: Samples are too long for the backbone, a callback changes the number of steps, the strategy
                would not train all, or the classes can't be weighed.
            BackboneError: The backbone lacks some tokens.
        """
        check_callbacks(self.trainer)
        data, backbone = getattr(self.trainer, "datamodule", None), self.model.backbone
        asked, tokens = getattr(data, "max_length", 0), getattr(data, "vocabulary_size", 0)
        if backbone.max_length is not None and asked > backbone.max_length:
            raise OptionError(
                f"max_length is {asked}, and the backbone has positions for {backbone.max_length} tokens",
                where="--data.max_length",
                hint=f"give at most {backbone.max_length}",
            )
        if tokens > backbone.vocabulary_size:
            raise BackboneError(
                f"the tokenizer has {tokens} tokens, and the backbone embeddings for {backbone.vocabulary_size}",
                where="--model.backbone",
                hint="take the tokenizer that the weights were saved with; where tokens were added to it, call the "
                "model's resize_token_embeddings(len(tokenizer)) and save it again",
            )
        if stage != "fit":
            return
        self._start_heads(getattr(data, "label_names", ()) or ())
        stages = self.objective.stages()
        check_strategy(self.trainer.strategy, stages)
        self._class_weights = self.labels.weights_for(data, self.target.kind)
        for module, trains in self._modules_and_whether_trained(frozenset().union(*(each.trains for each in stages))):
            self._let_train(module, trains)
        if self.lora is not None:
            by_callback, freezes = self._is_finetuned_by_callback(), self.optimization.freeze_backbone
            check_adapters(self.trainer.strategy, freeze_backbone=freezes, by_callback=by_callback)
            if self.trainer.is_global_zero:
                print(f"trained: {trained_share(self.model)}")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Know that the heads are trained."""
        self._keeps_heads = False

    def _start_heads(self, labels: Sequence[str]) -> None:
        if self._keeps_heads is not False:
            backbone, num_layers = self.hparams["backbone"], self.hparams["num_layers"]
            said = start_heads(self.model, backbone, num_layers, labels, required=bool(self._keeps_heads))
            self._keeps_heads = False
            if said is not None and self.trainer.is_global_zero:
                print(said)

    def configure_model(self) -> None:
        """Let a strategy that shares out the model wrap it; `load_from_checkpoint` calls this without a trainer."""
        if self._trainer is not None:
            self.model = shared_out(self.model, self.trainer.strategy)

    def on_train_start(self) -> None:
        """Freeze and train the parts of the current stage, which a resumed training may enter in its middle.

        A callback such as `BackboneFinetuning` thaws the backbone when one epoch starts, and freezes it whenever the
        trainer is set up; what it gave to the optimiser before is thawed again.
        """
        self._enter(self._timeline.at(self.global_step).stage)
        if self._is_finetuned_by_callback():
            groups = self.trainer.optimizers[0].param_groups
            given = {id(parameter) for group in groups for parameter in group["params"]}
            for parameter in self.backbone.parameters():
                parameter.requires_grad_(id(parameter) in given)

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
        terms = self.objective.checked(output._replace(logits=logits), targets, progress)
        if (reason := self.objective.divergence(terms, logits)) is not None:
            raise TrainingDiverged(
                f"training was stopped: {reason}",
                where=f"epoch {self.current_epoch}, step {self.global_step}",
                hint="lower the learning rates, or λ (model.objective.init_args.diversity_weight) where there is one; "
                "checkpoints of earlier epochs are kept",
            )
        loss: Tensor = terms.loss
        named = dict(terms.terms)
        if GATE in output.extras and not self.objective.trains_gates:
            gate = gate_loss(output.extras[GATE], output.logits, labels)
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
        with_backbone = not self._is_finetuned_by_callback()
        clips_in_mixed = bool(self.trainer.gradient_clip_val) and "mixed" in str(self.trainer.precision)
        optimizer, schedule = self.optimization.build(
            self.model, self._timeline, with_backbone=with_backbone, may_fuse=not clips_in_mixed
        )  # Lightning clips no gradients of a fused optimiser then
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_validation_epoch_start(self) -> None:
        """Start new records."""
        self._recorders = []

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Record what every exit says."""
        if dataloader_idx == len(self._recorders):
            evaluated = "test" if self.trainer.testing else "validation"
            split = "calibration" if dataloader_idx > 0 else evaluated
            self._recorders.append(ExitRecorder(split, self.target.kind, self.model.layers_of_exits))
        check_batch(batch, "input_ids", "attention_mask", "labels", "ids")
        self._recorders[dataloader_idx].add(self(batch), batch["labels"], batch["ids"])

    def on_validation_epoch_end(self) -> None:
        """Log the scores and the loss of the last exit."""
        self._log_scores("val")

    on_test_epoch_start = on_validation_epoch_start
    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        """Log the scores and the loss of the last exit."""
        self._log_scores("test")

    def predict_step(self, batch: Batch) -> BatchPrediction:
        """Predict the labels of a batch, and the exits that they are from, at the operating point."""
        output = self.forward(batch)
        multi_label = self.target.kind is Kind.MULTI_LABEL
        layers = self.model.layers_of_exits
        exits = StoredExits(
            output.logits, None, batch["ids"], output.extras, multi_label=multi_label, layers_of_exits=layers
        )
        criterion, threshold = self.operating_point or (Fixed(), exits.num_exits)
        exit_layer, label = replay(criterion, exits).at(threshold)
        return BatchPrediction(batch["ids"], label, exit_layer, output)

    def _log_scores(self, stage: str) -> None:
        by_metric, exits = self.exit_scores(), self.recorded_exits
        logits = label_decisions(exits.logits[-1:]) if exits.multi_label else exits.logits[-1:]
        loss = exit_losses(logits, LabelOptions().targets(exits.known_labels(), exits.num_classes, None)).item()
        scores = {f"{stage}/{name}": by_exit[-1] for name, by_exit in by_metric.items()}
        primary = by_metric[self.metrics[0]]
        scores |= {f"{stage}/exit_{exit_layer}/score": score for exit_layer, score in enumerate(primary, 1)}
        scores |= {f"{stage}/score": primary[-1], f"{stage}/loss": loss}
        self.log_dict(scores, sync_dist=True)  # the same on every process

    def _enter(self, stage: int) -> None:
        self._stage = stage
        for module, trains in self._modules_and_whether_trained(self._timeline.stages[stage].trains):
            self._let_train(module.train(trains), trains)

    def _let_train(self, module: nn.Module, trains: bool) -> None:
        module.requires_grad_(trains)
        if self.lora is not None and module is self.model.backbone:
            train_adapters_alone(module, trains=trains)

    def _modules_and_whether_trained(self, parts: frozenset[Part]) -> Iterator[tuple[nn.Module, bool]]:
        for part in EVERYTHING - ({"backbone"} if self._is_finetuned_by_callback() else set()):
            is_trained = part in parts and not (part == "backbone" and self.optimization.freeze_backbone)
            for module in self.model.part(part):
                yield module, is_trained

    def _is_finetuned_by_callback(self) -> bool:
        """Return whether a callback such as `BackboneFinetuning` freezes the backbone, and adds it to the optimiser."""
        return any(isinstance(each, BaseFinetuning) for each in self.trainer.callbacks)  # type: ignore[attr-defined]
