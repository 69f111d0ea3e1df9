"""Saves the resolved configuration of a run."""

import yaml
from jsonargparse import Namespace
from lightning import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger

from ee_lightning.reporting import run_folder_of


def resolved(parser: LightningArgumentParser, config: Namespace) -> str:
    """Give the resolved options of a command as YAML.

    Args:
        parser: The command's parser.
        config: Its options, parsed.
    """
    text: str = parser.dump(config, skip_unset=False)
    return text


class SaveConfig(SaveConfigCallback):
    """Saves the resolved configuration into the run folder and sends it to W&B."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Save the configuration, once.

        W&B gets it under one key, where it can't collide with the keys of a sweep.
        """
        folder = run_folder_of(trainer)
        if self.already_saved or folder is None or not trainer.is_global_zero:
            return
        self.already_saved = True
        text = resolved(self.parser, self.config)
        with folder.whole(folder.config.name) as file:
            file.write_text(text, encoding="utf-8")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_hyperparams({"resolved_config": yaml.safe_load(text)})
