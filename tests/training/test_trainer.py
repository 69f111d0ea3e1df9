"""The options of optimisation, on the real Trainer."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.data import DataLoader

from ee_lightning.callbacks import ExitSweep
from ee_lightning.errors import OptionError
from ee_lightning.exits import Voting
from ee_lightning.models import HeadOptions
from ee_lightning.training import (
    EarlyExitModule,
    EnsembleObjective,
    JointObjective,
    Objective,
    Optimization,
    SelfDistillationObjective,
    TwoStageObjective,
)

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
    """Keeps the loss of every batch, and the gradients of every optimiser step as the optimiser got them."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.gradients: list[Gradients] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at what the optimiser stepped by."""
        trainer.optimizers[0].register_step_post_hook(lambda *_: self._keep(pl_module))

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Keep the loss."""
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
    """Give 8 batches of 4 rows with 6 tokens or less, whose label hangs on the first token."""
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
    """Give a function that makes the same small module each time, without dropout."""
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
    means = [(one + two) / 2 for one, two in _pairs(parts.losses)]
    assert means == pytest.approx(whole.losses, rel=1e-4)
    torch.testing.assert_close(parts.gradients[0], whole.gradients[0], rtol=1e-4, atol=1e-6)


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
