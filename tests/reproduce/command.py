"""Runs ``ee-lightning reproduce`` in a process of its own."""

import signal
import sys

from ee_lightning.cli import main

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which it lacks where the tests run in the background
    sys.exit(main(["reproduce", *sys.argv[1:]]))
