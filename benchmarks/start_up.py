"""Times how long commands take to start: predicting one row, and the help texts.

A second checkout can be named, to compare with.

    python benchmarks/start_up.py [--other CHECKOUT] [--repeats 5]

Each command is a process of its own, with one thread. Both checkouts take turns, and the ratios are those of one turn.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).parents[1]
MODEL = HERE / "tests" / "fixtures" / "saved_model_0.1.0"
COMMANDS = {
    "import of the predictor": ("-c", "import ee_lightning.inference"),
    "predict, one row": ("-m", "ee_lightning", "predict", str(MODEL), "--input", "row.txt", "--output", "out.csv"),
    "fit --help": ("-m", "ee_lightning", "fit", "--help"),
    "--help": ("-m", "ee_lightning", "--help"),
}


def seconds(arguments: tuple[str, ...], checkout: Path, folder: Path) -> tuple[float, float]:
    """Run a command and return its CPU seconds and its wall seconds."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=Path, help="another checkout of this project, to compare with")
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    checkouts = [HERE, *([chosen.other.resolve()] if chosen.other else [])]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "row.txt").write_text("a lovely film\n", encoding="utf-8")
        for name, arguments in COMMANDS.items():
            turns = [
                [seconds(arguments, checkout, Path(folder)) for checkout in checkouts] for _ in range(chosen.repeats)
            ]
            line = f"{name:<24}"
            for number in range(len(checkouts)):
                cpu, wall = (median(turn[number][kind] for turn in turns) for kind in (0, 1))
                line += f"  {'here' if number == 0 else 'other'} {cpu:5.2f} CPU s, {wall:5.2f} s"
            if len(checkouts) > 1:
                ratio = median(here[0] / other[0] for here, other in turns)
                line += f"  ratio of CPU {ratio:.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
