"""Resolves the options of ``fit`` without running it, as often as wished."""

from collections.abc import Sequence
from typing import Any

import yaml
from lightning.pytorch.cli import ArgsType, LightningArgumentParser

from ee_lightning.cli.lightning import EarlyExitCLI, settings
from ee_lightning.cli.save_config import resolved
from ee_lightning.data import TaskDataModule
from ee_lightning.training import EarlyExitModule


class FitOptionsParser(EarlyExitCLI):
    """The parser of the command line, alone: it makes nothing of what it parses.

    To build it takes seconds, to parse a fraction of one.
    """

    def __init__(self) -> None:
        super().__init__(EarlyExitModule, TaskDataModule, args=[], load_from_checkpoint_support=False, **settings())

    def resolve(self, options: Sequence[str]) -> dict[str, Any]:
        """Give all options of a run, nested, as its ``config.yaml`` has them.

        Args:
            options: What follows ``fit`` on the command line.

        Raises:
            OptionError: They can't be parsed.
        """
        super().parse_arguments(self.parser, ["fit", *options])
        parsed: dict[str, Any] = yaml.safe_load(resolved(self._parser("fit"), self.config["fit"]))
        return parsed

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse nothing yet."""
        self.config = {"subcommand": None}

    def _set_seed(self) -> None:
        """Set none."""

    def before_instantiate_classes(self) -> None:
        """Look for no checkpoint."""

    def instantiate_classes(self) -> None:
        """Make nothing."""
