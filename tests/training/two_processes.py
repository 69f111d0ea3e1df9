"""Train each objective without dropout, on one process or two, and write down what it logged and what the exits say."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch
import torch
from lightning.pytorch import Callback, Trainer, seed_everything

from ee_lightning.data import TaskDataModule
from ee_lightning.models import HeadOptions
from ee_lightning.training import (
    AlternatingObjective,
    EarlyExitModule,
    EnsembleObjective,
    JointObjective,
    LastExitObjective,
    Objective,
    Optimization,
    TwoStageObjective,
)

GLOBAL_BATCH = 8
QUICK = Optimization(learning_rate=1e-3)
STEADY = HeadOptions(dropout=0.0)
TRAININGS: dict[str, tuple[Objective, HeadOptions, Optimization]] = {
    "ensemble": (EnsembleObjective(), STEADY, QUICK),
    "ensemble by sample": (EnsembleObjective(minimum="sample"), STEADY, QUICK),
    "two stages": (TwoStageObjective(), STEADY, QUICK),
    "alternating with a gate": (AlternatingObjective(), replace(STEADY, gate=True), QUICK),
    "last exit": (LastExitObjective(), STEADY, QUICK),
    "frozen backbone": (JointObjective(), STEADY, replace(QUICK, freeze_backbone=True)),
}


class Steps(Callback):
    """Keeps what every training step logged."""

    def __init__(self) -> None:
        self.logged: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Keep it."""
        self.logged.append({name: value.item() for name, value in trainer.logged_metrics.items() if "train/" in name})


def train(
    objective: Objective, heads: HeadOptions, optimization: Optimization, backbone: str, glue: str, processes: int
) -> dict[str, Any]:
    seed_everything(0, verbose=False)
    module = EarlyExitModule(backbone, 2, ["accuracy"], objective, heads=heads, optimization=optimization)
    leaves_out = len(objective.stages()) > 1
    steps = Steps()
    trainer = Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp_find_unused_parameters_true" if leaves_out else "ddp",
        max_epochs=2,
        log_every_n_steps=1,
        gradient_clip_val=1.0,
        callbacks=[steps],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    # 95 rows in batches of 8: the last one has 7, which two processes share unevenly.
    data = TaskDataModule("sst2", glue, backbone, GLOBAL_BATCH // processes, limit_train=95, max_length=32)
    trainer.fit(module, data)
    exits = module.recorded_exits
    return {"steps": steps.logged, "ids": exits.ids.tolist(), "logits": exits.logits.tolist()}


def main(backbone: str, glue: str, processes: str, out: str) -> None:
    torch.set_num_threads(1)
    trained = {name: train(*training, backbone, glue, int(processes)) for name, training in TRAININGS.items()}
    rank = lightning.pytorch.utilities.rank_zero_only.rank
    Path(out, f"{processes}-{rank}.json").write_text(json.dumps(trained))


if __name__ == "__main__":
    main(*sys.argv[1:])
