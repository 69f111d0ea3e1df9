"""The options of optimisation, on the real Trainer."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import BatchSizeFinder, EarlyStopping, GradientAccumulationScheduler
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.data import DataLoader, IterableDataset

from ee_lightning.errors import OptionError
from ee_lightning.exits import Voting
from ee_lightning.fit.sweep_callback import ExitSweep
from ee_lightning.models import HeadOptions
from ee_lightning.training import EarlyExitModule, Optimization
from ee_lightning.training.objectives.ensemble import EnsembleObjective
from ee_lightning.training.objectives.joint import JointObjective
from ee_lightning.training.objectives.objective import Objective
from ee_lightning.training.objectives.two_stage import SelfDistillationObjective, TwoStageObjective

Batch = dict[str, Tensor]
Gradients = dict[str, Tensor]
NOTHING: list[Batch] = []
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Steps(Callback):
    """Keeps what is logged after every batch, and the gradients of every optimiser step as the optimiser got them."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.logged: list[dict[str, float]] = []
        self.gradients: list[Gradients] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at what the optimiser stepped by."""
        trainer.optimizers[0].register_step_post_hook(lambda *_: self._keep(pl_module))

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Keep what is logged."""
        self.logged.append({name: value.item() for name, value in trainer.logged_metrics.items()})
        self.losses.append(trainer.logged_metrics["train/loss"].item())

    def _keep(self, module: LightningModule) -> None:
        self.gradients.append({n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None})

    def norms(self) -> list[float]:
        return [torch.cat([g.flatten() for g in kept.values()]).norm().item() for kept in self.gradients]


class SaveAtEnd(Callback):
    """Writes a checkpoint after training."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it."""
        trainer.save_checkpoint(self.file)


@pytest.fixture
def batches() -> list[Batch]:
    """Return 8 batches of 4 rows with 6 tokens or less, whose label depends on the first token."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for number in range(8):
        tokens = torch.randint(5, 30, (4, 6), generator=generator)
        mask = (torch.arange(6) < torch.tensor([6, 5, 4, 6])[:, None]).long()
        ids = torch.arange(4 * number, 4 * number + 4)
        made.append({"input_ids": tokens, "attention_mask": mask, "labels": tokens[:, 0] % 2, "ids": ids})
    return made


@pytest.fixture
def steady(steady_backbone: Path) -> Callable[..., EarlyExitModule]:
    """Return a function that makes the same small module each time, without dropout."""
    return lambda *arguments, **options: _module(steady_backbone, 0.0, *arguments, **options)


def _module(
    backbone: Path, dropout: float, objective: Objective | None = None, **optimization: object
) -> EarlyExitModule:
    seed_everything(0, verbose=False)
    options = Optimization(**{"learning_rate": 1e-3, "warmup_fraction": 0.0, **optimization})
    heads = HeadOptions(dropout=dropout)
    return EarlyExitModule(
        str(backbone), 2, ["accuracy"], objective or EnsembleObjective(), heads=heads, optimization=options
    )


def _fit(module: EarlyExitModule, train: list[Batch], validate: list[Batch] = NOTHING, **options: object) -> Steps:
    steps = Steps()
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    defaults: dict[str, Any] = {
        "max_epochs": 1,
        "accelerator": "cpu",
        "log_every_n_steps": 1,
        "enable_model_summary": False,
    }
    defaults |= {"limit_val_batches": len(validate)}
    callbacks = [steps, *options.pop("callbacks", [])]  # type: ignore[misc]
    trainer = Trainer(callbacks=callbacks, **{**quiet, **defaults, **options})
    trainer.fit(module, *(DataLoader(some, batch_size=None) for some in (train, validate)))  # type: ignore[arg-type]
    return steps


def test_gradients_are_clipped_to_the_norm(steady: Callable[..., EarlyExitModule], batches: list[Batch]) -> None:
    free = _fit(steady(), batches)
    clipped = _fit(steady(), batches, gradient_clip_val=0.1)
    assert min(free.norms()) > 0.1
    assert clipped.norms() == pytest.approx([0.1] * 8, rel=1e-4)


@pytest.mark.parametrize("objective", [JointObjective(), EnsembleObjective(minimum="sample", diversity_weight=0.5)])
def test_accumulated_batches_are_one_larger_batch(
    objective: Objective, steady: Callable[..., EarlyExitModule], batches: list[Batch]
) -> None:
    larger = [{name: torch.cat([one[name], two[name]]) for name in one} for one, two in _pairs(batches)]
    whole = _fit(steady(objective), larger)
    parts = _fit(steady(objective), batches, accumulate_grad_batches=2)
    assert len(whole.gradients) == len(parts.gradients) == 4
    assert parts.losses[1::2] == pytest.approx(whole.losses, rel=1e-4)
    torch.testing.assert_close(parts.gradients[0], whole.gradients[0], rtol=1e-4, atol=1e-6)


def test_figures_of_a_step_are_means_over_the_batches_it_accumulates(
    steady: Callable[..., EarlyExitModule], batches: list[Batch]
) -> None:
    alone = _fit(steady(learning_rate=0.0), batches).logged  # of the same weights throughout
    steps = _fit(steady(learning_rate=0.0), batches, accumulate_grad_batches=3).logged
    for ends, first in [(2, 0), (5, 3), (7, 6)]:  # the last step has two batches
        of_step = alone[first : ends + 1]
        assert steps[ends].keys() == of_step[0].keys() >= {"train/loss", "train/diversity_share", "train/disagreement"}
        for name, value in steps[ends].items():
            assert value == pytest.approx(sum(each[name] for each in of_step) / len(of_step), rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize(
    ("callback", "alternative"),
    [
        (BatchSizeFinder(max_trials=2), "data.batch_size"),
        (GradientAccumulationScheduler({1: 2}), "trainer.accumulate_grad_batches"),
    ],
)
def test_callbacks_that_change_the_number_of_steps_are_refused_with_the_alternative(
    callback: Callback, alternative: str, steady: Callable[..., EarlyExitModule]
) -> None:
    module = steady()
    module.trainer = Trainer(callbacks=[callback], **QUIET)
    with pytest.raises(OptionError, match=rf"(?s)changes the number of optimiser steps.*callbacks.*{alternative}"):
        module.setup("fit")


class Uncounted(IterableDataset[Batch]):
    """Batches whose number is not known before."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)


