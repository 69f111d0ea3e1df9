"""Contestants in processes of their own, that take turns; and what is printed of them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
BATCHES = (8, 16, 32)


@dataclass
class Entry:
    """A contestant, what it needs, how it scores on the other half, and what it took.

    Attributes:
        plan: What its process is told.
        score: Its accuracy in percent, on the half that no choice has seen.
        layers: The speed-up by layers there.
        checkout: Where its package is.
        has_pool: Whether it runs the pool too.
        single: Of every turn, the seconds of every row.
        pool: Of every turn, those of all rows.
    """

    plan: dict[str, Any]
    score: float
    layers: float = 1.0
    checkout: Path = ROOT
    has_pool: bool = True
    single: list[list[float]] = field(default_factory=list)
    pool: list[float] = field(default_factory=list)

    def total(self, what: str) -> np.ndarray:
        """Return the seconds of every turn, ``[turns]``."""
        return np.array(self.pool if what == "pool" else [sum(turn) for turn in self.single])

    def rows(self) -> np.ndarray:
        """Return the median seconds of every row, ``[rows]``."""
        return np.median(self.single, axis=0)


class Process:
    """A process that runs one contestant."""

    def __init__(self, plan: dict[str, Any], folder: Path, checkout: Path = ROOT) -> None:
        file, started = folder / "plan.json", time.perf_counter()
        file.write_text(json.dumps(plan))
        paths = os.pathsep.join([str(checkout), str(ROOT / "benchmarks")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "contest.contestants", file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": paths},
        )
        self.start_cpu = self._answer()
        self.start_wall = time.perf_counter() - started

    def ask(self, what: str) -> Any:
        """Send a line, and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a contestant ended early")
        return json.loads(line)


def race(entries: Mapping[str, Entry], folder: Path, repeats: int) -> None:
    """Run all contestants in turns, in which every other time the last comes first; pools after single rows."""
    processes = {name: Process(entry.plan, folder, entry.checkout) for name, entry in entries.items()}
    sizes = {name: _best_batch(entry, processes[name]) for name, entry in entries.items()}
    for process in processes.values():
        process.ask("single")  # which warms up
    for what in ("single", "pool"):
        for turn in range(repeats):
            for name in list(entries)[:: 1 if turn % 2 == 0 else -1]:
                if what == "single":
                    entries[name].single.append(processes[name].ask("single"))
                elif entries[name].has_pool:
                    entries[name].pool.append(processes[name].ask(f"pool {sizes[name]}"))
    for process in processes.values():
        process.end()


def _best_batch(entry: Entry, process: Process) -> int:
    """Return the batch size at which a flat graph runs the pool fastest; the others make batches of their own."""
    if entry.plan["kind"] not in ("ort", "eager") or not entry.has_pool:
        return 0
    return min(BATCHES, key=lambda size: float(process.ask(f"some {size}")))


def ratio(slower: np.ndarray, faster: np.ndarray) -> tuple[float, float, float]:
    """Return the median of the ratios of two contestants' turns, and the quartiles."""
    low, middle, high = np.quantile(slower / faster, (0.25, 0.5, 0.75)).tolist()
    return middle, low, high


def print_table(entries: Mapping[str, Entry], full_score: float) -> None:
    """Print what every contestant took, and its score."""
    columns = f"{'by layers':>10}{'accuracy':>10}{'lost':>7}{'mean ms':>9}{'median':>8}{'p95':>8}{'rows/s, pool':>14}"
    print(f"\n{'contestant':<24}{columns}")
    for name, entry in entries.items():
        rows = 1000 * entry.rows()
        pool = f"{len(entry.plan['pool']) / np.median(entry.pool):>14.1f}" if entry.pool else f"{'-':>14}"
        print(
            f"{name:<24}{entry.layers:>9.2f}x{entry.score:>10.2f}{full_score - entry.score:>7.2f}"
            f"{rows.mean():>9.2f}{np.median(rows):>8.2f}{np.quantile(rows, 0.95):>8.2f}{pool}"
        )


def print_bars(entries: Mapping[str, Entry], bars: Sequence[tuple[str, str, float, str]]) -> None:
    """Print how many times faster one contestant is than another, and whether that is enough."""
    print("\nhow many times faster, by the mean of the rows or by the pool: median of the turns (quartiles)")
    for faster, slower, bar, what in bars:
        if faster in entries and slower in entries:
            middle, low, high = ratio(entries[slower].total(what), entries[faster].total(what))
            verdict = "reached" if middle >= bar else "MISSED"
            pair = f"{what:<7}{faster} / {slower}"
            print(f"{pair:<54}{middle:>6.2f} ({low:.2f} to {high:.2f})  bar {bar:<5g} {verdict}")
