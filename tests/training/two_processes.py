"""Train each objective without dropout, on one process or several, and write down what it logged and the exits say."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.strategies import FSDPStrategy
from torch.distributed.fsdp import FullyShardedDataParallel
from transformers import GradientCheckpointingLayer

from ee_lightning.models import HeadOptions
from ee_lightning.training import EarlyExitModule, Optimization
from ee_lightning.training.data_module import TaskDataModule
from ee_lightning.training.objectives.alternating import AlternatingObjective
from ee_lightning.training.objectives.ensemble import EnsembleObjective
from ee_lightning.training.objectives.joint import JointObjective
from ee_lightning.training.objectives.last_exit import LastExitObjective
from ee_lightning.training.objectives.objective import Objective
from ee_lightning.training.objectives.palbert import PALBERTObjective
from ee_lightning.training.objectives.two_stage import TwoStageObjective

GLOBAL_BATCH = 8
CLIPPED = "ensemble by sample"  # by norm, which FSDP can't
SHARDED = ("ensemble", "two stages", "alternating with a gate")
QUICK = Optimization(learning_rate=1e-3)
STEADY = HeadOptions(dropout=0.0)
TRAININGS: dict[str, tuple[Objective, HeadOptions, Optimization]] = {
    "ensemble": (EnsembleObjective(), STEADY, QUICK),
    "ensemble by sample": (EnsembleObjective(minimum="sample"), STEADY, QUICK),
    "two stages": (TwoStageObjective(), STEADY, QUICK),
    "alternating with a gate": (AlternatingObjective(), replace(STEADY, gate=True), QUICK),
    "a gate that shares out": (PALBERTObjective(), replace(STEADY, gate="deep"), QUICK),
    "last exit": (LastExitObjective(), STEADY, QUICK),
    "frozen backbone": (JointObjective(), STEADY, replace(QUICK, freeze_backbone=True)),
}


class ShardedOnCPU(FSDPStrategy):
    """What ``configs/trainer/fsdp.yaml`` sets, without CUDA, which Lightning asks for where the class is its own."""

    def __init__(self) -> None:
        super().__init__(auto_wrap_policy={GradientCheckpointingLayer}, state_dict_type="full")


def shard_on_the_cpu() -> None:
    """Let FSDP work on the CPU, which it does on request; Lightning names devices by number."""
    wrap = FullyShardedDataParallel.__init__

    def wrap_on_the_cpu(self: FullyShardedDataParallel, *args: Any, **options: Any) -> None:
        wrap(self, *args, **{**options, "device_id": torch.device("cpu")})

    FullyShardedDataParallel.__init__ = wrap_on_the_cpu  # type: ignore[method-assign]


class Steps(Callback):
    """Keeps what every training step logged."""

    def __init__(self) -> None:
        self.logged: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Keep it."""
        self.logged.append({name: value.item() for name, value in trainer.logged_metrics.items() if "train/" in name})


def train(name: str, backbone: str, glue: str, how: str) -> dict[str, Any]:
    objective, heads, optimization = TRAININGS[name]
    seed_everything(0, verbose=False)
    module = EarlyExitModule(backbone, 2, ["accuracy"], objective, heads=heads, optimization=optimization)
    ddp = "ddp_find_unused_parameters_true" if len(objective.stages()) > 1 else "ddp"
    processes = 1 if how == "one" else 2
    steps = Steps()
    trainer = Trainer(
        accelerator="cpu",
        devices=processes,
        strategy=ShardedOnCPU() if how == "sharded" else ddp,
        max_epochs=2,
        log_every_n_steps=1,
        gradient_clip_val=1.0 if name == CLIPPED else None,
        callbacks=[steps],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    # 31 rows in batches of 8: the last one has 7, which two processes share unevenly.
    data = TaskDataModule("sst2", glue, backbone, GLOBAL_BATCH // processes, limit_train=31, max_length=32)
    trainer.fit(module, data)
    decays = [[len(group["params"]), group["weight_decay"]] for group in trainer.optimizers[0].param_groups]
    exits = module.recorded_exits
    trainer.validate(module, data, verbose=False)
    return {
        "steps": steps.logged,
        "decays": decays,
        "ids": exits.ids.tolist(),
        "logits": exits.logits.tolist(),
        "evaluated": module.recorded_exits.logits.tolist(),
    }


def main(backbone: str, glue: str, how: str) -> None:
    torch.set_num_threads(1)
    if how == "sharded":
        shard_on_the_cpu()
    trained = {name: train(name, backbone, glue, how) for name in (SHARDED if how == "sharded" else TRAININGS)}
    Path("trained.json").write_text(json.dumps(trained))
    if dist.is_initialized():
        dist.barrier()  # nobody goes while another still talks to it, on which gloo aborts
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
