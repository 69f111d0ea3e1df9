"""Every training regime on a small model, through ``Trainer.fit``: what moves, what is logged, and at what rate."""

from collections.abc import Sequence
from csv import DictReader
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from ee_lightning.errors import OptionError
from ee_lightning.models import HeadOptions, MultiExitOutput
from ee_lightning.training import EarlyExitModule, Optimization, Progress
from ee_lightning.training.data_module import TaskDataModule
from ee_lightning.training.objectives.alternating import AlternatingObjective
from ee_lightning.training.objectives.consistentee import ConsistentEEObjective
from ee_lightning.training.objectives.ensemble import EnsembleObjective
from ee_lightning.training.objectives.joint import JointObjective
from ee_lightning.training.objectives.last_exit import LastExitObjective
from ee_lightning.training.objectives.mutual_distillation import MutualDistillationObjective
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.objectives.palbert import PALBERTObjective
from ee_lightning.training.objectives.ramped import RampedObjective
from ee_lightning.training.objectives.two_stage import SelfDistillationObjective, TwoStageObjective

METHODS = Path(__file__).parents[2] / "configs" / "methods"
ALL = {"backbone", "last", "early", "gate"}
TWO_STAGES = [{"backbone", "last"}, {"early", "gate"}]
THREE_STAGES = [{"backbone", "last", "early"}, {"gate"}, ALL]
REGIMES: dict[str, list[set[str]]] = {
    "cosee": [ALL],
    "sweet": [ALL],
    "ours": [ALL],
    "best": [ALL],
    "pabee": [ALL],
    "elasticbert": [ALL],
    "shallow_deep": [ALL],
    "berxit": [ALL],
    "palbert": [ALL],
    "consistentee": THREE_STAGES,
    "deebert": TWO_STAGES,
    "fastbert": TWO_STAGES,
    "full": [{"backbone", "last"}],
    "truncated": [{"backbone", "last"}],
}
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def _part(name: str, names: Sequence[str]) -> str:
    """Return the part of the model that a parameter or module belongs to, by its name."""
    if name.startswith("backbone."):
        return "backbone"
    if name.startswith("heads.gates"):
        return "gate"
    kind, index = name.split(".")[1:3]
    deepest = max(int(other.split(".")[2]) for other in names if other.startswith(f"heads.{kind}."))
    return "last" if int(index) == deepest else "early"


class Spy(Callback):
    """Notes, for every optimiser step, what moved, what was in training mode, and the learning rates."""

    def __init__(self) -> None:
        self.moved: list[set[str]] = []
        self.in_training: list[dict[str, bool]] = []
        self.rates: list[list[float]] = []
        self.logged: list[dict[str, float]] = []
        self._before: dict[str, Tensor] = {}

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        model = pl_module.model
        self._before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        leaves = {name: module for name, module in model.named_modules() if not [*module.children()]}
        self.in_training.append({name: module.training for name, module in leaves.items()})
        self.rates.append([group["lr"] for group in optimizer.param_groups])

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.logged.append({name: value.item() for name, value in trainer.callback_metrics.items()})
        if trainer.global_step > len(self.moved):
            after = dict(pl_module.model.named_parameters())
            self.moved.append({name for name, value in self._before.items() if not torch.equal(value, after[name])})


def _configured(config: str, backbone: Path, **others: dict[str, Any]) -> EarlyExitModule:
    """Build the model that a method's config asks for, on the small backbone."""
    options = yaml.safe_load((METHODS / f"{config}.yaml").read_text())["model"]
    for section, values in others.items():
        options[section] = {**options.get(section, {}), **values}
    if config == "consistentee":
        options["objective"]["init_args"] = {"first_stage": 1 / 3, "second_stage": 1 / 3}
    if "num_layers" in options:
        options["num_layers"] = 2
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(EarlyExitModule, "model")
    given = {**options, "backbone": str(backbone), "num_classes": 2, "metrics": ["accuracy"]}
    return parser.instantiate_classes(parser.parse_object({"model": given})).model


def _data(glue_folder: Path, backbone: Path) -> TaskDataModule:
    """Six batches of the small SST-2 an epoch."""
    return TaskDataModule("sst2", str(glue_folder), str(backbone), batch_size=16, max_length=32)


