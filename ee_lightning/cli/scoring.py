"""``predict --engine ray``: a data set scored by many processes."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from ee_lightning.errors import OptionError, counted, listed
from ee_lightning.extras import require_extra

SILENCE = 30
"""After how many seconds the progress is printed again."""


def score(
    model: str,
    input: Path | None,
    output: Path | None,
    *,
    workers: int,
    keeps_order: bool,
    others: Mapping[str, object],
    options: dict[str, Any],
) -> None:
    """Score the Parquet files of a folder, and print how it goes on.

    Args:
        model: A run folder, or what save or export wrote.
        input: The folder or the file; of an address the path that it makes.
        output: The folder of the predictions.
        workers: Number of actors.
        keeps_order: Whether rows stay in their order.
        others: Options that only one process has, by name; those that are given are errors.
        options: Those of `BatchScorer`.

    Raises:
        OptionError: The input, the output or another option makes no sense.
    """
    if given := [name for name, value in others.items() if value]:
        raise OptionError(f"--engine ray has no {listed(given)}", where="the command line", hint="leave it out")
    if input is None or output is None:
        hint = "give --input FOLDER of Parquet files, and --output FOLDER for the predictions"
        raise OptionError("--engine ray scores folders", where="the command line", hint=hint)
    require_extra("ray")
    from ee_lightning.scoring.on_ray import score_on_ray

    said = started = perf_counter()

    def told(done: int, rows: int) -> None:
        nonlocal said
        if perf_counter() - said > SILENCE:
            said = perf_counter()
            print(f"{done} of {rows} rows", file=sys.stderr)

    files, rows, skipped = score_on_ray(
        model, _address(input), _address(output), workers=workers, keeps_order=keeps_order, told=told, **options
    )
    seconds = perf_counter() - started
    print(f"{counted(rows, 'row')} in {counted(files, 'file')}, {rows / seconds:.0f} a second with the start of Ray")
    if skipped:
        print(f"{counted(skipped, 'file')} left alone, which had been scored before")
    print(f"saved: {_address(output)}")


def _address(path: Path) -> str:
    """Return a path as it was given, where it was an address, which has lost slashes; a file's is that of the file."""
    return re.sub(r"^(\w{2,}):/(?!/)", r"\1://", str(path).removeprefix("file:"))
