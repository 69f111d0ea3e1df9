#!/usr/bin/env bash
# Guess: a training with Lightning's BackboneFinetuning that goes on from a checkpoint goes on as it was: a backbone that
#   was unfrozen before the checkpoint is still trained.
# Really: the callback freezes the backbone whenever the trainer is set up, and unfreezes it only at the start of the one
#   epoch that was asked for. Its parameters are in the optimiser again, and its learning rate is set, but requires_grad
#   stays false: after the resume no weight of the backbone changes to the end, and nothing is said.
# Version: lightning 2.6.6, torch 2.13.0
# Seen: unfrozen at epoch 1 of 4, the backbone changes in epochs 1, 2 and 3; resumed after epoch 1 it changes in none
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install lightning==2.6.6 torch==2.13.0 numpy==2.4.6
cd "$folder"
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PY'
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BackboneFinetuning, Callback
from torch.utils.data import DataLoader


class Model(LightningModule):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)

    def training_step(self, batch, batch_idx):
        return self.head(self.backbone(batch)).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.head.parameters(), lr=0.1)


class Watch(Callback):
    def on_train_epoch_start(self, trainer, module):
        self.before = module.backbone.weight.detach().clone()

    def on_train_epoch_end(self, trainer, module):
        changed.append(not torch.equal(self.before, module.backbone.weight))


def fit(epochs, checkpoint=None):
    torch.manual_seed(0)
    callbacks = [BackboneFinetuning(unfreeze_backbone_at_epoch=1), Watch()]
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=epochs, accelerator="cpu", callbacks=callbacks, **quiet)
    trainer.fit(Model(), DataLoader(torch.ones(8, 4), batch_size=4), ckpt_path=checkpoint)
    return trainer


changed = []
fit(4)
print("in one go:", *changed)
changed = []
fit(2).save_checkpoint("two.ckpt")
trainer = fit(4, "two.ckpt")
print("resumed after two epochs:", *changed)
groups = trainer.optimizers[0].param_groups
given = {id(parameter) for group in groups for parameter in group["params"]}
print("in the optimiser:", id(trainer.model.backbone.weight) in given)
print("requires_grad:", trainer.model.backbone.weight.requires_grad)
PY
) || { cat "$folder/log"; exit 1; }
echo "$seen"
[[ $seen == "in one go: False True True True
resumed after two epochs: False True False False
in the optimiser: True
requires_grad: False" ]]
