"""Options of the commands that need no Lightning."""

import argparse
from typing import NoReturn

from ee_lightning.errors import OptionError


class Options(argparse.ArgumentParser):
    """A parser that raises what a user did wrong."""

    def error(self, message: str) -> NoReturn:
        """Raise the mistake."""
        raise OptionError(message, where="the command line", mend=f"'{self.prog} --help' lists the options")
