"""What a user of Lightning does with a model from Python, and what an objective of a user's own has to keep to."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BackboneFinetuning
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.tuner import Tuner
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from ee_lightning.errors import OptionError, RunFolderError
from ee_lightning.exits import Confidence, Voting
from ee_lightning.fit.sweep_callback import ExitSweep
from ee_lightning.models import HeadOptions, MultiExitOutput
from ee_lightning.training import EarlyExitModule, LabelOptions, Optimization, Progress
from ee_lightning.training.objectives.joint import JointObjective
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms

Batch = dict[str, Tensor]


@pytest.fixture
def batches() -> "DataLoader[Batch]":
    generator = torch.Generator().manual_seed(3)
    batches = [
        {
            "input_ids": torch.randint(5, 20, (6, 8), generator=generator),
            "attention_mask": torch.ones(6, 8, dtype=torch.long),
            "labels": torch.randint(0, 2, (6,), generator=generator),
            "ids": torch.arange(6) + 6 * number,
        }
        for number in range(3)
    ]
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def trainer_in(folder: Path, *callbacks: Callback, **options: Any) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return Trainer(default_root_dir=folder, callbacks=[*callbacks], **{"max_epochs": 2, **quiet, **options})


def module_of(backbone: Path, objective: Objective, **options: Any) -> EarlyExitModule:
    return EarlyExitModule(str(backbone), 2, ["accuracy"], objective, **options)


class Kept(JointObjective):
    """An objective of a user, which keeps its argument."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor


class Lost(JointObjective):
    """One that does not."""

    def __init__(self, factor: float) -> None:
        super().__init__()


def test_a_checkpoint_is_loaded_by_its_path_alone(
    tiny_backbone: Path, batches: "DataLoader[Batch]", tmp_path: Path
) -> None:
    options = {"heads": HeadOptions(pooler="shared", gate=True), "optimization": Optimization(learning_rate=1e-3)}
    options |= {"labels": LabelOptions(class_weights=[1, 2]), "num_layers": 2}
    module = module_of(tiny_backbone, Kept(0.5), **options)
    trainer = trainer_in(tmp_path)
    trainer.fit(module, batches, batches)
    trainer.save_checkpoint(file := tmp_path / "model.ckpt")
    loaded = EarlyExitModule.load_from_checkpoint(file)
    assert loaded.hparams == module.hparams
    assert isinstance(loaded.objective, Kept)
    assert (loaded.objective.factor, loaded.model.num_exits, loaded.labels) == (0.5, 2, options["labels"])
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in module.state_dict().items())
    other = EarlyExitModule.load_from_checkpoint(file, objective=JointObjective(reduction="mean"))
    assert other.hparams["objective"]["init_args"]["reduction"] == "mean"


def test_a_checkpoint_that_does_not_say_enough_is_one_error(
    tiny_backbone: Path, batches: "DataLoader[Batch]", tmp_path: Path
) -> None:
    trainer = trainer_in(tmp_path, max_steps=1)
    trainer.fit(module_of(tiny_backbone, Lost(0.5)), batches, batches)
    trainer.save_checkpoint(file := tmp_path / "lost.ckpt")
    with pytest.raises(RunFolderError, match=r"it lacks objective[\s\S]*lost.ckpt[\s\S]*objective="):
        EarlyExitModule.load_from_checkpoint(file)
    assert isinstance(EarlyExitModule.load_from_checkpoint(file, objective=Lost(1)).objective, Lost)
    with pytest.raises(RunFolderError, match="another class or model: Error"):
        EarlyExitModule.load_from_checkpoint(file, objective=Lost(1), num_classes=3)
    trainer = trainer_in(tmp_path, limit_train_batches=1, limit_val_batches=0, max_epochs=1, enable_checkpointing=False)
    trainer.fit(BoringModel())
    trainer.save_checkpoint(file := tmp_path / "boring.ckpt")
    with pytest.raises(RunFolderError, match=r"it lacks backbone, metrics, num_classes, objective[\s\S]*boring.ckpt"):
        EarlyExitModule.load_from_checkpoint(file)
    with pytest.raises(OptionError, match=r"foreign\.Own is not imported[\s\S]*import foreign"):
        Objective.of_saved("foreign.Own", {})
    with pytest.raises(OptionError, match=r"torch\.nn\.Linear is not imported"):
        Objective.of_saved("torch.nn.Linear", {})


def test_a_learning_rate_is_found(tiny_backbone: Path, batches: "DataLoader[Batch]", tmp_path: Path) -> None:
    module = module_of(tiny_backbone, JointObjective(), optimization=Optimization(2e-5, head_learning_rate=1e-4))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trainer = trainer_in(tmp_path, max_epochs=20, enable_checkpointing=False)
    found = Tuner(trainer).lr_find(module, batches, batches, num_training=20, early_stop_threshold=None)
    assert found is not None
    assert module.learning_rate == module.optimization.learning_rate == pytest.approx(found.suggestion())
    assert module.optimization.head_learning_rate == pytest.approx(5 * module.learning_rate)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    trainer.fit(module, batches, batches)
    assert trainer.global_step == 60