def test_a_training_of_batches_that_cant_be_counted_needs_a_number_of_steps(
    steady: Callable[..., EarlyExitModule], batches: list[Batch]
) -> None:
    loader = DataLoader(Uncounted(batches), batch_size=None)
    with pytest.raises(OptionError, match=r"none that is known[\s\S]*max_steps"):
        Trainer(max_epochs=2, limit_val_batches=0, **QUIET).fit(steady(), loader, loader)
    module = steady()
    Trainer(max_steps=3, limit_val_batches=0, **QUIET).fit(module, loader, loader)
    assert module._timeline.total_steps == 3


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"max_epochs": 2}, 16),
        ({"max_epochs": 2, "accumulate_grad_batches": 3}, 6),
        ({"max_epochs": 3, "max_steps": 10}, 10),
        ({"max_epochs": -1, "max_steps": 10, "min_epochs": 3}, 10),
        ({"max_epochs": 2, "limit_train_batches": 0.5}, 8),
        ({"max_epochs": 2, "limit_train_batches": 3, "accumulate_grad_batches": 2}, 4),
        ({"max_epochs": 2, "reload_dataloaders_every_n_epochs": 1}, 16),
        ({"max_epochs": 2, "max_time": "00:01:00:00"}, 16),
    ],
)
def test_the_rate_falls_to_0_at_the_real_last_step(
    options: dict[str, Any], steps: int, steady: Callable[..., EarlyExitModule], batches: list[Batch]
) -> None:
    module = steady()
    done = _fit(module, batches, **options)
    assert len(done.gradients) == steps == module._timeline.total_steps
    optimizer = module.optimizers()
    assert [group["lr"] for group in optimizer.param_groups] == [0.0] * 4  # of the step after the last
    assert module._timeline.learning_rate_factor(steps - 1, 0.1) > 0


def _pairs(values: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(values[::2], values[1::2], strict=True))


