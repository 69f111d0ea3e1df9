"""Runs the command line: ``python -m ee_lightning``."""

import sys

from ee_lightning.cli import main

sys.exit(main())