class Watch(Callback):
    """Keeps what the backbone's first weight and the rates are at the end of every epoch."""

    def __init__(self) -> None:
        self.weights: list[Tensor] = []
        self.rates: list[list[float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, EarlyExitModule)
        self.weights.append(next(pl_module.backbone.parameters()).detach().clone())
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])


def test_lightning_thaws_the_backbone(tiny_backbone: Path, batches: "DataLoader[Batch]", tmp_path: Path) -> None:
    module = module_of(tiny_backbone, JointObjective(), optimization=Optimization(1e-3, warmup_fraction=0))
    start = next(module.backbone.parameters()).detach().clone()
    thawing = BackboneFinetuning(unfreeze_backbone_at_epoch=1, backbone_initial_lr=1e-2)
    trainer_in(tmp_path, watch := Watch(), thawing, max_epochs=3, enable_checkpointing=False).fit(
        module, batches, batches
    )
    assert torch.equal(watch.weights[0], start)
    assert not torch.equal(watch.weights[1], start)
    assert [len(rates) for rates in watch.rates] == [2, 3, 3]
    assert watch.rates[1][2] == 1e-2
    assert watch.rates[2][0] == 0


def test_predictions_have_labels_and_exits(tiny_backbone: Path, batches: "DataLoader[Batch]", tmp_path: Path) -> None:
    module, trainer = module_of(tiny_backbone, JointObjective(), heads=HeadOptions(gate=True)), trainer_in(tmp_path)
    full = trainer.predict(module, batches)
    module.operating_point = (Confidence(), 0.5)
    early = trainer.predict(module, batches)
    assert full is not None
    assert early is not None
    for batch, last, first in zip(batches, full, early, strict=True):
        assert torch.equal(last.ids, batch["ids"])
        assert (last.exit_layer.tolist(), first.exit_layer.tolist()) == ([3] * 6, [1] * 6)
        assert torch.equal(last.label, last.output.logits[2].argmax(-1))
        assert torch.equal(first.label, first.output.logits[0].argmax(-1))


def test_the_loss_of_the_last_exit_is_logged(tiny_backbone: Path, batches: "DataLoader[Batch]", tmp_path: Path) -> None:
    module = module_of(tiny_backbone, JointObjective())
    (logged,) = trainer_in(tmp_path).validate(module, batches, verbose=False)
    with torch.no_grad():
        said = torch.cat([module.eval()(batch).logits[-1] for batch in batches])
    expected = cross_entropy(said, torch.cat([batch["labels"] for batch in batches]))
    assert logged["val/loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_a_sweep_from_python_prints_a_line_an_epoch_and_its_table(
    tiny_backbone: Path, batches: "DataLoader[Batch]", tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = module_of(tiny_backbone, JointObjective())
    trainer = trainer_in(tmp_path, ExitSweep([Voting()]), logger=CSVLogger(tmp_path), log_every_n_steps=1)
    trainer.fit(module, batches, batches)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["epoch 1", "epoch 2"]
    assert all(name in lines[0] for name in ("train/loss ", "val/loss ", "val/score "))
    trainer.validate(module, batches, verbose=False)
    printed = capsys.readouterr().out
    assert "data validation: 18 samples, 3 exits" in printed
    assert "voting" in printed
    assert f"run folder: {trainer.log_dir}" in printed.replace("\n", "")


class NoProgress(JointObjective):
    def forward(self, output: MultiExitOutput, labels: Tensor) -> ObjectiveTerms:  # type: ignore[override]
        return ObjectiveTerms(output.logits.mean(), {})


class OtherStages(JointObjective):
    def stages(self) -> Any:
        return ["all"]


@pytest.mark.parametrize(
    ("objective", "reason"),
    [
        (nn.CrossEntropyLoss(), "it is of another class"),
        (NoProgress(), "too many positional arguments"),
        (OtherStages(), "its stages are no"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_objective_is_refused_with_the_contract(objective: Any, reason: str, tiny_backbone: Path) -> None:
    with pytest.raises(
        OptionError, match=rf"{type(objective).__name__} can't be used as an objective: {reason}"
    ) as caught:
        module_of(tiny_backbone, objective)
    assert "forward(output, labels, progress)" in str(caught.value.hint)


class Returns(Objective):
    """Returns what it is given."""

    def __init__(self, what: Any) -> None:
        super().__init__()
        self.what = what

    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> Any:
        return self.what


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (torch.tensor(1.0), "returns a Tensor"),
        (ObjectiveTerms(torch.ones(2), {}), r"returns a Tensor of shape \[2\] as loss"),
        (ObjectiveTerms(torch.tensor(1.0), {"part": 0.5}), "returns a float as part"),  # type: ignore[dict-item]
        (ObjectiveTerms(torch.tensor(1.0), [torch.tensor(1.0)]), "returns a list as terms"),  # type: ignore[arg-type]
    ],
)
def test_another_return_value_is_refused_with_the_contract(
    returned: Any, said: str, tiny_backbone: Path, batches: "DataLoader[Batch]", tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=rf"Returns.forward {said}[\s\S]*ObjectiveTerms\(loss, terms\)"):
        trainer_in(tmp_path).fit(module_of(tiny_backbone, Returns(returned)), batches, batches)
