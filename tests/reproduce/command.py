"""Runs ``ee-lightning reproduce``, without its tables, in a process of its own."""

import signal
import sys
from types import SimpleNamespace
from typing import Any

from ee_lightning.cli import main


def write_report(suite: Any, folders: Any, root: Any) -> None:
    print(f"a report on {len(folders)} runs")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which it lacks where the tests run in the background
    sys.modules["ee_lightning.reproduce.report"] = SimpleNamespace(write_report=write_report)  # type: ignore[assignment]
    sys.exit(main(["reproduce", *sys.argv[1:]]))