def _check(spy: Spy, model: nn.Module, stages: list[set[str]], steps_of_stage: int, frozen: Sequence[str] = ()) -> None:
    """Assert that in each stage its parts move, and the others stay bit for bit and out of training mode."""
    names = [name for name, _ in model.named_parameters()]
    assert len(spy.moved) == steps_of_stage * len(stages)
    for index, parts in enumerate(stages):
        trained = parts - set(frozen)
        steps = slice(index * steps_of_stage, (index + 1) * steps_of_stage)
        expected = {name for name in names if _part(name, names) in trained}
        if (
            model.heads.options.gate == "per_exit"
        ):  # all leave at the last exit: of its gate only the weights move, decaying
            expected -= {f"heads.gates.{model.num_exits - 1}.{place}.bias" for place in (0, 2)}
        assert set().union(*spy.moved[steps]) == expected
        for modes in spy.in_training[steps]:
            assert modes == {name: _part(name, [*modes]) in trained for name in modes}


def _factors(steps: int, warmup: float = 0.1) -> list[float]:
    rising = round(warmup * steps)
    return [step / rising for step in range(rising)] + [1 - step / (steps - rising) for step in range(steps - rising)]


def test_every_method_is_a_regime() -> None:
    assert {file.stem for file in METHODS.glob("*.yaml")} == set(REGIMES)


