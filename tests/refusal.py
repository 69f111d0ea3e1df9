"""What every refusal of the command line looks like."""

import re
from pathlib import Path

import pytest


def check_refused(status: int, expected: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Make sure that a command failed with one message that matches, and left no finished run."""
    printed = capfd.readouterr()
    assert status == 1
    assert printed.err.count("error: ") == 1
    assert re.search(expected, printed.err), printed.err
    assert "Traceback" not in printed.out + printed.err
    assert not list(Path().rglob("summary.json"))
