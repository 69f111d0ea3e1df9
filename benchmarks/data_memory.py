"""What `fit` takes of memory and time to read, check, tokenise and keep a Parquet file of many short rows.

    python benchmarks/data_memory.py
    python benchmarks/data_memory.py --rows 100000 10000000    # about 4 GB on the disk while it runs

For every number of --rows a file of sentences and labels is written, a row group at a time, and `ee-lightning fit` run
on it twice in a process of its own: the whole file is read, a tenth held out for validation, all of it checked,
tokenised and kept, but no more than --steps batches are trained on and validated. The second time it takes the cache.

Prints of each run the seconds, and the peak over the run of the memory of the process and its children, sampled five
times a second from /proc: *anonymous* is what the machine has to hold in memory; *with files* counts the pages of
mapped files too (each shared page in part), which the system takes back when it needs the room. Beside them what a row
adds to the run with the number of rows before. Needs Linux.
"""

import os
import subprocess
import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROW_GROUP, WORDS_A_ROW, EVERY = 100_000, 3, 0.2
LABELS = pa.array(["complaint", "praise", "question"])
WORDS = pa.array(("film", "story", "plot", "scene", "actor", "was", "very", "quite", "warm", "dull", "empty", "never"))


class Peak(NamedTuple):
    """What a run took.

    Attributes:
        seconds: From start to end.
        anonymous: The peak of the memory that belongs to no file, in bytes.
        with_files: The peak of that and the mapped pages of files, in bytes.
    """

    seconds: float
    anonymous: int
    with_files: int


def write_rows(path: Path, num_rows: int) -> None:
    """Write a Parquet file, a row group at a time."""
    random = np.random.default_rng(0)
    with pq.ParquetWriter(path, pa.schema({"text": pa.string(), "label": pa.string()})) as file:
        for start in range(0, num_rows, ROW_GROUP):
            count = min(ROW_GROUP, num_rows - start)
            words = [WORDS.take(pa.array(random.integers(0, len(WORDS), count))) for _ in range(WORDS_A_ROW)]
            numbers = pa.array(range(start, start + count)).cast(pa.string())
            labels = LABELS.take(pa.array(random.integers(0, len(LABELS), count)))
            file.write_table(pa.table({"text": pc.binary_join_element_wise(*words, numbers, " "), "label": labels}))


def memory_of(pid: int) -> tuple[int, int]:
    """Return the anonymous memory of a process and its children, and that with mapped files, in bytes."""
    anonymous = with_files = 0
    for each in tree(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:  # it has ended
            continue
        kilobytes = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
        anonymous, with_files = anonymous + kilobytes["Anonymous"], with_files + kilobytes["Pss"]
    return 1024 * anonymous, 1024 * with_files


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            below = children.read_text().split()
        except OSError:  # its thread has ended
            continue
        for child in below:
            yield from tree(int(child))


def fit(rows: Path, folder: Path, options: Namespace) -> Peak:
    """Run `fit` once and watch it."""
    command = [
        *(sys.executable, "-m", "ee_lightning", "fit", "--run.root", str(folder / "runs")),
        *("--data.task", "letters", "--data.root", str(rows), "--data.own.text_columns", "[text]"),
        *("--data.max_length", "32", "--model.backbone", options.backbone, "--model.num_layers", "2"),
        *("--trainer.max_epochs", "1", "--trainer.limit_train_batches", str(options.steps)),
        *("--trainer.limit_val_batches", str(options.steps), "--trainer.accelerator", "cpu"),
        *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
    ]
    environment = {**os.environ, "EE_LIGHTNING_CACHE": str(folder / "cache")}
    started, peaks = perf_counter(), [0, 0]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peaks = [max(pair) for pair in zip(peaks, memory_of(process.pid), strict=True)]
            sleep(EVERY)
    if process.returncode:
        raise SystemExit((folder / "log.txt").read_text())
    return Peak(perf_counter() - started, *peaks)


def report(num_rows: int, which: str, peak: Peak, before: tuple[int, Peak] | None) -> None:
    added = ""
    if before is not None:
        added = f"{(peak.anonymous - before[1].anonymous) / (num_rows - before[0]):14.1f}"
    megabytes = f"{peak.anonymous / 2**20:11.0f} {peak.with_files / 2**20:12.0f}"
    print(f"{num_rows:12,} {which:>7} {peak.seconds:9.0f} {megabytes} {added}", flush=True)


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="how many rows, ascending")
    parser.add_argument("--backbone", default="packaged:all-minilm-l6-v2", help="whose tokenizer and first two layers")
    parser.add_argument("--steps", type=int, default=2, help="training steps, and batches of validation")
    parser.add_argument("--folder", type=Path, help="where to write; the system's temporary folder if left out")
    options = parser.parse_args()
    print(f"{'rows':>12} {'run':>7} {'seconds':>9} {'anonymous':>11} {'with files':>12} {'bytes a row':>14}   (MiB)")
    before: dict[str, tuple[int, Peak]] = {}
    for num_rows in options.rows:
        with TemporaryDirectory(dir=options.folder) as name:
            rows = Path(name) / "letters.parquet"
            write_rows(rows, num_rows)
            for which in ("first", "second"):
                peak = fit(rows, Path(name), options)
                report(num_rows, which, peak, before.get(which))
                before[which] = (num_rows, peak)


if __name__ == "__main__":
    main()
