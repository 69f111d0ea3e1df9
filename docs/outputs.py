"""Runs the commands whose outputs the pages show, and writes into the pages what they print today: ``make outputs``.

An output has its command in the comment above it: ``<!-- seen 2026-11-30: ee-lightning --version -->``. The command
``the block above`` stands for the Python block before it. All of them run in a new folder, after the demo. Read the
sentences around an output that has changed: they name its figures.
"""

import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from datetime import date
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
OUTPUT = re.compile(r"^<!-- seen [\d-]+: ([^\n]*) -->\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEMO = "ee-lightning fit --config demo"
CHOSEN = (
    "ee-lightning choose runs/demo/version_0 --criterion confidence --min-speedup 2",
    "ee-lightning save runs/demo/version_0 my-model",
    "ee-lightning export runs/demo/version_0 my-graphs --precision int8",
)
"""What a reader of the later pages has done with the demo's run."""


@cache
def printed(command: str) -> str:
    """Return what a shell command prints on standard output, in the working folder, in a terminal of 80 columns.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "COLUMNS": "80", "TERM": "dumb", "PATH": path}
    here, terminal = os.openpty()
    process = subprocess.Popen(["bash", "-c", command], stdout=terminal, env=env)
    os.close(terminal)
    parts = []
    with suppress(OSError):  # so Linux says that nobody has the terminal any more
        while part := os.read(here, 65536):
            parts.append(part)
    os.close(here)
    if process.wait() != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return "".join(f"{line.rstrip()}\n" for line in b"".join(parts).decode().replace("\r\n", "\n").splitlines())


def of_first_choice(command: str) -> str:
    """Return what ``choose`` prints for a run that has no operating point yet, and leave the one that is there."""
    file = Path("runs/demo/version_0/operating_point.json")
    chosen = file.rename("kept.json") if file.exists() else None
    try:
        return printed(command)
    finally:
        if chosen:
            chosen.replace(file)


def cut(text: str, shown: str) -> str:
    """Return the part of an output that a page shows: between lines that begin with the same words as before."""
    lines = text.splitlines(keepends=True)
    first, *_, last = (line.split()[0] for line in shown.splitlines() if line.strip())
    starts = [place for place, line in enumerate(lines) if line.split()[:1] == [first]]
    ends = [place for place, line in enumerate(lines) if line.split()[:1] == [last]]
    return "".join(lines[starts[0] if starts else 0 : ends[-1] + 1 if ends else None])


def renewed(page: str) -> str:
    """Return the text of a page with the outputs of today."""

    def renew(found: re.Match[str]) -> str:
        command, shown = found.groups()
        if command == "the block above":
            *_, code = PYTHON.findall(page[: found.start()])
            text = printed(f"python - <<'PYTHON'\n{code}PYTHON")
        elif command == DEMO:
            text = cut(printed(command), shown)
        elif command.startswith("ee-lightning choose "):
            text = of_first_choice(command)
        else:
            text = printed(command)
        return f"<!-- seen {date.today()}: {command} -->\n```text\n{text}```"

    return OUTPUT.sub(renew, page)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        printed(DEMO)
        for command in CHOSEN:
            printed(command)
        for page in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]:
            before = page.read_text(encoding="utf-8")
            if (after := renewed(before)) != before:
                page.write_text(after, encoding="utf-8")
                print(f"{page.relative_to(REPOSITORY)}: look at its diff")
