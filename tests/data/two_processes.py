"""Train and predict on two processes, and let each write down which rows it got."""

import json
import sys
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer

from ee_lightning.training.data_module import TaskDataModule


class Recorder(LightningModule):
    """Learn nothing, and keep the rows of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[str, list[list[int]]] = {"0": [], "1": [], "predicted": []}

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        self.seen[str(self.current_epoch)].append(batch["ids"].tolist())
        return self.weight * batch["labels"].float().mean()

    def predict_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        self.seen["predicted"].append(batch["ids"].tolist())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def main(glue: str, tokenizer: str, out: str) -> None:
    data = TaskDataModule("sst2", root=glue, tokenizer=tokenizer, max_length=20, batch_size=4)
    model = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(model, datamodule=data)
    trainer.predict(model, datamodule=data, return_predictions=False)
    Path(out, f"rank{trainer.global_rank}.json").write_text(json.dumps(model.seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
