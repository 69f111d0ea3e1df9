"""A Parquet data set scored by the processes of a Ray cluster, or of one that is started here."""

import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ee_lightning.errors import DataError, EarlyExitError, OptionError, first_line
from ee_lightning.extras import require_extra
from ee_lightning.scoring.files import Part, PartWriters, Place, parts_of
from ee_lightning.scoring.scorer import BatchScorer

ROWS = 2048
"""Rows of a block, the part of a data set that an actor takes at once."""
_PATH = "path"  # which Ray calls it
_SECONDS = 5  # that a cluster may take to answer at its address


def score_on_ray(
    model: str,
    input: str,
    output: str,
    *,
    workers: int = 2,
    keeps_order: bool = False,
    told: Callable[[int, int], object] | None = None,
    **options: Any,
) -> tuple[int, int, int]:
    """Score the Parquet files of a folder, each into a file of the same name; files that are there are left alone.

    Rows flow through in blocks, so that memory doesn't grow with the data set. Every actor loads the model once. If an
    actor dies, Ray starts another, which takes over its blocks.

    Args:
        model: As for `BatchScorer`; all machines of the cluster have to see it under this name.
        input: The folder, a file, or an address such as ``s3://bucket/folder``.
        output: The folder of the predictions, or an address.
        workers: Number of actors.
        keeps_order: Whether the rows of a file stay in their order, for which actors may wait for each other.
        told: Is called after every block, with the number of rows that are done and that of all.
        **options: Those of `BatchScorer`.

    Returns:
        How many files were scored, how many rows they have, and how many files were there before.

    Raises:
        MissingExtraError: Ray is not installed.
        DataError: The data set can't be read, or a file lacks the columns of the texts, or has one called ``path``.
        OptionError: The output lies in the input, or is the input, or Ray can't be started.
        EarlyExitError: A block can't be scored; files that are complete stay.
    """
    require_extra("ray")
    source, target = Place.of(input), Place.of(output)
    is_same_system = source.system.type_name == target.system.type_name
    if is_same_system and f"{target.path}/".startswith(f"{source.path}/"):
        hint = "name a folder elsewhere, or its results would be read as texts"
        raise OptionError("the output lies within the input", where=output, hint=hint)
    parts = parts_of(source)
    if is_same_system and any(f"{target.path}/{part.name}" == part.path for part in parts):
        raise OptionError("the output would be the input", where=output, hint="name a folder elsewhere")
    undone = PartWriters.undone(target, parts)
    if undone:
        scorer = BatchScorer(model, **options)  # here first, so that a mistake shows at once
        for part in undone:
            scorer.check(part.schema.names, part.path)
            if _PATH in part.schema.names:
                what = f"there is a column {_PATH!r}, and Ray needs this name for the file of each row"
                raise DataError(what, where=part.path, hint="give the column another name")
        with cluster(workers):
            _score(model, source, target, undone, workers, keeps_order, told, options)
    return len(undone), sum(part.rows for part in undone), len(parts) - len(undone)


def _score(
    model: str,
    source: Place,
    target: Place,
    parts: list[Part],
    workers: int,
    keeps_order: bool,
    told: Callable[[int, int], object] | None,
    options: dict[str, Any],
) -> None:
    import ray
    from ray.data import DataContext

    context = DataContext.get_current()
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context.enable_progress_bars = False
    context.execution_options.preserve_order = keeps_order
    of_schema = dict[pa.Schema, list[str]]()  # read together, rows would get the columns and types of other files
    for part in parts:
        of_schema.setdefault(part.schema, []).append(part.path)
    writers, done = PartWriters(target, parts), 0
    whole = {part.path.removeprefix("/"): part.path for part in parts}
    try:
        for block in (each for paths in of_schema.values() for each in _scored(model, source, paths, workers, options)):
            for path in pc.unique(block[_PATH]).to_pylist():
                some = block.filter(pc.equal(block[_PATH], path)).drop_columns([_PATH])
                for _ in writers.write(whole[path.removeprefix("/")], some):
                    pass
            done += block.num_rows
            if told is not None:
                told(done, sum(part.rows for part in parts))
    except ray.exceptions.RayError as error:
        raise EarlyExitError(
            f"a part can't be scored: {_cause(error)}",
            where=source.path,
            hint="files that are complete stay, and the same command goes on with the others",
        ) from error
    finally:
        writers.give_up()


def _scored(model: str, source: Place, paths: list[str], workers: int, options: dict[str, Any]) -> Iterator[pa.Table]:
    """Score the rows of files of one schema, block by block, each row with the path of its file."""
    import ray
    from ray.data import ActorPoolStrategy

    rows = ray.data.read_parquet(paths, filesystem=source.system, include_paths=True, partitioning=None)
    scored = rows.repartition(target_num_rows_per_block=ROWS).map_batches(
        BatchScorer,
        fn_constructor_args=[model],
        fn_constructor_kwargs=options,
        batch_format="pyarrow",
        batch_size=None,
        compute=ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    yield from scored.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)


def _cause(error: BaseException) -> str:
    """Return what an actor said of the error that ended it, which Ray gives as the text of a traceback."""
    said = re.findall(r"ee_lightning\.errors\.\w+: (.+)", str(error))
    return str(said[-1]) if said else first_line(error)


def _check_there(address: str) -> None:
    """Raise an OSError where nothing listens at ``host:port``, for which Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS).close()


@contextmanager
def cluster(workers: int) -> Iterator[None]:
    """Join the cluster that the variable ``RAY_ADDRESS`` names, or one that runs in this process; else start one."""
    import ray

    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if "RAY_ADDRESS" not in os.environ:  # on loopback, with a processor for what reads beside the actors
        quiet |= {"num_cpus": workers + 1, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        _check_there(os.environ.get("RAY_ADDRESS", ""))
        ray.init(**quiet)
    except Exception as error:  # of many kinds
        hint = "unset RAY_ADDRESS to start Ray here, or start the cluster that it names: ray start --head"
        raise OptionError(f"Ray can't be reached: {first_line(error)}", where="--engine ray", hint=hint) from error
    try:
        yield
    finally:
        ray.shutdown()