def test_bfloat16_trains_like_float32_and_exits_stay_float32(
    steady: Callable[..., EarlyExitModule], batches: list[Batch]
) -> None:
    whole = _fit(steady(), batches, batches, max_epochs=6)
    module = steady()
    half = _fit(module, batches, batches, max_epochs=6, precision="bf16-mixed")
    assert half.losses != whole.losses
    assert half.losses[:8] == pytest.approx(whole.losses[:8], rel=0.02)
    assert sum(half.losses[-8:]) < 0.9 * sum(half.losses[:8])
    assert module.recorded_exits.logits.dtype == torch.float32
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_checkpointed_layers_give_the_same_gradients_and_save_less(tiny_backbone: Path, batches: list[Batch]) -> None:
    plain = _fit(_module(tiny_backbone, 0.1), batches)
    checkpointed = _fit(_module(tiny_backbone, 0.1, gradient_checkpointing=True), batches)
    assert checkpointed.losses == plain.losses  # dropout included
    for kept, expected in zip(checkpointed.gradients, plain.gradients, strict=True):
        assert kept.keys() == expected.keys()
        assert all(torch.equal(kept[name], expected[name]) for name in expected)
    without, with_checkpoints = (
        _saved_for_backward(_module(tiny_backbone, 0.1, gradient_checkpointing=chosen), batches[0])
        for chosen in (False, True)
    )
    assert with_checkpoints < without / 3


def _saved_for_backward(module: EarlyExitModule, batch: Batch) -> int:
    """Count the bytes of the tensors that the forward pass keeps, apart from the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        module.train()
        alive = module(batch)
    assert alive.logits.requires_grad
    return sum(kept.values())


def test_frozen_backbone_stays_and_has_no_dropout(tiny_backbone: Path, batches: list[Batch]) -> None:
    module = _module(tiny_backbone, 0.0, freeze_backbone=True)
    before = {name: weight.clone() for name, weight in module.model.state_dict().items()}
    steps = _fit(module, batches, batches, max_epochs=2)
    after = module.model.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {name for name in after if name.startswith("heads.")}
    assert all(name.startswith("model.heads.") for kept in steps.gradients for name in kept)
    module.train()
    module._enter(0)
    assert torch.equal(module(batches[0]).logits, module(batches[0]).logits)


@pytest.mark.parametrize("figure", ["val/exit_3/score", "val/voting/area"])
def test_training_stops_early_on_the_chosen_figure(
    figure: str,
    steady: Callable[..., EarlyExitModule],
    batches: list[Batch],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where the sweep leaves its table
    stop = EarlyStopping(figure, mode="max", patience=2)
    steps = _fit(steady(learning_rate=0.0), batches, batches, max_epochs=9, callbacks=[ExitSweep([Voting()]), stop])
    assert len(steps.losses) == 3 * len(batches)  # the first validation, and two that are no better
    assert stop.stopped_epoch == 2


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("objective", [TwoStageObjective(), SelfDistillationObjective()])
def test_plain_ddp_is_refused_where_parameters_are_left_out(
    objective: Objective, devices: int, steady: Callable[..., EarlyExitModule]
) -> None:
    module = steady(objective)
    quiet: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    module.trainer = Trainer(devices=devices, strategy="ddp", **quiet)
    with pytest.raises(OptionError, match="ddp_find_unused_parameters_true, or auto"):
        module.setup("fit")
    for strategy in ("ddp_find_unused_parameters_true", *(["auto"] if devices == 1 else [])):
        module.trainer = Trainer(devices=devices, strategy=strategy, **quiet)
        module.setup("fit")


def test_a_checkpoint_is_loaded_without_a_trainer(steady_backbone: Path, batches: list[Batch], tmp_path: Path) -> None:
    trained, file = _module(steady_backbone, 0.0, JointObjective()), tmp_path / "a.ckpt"
    _fit(trained, batches, callbacks=[SaveAtEnd(file)])
    options = {"backbone": str(steady_backbone), "num_classes": 2, "metrics": ["accuracy"]}
    loaded = EarlyExitModule.load_from_checkpoint(file, weights_only=True, objective=JointObjective(), **options)
    assert torch.equal(loaded.eval()(batches[0]).logits, trained.eval()(batches[0]).logits)


@pytest.mark.parametrize("use_orig_params", [True, False])
def test_parameters_joined_by_fsdp_are_refused(
    use_orig_params: bool, steady: Callable[..., EarlyExitModule], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = steady()
    module.trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    monkeypatch.setattr(Trainer, "strategy", FSDPStrategy(use_orig_params=use_orig_params))
    with nullcontext() if use_orig_params else pytest.raises(OptionError, match="use_orig_params is false"):
        module.setup("fit")