@pytest.mark.parametrize("config", REGIMES)
def test_each_stage_moves_its_parts_and_leaves_the_others(config: str, tiny_backbone: Path, glue_folder: Path) -> None:
    module, stages, spy = _configured(config, tiny_backbone), REGIMES[config], Spy()
    trainer = Trainer(max_epochs=1, val_check_interval=2, limit_val_batches=1, callbacks=[spy], **QUIET)
    trainer.fit(module, _data(glue_folder, tiny_backbone))  # evaluates in the middle of both stages
    _check(spy, module.model, stages, 6 // len(stages))
    rates = [2e-5 * factor for _ in stages for factor in _factors(6 // len(stages))]
    for groups, rate in zip(spy.rates, rates, strict=True):
        assert groups == pytest.approx([rate] * 4)


@pytest.mark.parametrize("config", ["ours", "pabee", "deebert", "fastbert", "full"])
def test_a_frozen_backbone_stays_in_every_stage(config: str, tiny_backbone: Path, glue_folder: Path) -> None:
    module, stages, spy = (
        _configured(config, tiny_backbone, optimization={"freeze_backbone": True}),
        REGIMES[config],
        Spy(),
    )
    trainer = Trainer(max_epochs=1, val_check_interval=2, limit_val_batches=1, callbacks=[spy], **QUIET)
    trainer.fit(module, _data(glue_folder, tiny_backbone))
    _check(spy, module.model, stages, 6 // len(stages), frozen=["backbone"])


@pytest.mark.parametrize(
    "config", [name for name in REGIMES if name not in {"full", "truncated", "palbert", "consistentee"}]
)
def test_the_gate_is_trained_beside_the_early_exits(config: str, tiny_backbone: Path, glue_folder: Path) -> None:
    module, stages, spy = _configured(config, tiny_backbone, heads={"gate": True}), REGIMES[config], Spy()
    trainer = Trainer(max_epochs=1, limit_train_batches=4, limit_val_batches=0, callbacks=[spy], **QUIET)
    trainer.fit(module, _data(glue_folder, tiny_backbone))
    _check(spy, module.model, stages, 4 // len(stages))
    assert "heads.gates.0.weight" in spy.moved[-1]
    for step, logged in enumerate(spy.logged):
        learns = step % 2 == 1 if config == "berxit" else "early" in stages[step * len(stages) // 4]
        assert ("train/gate_term" in logged) == (learns or (config == "berxit" and step > 0))  # the latest stays
    last = spy.logged[-1]
    of_objective = last.get("train/distillation_term", last.get("train/accuracy_term"))
    if config == "ours":
        of_objective -= last["train/diversity_weight"] * last["train/diversity_term"]
    if config == "cosee":
        of_objective += 0.1 * last["train/contrast_term"]
    assert last["train/loss"] == pytest.approx(of_objective + last["train/gate_term"], rel=1e-5)
    assert last["train/gate_term"] > 0


class NoteTaught(Callback):
    """Notes, for every optimiser step, the parts that get a gradient other than 0."""

    def __init__(self) -> None:
        self.taught: list[set[str]] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        parameters = dict(pl_module.model.named_parameters())
        names = [*parameters]
        taught = {name for name, value in parameters.items() if value.grad is not None and value.grad.any()}
        self.taught.append({_part(name, names) for name in taught})


@pytest.mark.parametrize("accumulated", [1, 2])
def test_alternating_steps_teach_early_exits_and_gate_in_odd_steps_alone(accumulated: int, tiny_backbone: Path) -> None:
    module = EarlyExitModule(str(tiny_backbone), 2, ["accuracy"], AlternatingObjective(), heads=HeadOptions(gate=True))
    note, spy, loader = NoteTaught(), Spy(), _loader(2)
    Trainer(
        max_epochs=accumulated,
        accumulate_grad_batches=accumulated,
        limit_val_batches=0,
        callbacks=[note, spy],
        **QUIET,
    ).fit(module, loader, loader)
    assert note.taught == [{"backbone", "last"}, {"backbone", "last", "early", "gate"}] * 2
    first = spy.logged[accumulated - 1]
    assert first["train/loss"] == pytest.approx(first["train/last_exit_term"])


@pytest.mark.parametrize(
    ("config", "before", "then"),
    [
        ("berxit", {"last_exit_term"}, {"accuracy_term", "gate_term"}),
        ("fastbert", {"accuracy_term"}, {"distillation_term", "gate_term"}),
    ],
)
def test_no_part_of_a_loss_is_logged_for_a_step_that_lacks_it(
    config: str, before: set[str], then: set[str], tiny_backbone: Path, glue_folder: Path, tmp_path: Path
) -> None:
    logger = CSVLogger(tmp_path)
    options = {**QUIET, "logger": logger, "log_every_n_steps": 1}
    trainer = Trainer(max_epochs=1, limit_train_batches=4, limit_val_batches=0, **options)
    trainer.fit(_configured(config, tiny_backbone, heads={"gate": True}), _data(glue_folder, tiny_backbone))
    with Path(logger.log_dir, "metrics.csv").open(newline="") as file:
        logged = [{name.removeprefix("train/") for name, value in row.items() if value} for row in DictReader(file)]
    expected = [before, then] * 2 if config == "berxit" else [before] * 2 + [then] * 2
    assert [names - {"epoch", "step", "loss"} for names in logged] == expected


def test_early_exits_that_nothing_trains_stay(tiny_backbone: Path, glue_folder: Path) -> None:
    module, spy = EarlyExitModule(str(tiny_backbone), 2, ["accuracy"], LastExitObjective()), Spy()
    trainer = Trainer(max_epochs=1, limit_train_batches=2, limit_val_batches=1, callbacks=[spy], **QUIET)
    trainer.fit(module, _data(glue_folder, tiny_backbone))
    _check(spy, module.model, [{"backbone", "last"}], 2)


def _noting(kind: type[Objective]) -> type[Objective]:
    """Make a subclass that notes the progress it gets, batch by batch."""

    class Noting(kind):  # type: ignore[misc, valid-type]
        def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
            self.__dict__.setdefault("noted", []).append(progress)
            return super().forward(output, labels, progress)

    return Noting


@pytest.mark.parametrize("kind", [AlternatingObjective, TwoStageObjective])
def test_steps_and_stages_count_optimiser_steps(kind: type[Objective], tiny_backbone: Path, glue_folder: Path) -> None:
    objective = _noting(kind)(**({"first_stage": 1 / 3} if kind is TwoStageObjective else {}))
    options = Optimization(1e-3, head_learning_rate=1e-2, warmup_fraction=0.25)
    module, spy = EarlyExitModule(str(tiny_backbone), 2, ["accuracy"], objective, optimization=options), Spy()
    trainer = Trainer(
        max_epochs=2, limit_train_batches=5, accumulate_grad_batches=2, limit_val_batches=1, callbacks=[spy], **QUIET
    )
    trainer.fit(module, _data(glue_folder, tiny_backbone))
    assert [progress.step for progress in objective.noted] == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5]
    assert {progress.total_steps for progress in objective.noted} == {6}
    lengths = [2, 4] if kind is TwoStageObjective else [6]
    stages = [stage for stage, length in enumerate(lengths) for _ in range(length)]
    assert [progress.stage for progress in objective.noted] == [stages[progress.step] for progress in objective.noted]
    factors = [factor for length in lengths for factor in _factors(length, 0.25)]
    for groups, factor in zip(spy.rates, factors, strict=True):
        assert groups == pytest.approx([1e-3 * factor] * 2 + [1e-2 * factor] * 2)
    if kind is AlternatingObjective:
        assert [("train/last_exit_term" in step, "train/accuracy_term" in step) for step in spy.logged[:4]] == [
            (True, False)
        ] * 2 + [(True, True)] * 2


class SaveInFirstStage(Callback):
    """Saves a checkpoint after the second step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step == 2:
            trainer.save_checkpoint(self.path)


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_a_training_resumed_in_the_middle_freezes_what_its_stage_does(
    tiny_backbone: Path, glue_folder: Path, tmp_path: Path
) -> None:
    data, path = _data(glue_folder, tiny_backbone), tmp_path / "step=2.ckpt"
    first = Trainer(max_epochs=1, limit_val_batches=0, callbacks=[SaveInFirstStage(path)], **QUIET)
    first.fit(_configured("fastbert", tiny_backbone), data)
    module, spy = _configured("fastbert", tiny_backbone), Spy()
    spy.moved = [set(), set()]
    Trainer(max_epochs=1, limit_val_batches=0, callbacks=[spy], **QUIET).fit(module, data, ckpt_path=path)
    names = [name for name, _ in module.model.named_parameters()]
    for step, parts in zip(range(2, 6), [TWO_STAGES[0], *[TWO_STAGES[1]] * 3], strict=True):
        modes = spy.in_training[step - 2]
        assert modes == {name: _part(name, [*modes]) in parts for name in modes}
        assert spy.moved[step] == {name for name in names if _part(name, names) in parts}


class NoteFrozen(Callback):
    """Notes which parts are frozen when a strategy for several processes has wrapped the model."""

    frozen: set[str]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        parameters = dict(pl_module.model.named_parameters())
        self.frozen = {_part(name, [*parameters]) for name, value in parameters.items() if not value.requires_grad}


@pytest.mark.parametrize(
    ("objective", "freeze_backbone", "frozen"),
    [
        (JointObjective(), False, set()),
        (JointObjective(), True, {"backbone"}),
        (LastExitObjective(), False, {"early"}),
        (TwoStageObjective(), False, set()),
    ],
)
def test_what_is_never_trained_is_frozen_before_processes_agree_on_gradients(
    objective: Objective, freeze_backbone: bool, frozen: set[str], tiny_backbone: Path
) -> None:
    options, note, loader = Optimization(freeze_backbone=freeze_backbone), NoteFrozen(), _loader(2)
    module = EarlyExitModule(str(tiny_backbone), 2, ["accuracy"], objective, optimization=options)
    Trainer(max_steps=2, limit_val_batches=0, callbacks=[note], **QUIET).fit(module, loader, loader)
    assert note.frozen == frozen


def _loader(classes: int) -> DataLoader[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(classes)
    batches = []
    for _ in range(4):
        ids = torch.randint(5, 30, (8, 6), generator=generator)
        labels = (
            torch.randint(classes, (8,), generator=generator) if classes > 1 else torch.rand(8, generator=generator)
        )
        batches.append({"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels})
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def _fit(module: EarlyExitModule, classes: int, spy: Spy) -> None:
    loader = _loader(classes)
    Trainer(max_epochs=1, limit_val_batches=0, callbacks=[spy], **QUIET).fit(module, loader, loader)


@pytest.mark.parametrize(
    ("objective", "stages", "classes"),
    [
        (JointObjective("linear", "mean"), [ALL], 1),
        (RampedObjective(), [ALL], 1),
        (AlternatingObjective(), [ALL], 1),
        (TwoStageObjective(), TWO_STAGES, 1),
        (EnsembleObjective(0), [ALL], 1),
        (EnsembleObjective(0.1, diversity_warmup=0.5), [ALL], 20),
        (MutualDistillationObjective(), [ALL], 20),
        (SelfDistillationObjective(), TWO_STAGES, 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Objective) else None,
)
def test_values_and_many_labels_are_trained_too_behind_some_layers(
    objective: Objective, stages: list[set[str]], classes: int, tiny_backbone: Path
) -> None:
    heads = HeadOptions(exits=(1, 3), gate=True)
    module = EarlyExitModule(str(tiny_backbone), classes, ["accuracy"], objective, heads=heads)
    spy = Spy()
    _fit(module, classes, spy)
    _check(spy, module.model, stages, 4 // len(stages))


def test_lambda_s_share_and_the_disagreement_are_logged_as_it_rises(tiny_backbone: Path) -> None:
    objective = EnsembleObjective(0.4, diversity_warmup=0.5)
    module, spy = EarlyExitModule(str(tiny_backbone), 3, ["accuracy"], objective), Spy()
    _fit(module, 3, spy)
    assert [step["train/diversity_weight"] for step in spy.logged] == pytest.approx([0, 0.2, 0.4, 0.4])
    for step in spy.logged:
        diversity = step["train/diversity_weight"] * step["train/diversity_term"]
        assert step["train/diversity_share"] == pytest.approx(diversity / (step["train/accuracy_term"] + diversity))
        assert step["train/loss"] == pytest.approx(step["train/accuracy_term"] - diversity, rel=1e-5)
        assert 0 <= step["train/disagreement"] <= 1


def test_gradient_checkpointing_runs_layers_again_and_changes_nothing(tiny_backbone: Path) -> None:
    weights, calls = [], []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        options = Optimization(1e-3, gradient_checkpointing=checkpointing)
        module = EarlyExitModule(
            str(tiny_backbone), 2, ["accuracy"], JointObjective(gradient_equilibrium=True), optimization=options
        )
        calls.append(0)

        def count(*_: object) -> None:
            calls[-1] += 1

        module.model.backbone.encoder.encoder.layer[1].attention.register_forward_hook(count)
        _fit(module, 2, Spy())
        weights.append(torch.cat([parameter.detach().flatten() for parameter in module.model.parameters()]))
    assert calls == [4, 8]
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    ("objective", "num_layers", "heads", "expected"),
    [
        (JointObjective(), None, HeadOptions(exits="last"), r"early exits, and there are none[\s\S]*heads.exits"),
        (TwoStageObjective(), 1, HeadOptions(), r"early exits, and there are none[\s\S]*num_layers[\s\S]*LastExit"),
        (PALBERTObjective(), None, HeadOptions(), r"trains a gate, and the exits have none[\s\S]*heads.gate deep"),
        (ConsistentEEObjective(), 1, HeadOptions(gate=True), r"early exits, and there are none[\s\S]*num_layers"),
        (LastExitObjective(), None, HeadOptions(gate=True), r"no gate beside them[\s\S]*model.heads.gate"),
        (LastExitObjective(), 4, HeadOptions(), r"4 layers are to be kept of 3[\s\S]*num_layers[\s\S]*1 to 3"),
        (LastExitObjective(), 0, HeadOptions(), r"0 layers are to be kept of 3[\s\S]*num_layers[\s\S]*1 to 3"),
    ],
)
def test_what_does_not_go_together_is_refused(
    objective: Objective, num_layers: int | None, heads: HeadOptions, expected: str, tiny_backbone: Path
) -> None:
    with pytest.raises(OptionError, match=expected):
        EarlyExitModule(str(tiny_backbone), 2, ["accuracy"], objective, num_layers, heads)


@pytest.mark.parametrize("objective", [SelfDistillationObjective(), MutualDistillationObjective(), EnsembleObjective()])
def test_distributions_are_not_compared_where_values_are_predicted(objective: Objective, tiny_backbone: Path) -> None:
    with pytest.raises(OptionError, match="this task has a value to predict"):
        EarlyExitModule(str(tiny_backbone), 1, ["pearson"], objective)


def test_losses_are_in_full_precision_under_autocast(tiny_backbone: Path) -> None:
    module = EarlyExitModule(str(tiny_backbone), 2, ["accuracy"], JointObjective(), heads=HeadOptions(gate=True))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(next(iter(_loader(2))))
    assert output.logits.dtype == output.extras["gate"].dtype == torch.float32


@pytest.mark.parametrize("regime", ["ours", "full", "fastbert", "berxit", "palbert"])
def test_smoothed_and_weighted_labels_are_taught_and_gates_still_learn_from_the_classes(
    regime: str, tiny_backbone: Path, glue_folder: Path
) -> None:
    losses = {}
    for name, labels in {"plain": {}, "all": {"smoothing": 0.3, "class_weights": [1.0, 3.0]}}.items():
        torch.manual_seed(0)
        module, spy = _configured(regime, tiny_backbone, labels=labels), Spy()
        Trainer(max_steps=2, limit_val_batches=0, callbacks=[spy], **QUIET).fit(
            module, _data(glue_folder, tiny_backbone)
        )
        losses[name] = [logged.get("train/accuracy_term", logged.get("train/last_exit_term")) for logged in spy.logged]
    # The loss of untrained exits is log 2 whatever the label, and samples of classes as frequent count 2 on average.
    assert losses["all"][0] == pytest.approx(2 * losses["plain"][0], rel=0.15)
