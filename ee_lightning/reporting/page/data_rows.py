"""What a run's data say of the rows whose exits are stored: texts, lengths and floating-point operations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ee_lightning.errors import EarlyExitError
from ee_lightning.exits import StoredExits
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions, evaluated_rows

LONGEST_TEXT = 600


@dataclass(frozen=True)
class Costs:
    """What rows take that leave at each exit.

    Attributes:
        lengths: Tokens of each row, of shape [rows].
        known: The different lengths, ascending, of shape [lengths].
        until: Floating-point operations up to each exit, heads passed included, of shape [lengths, exits].
        full: Those of the full model, of shape [lengths].
    """

    lengths: NDArray[np.int64]
    known: NDArray[np.int64]
    until: NDArray[np.float64]
    full: NDArray[np.float64]


def costs_of(options: RunOptions, exits: StoredExits, split: str) -> Costs | str:
    """Count what the rows take, or say why that can't be known."""
    from ee_lightning.data.tokenised import column  # with what follows, seconds to import
    from ee_lightning.inference.flops import FlopCounter
    from ee_lightning.models.backbones.loading import backbone_config
    from ee_lightning.models.restoring import model_of_shapes

    try:
        lengths = column(evaluated_rows(options.rows().of(split), exits), "length").astype(np.int64)  # [rows]
        config = backbone_config(options.backbone, options.num_layers)
        counter = FlopCounter(model_of_shapes(config, options.task.target, options.heads))
    except EarlyExitError as error:
        return error.what
    known = np.unique(lengths)
    samples = counter.of_lengths(known.tolist())
    until = [[sample.until(layer) for layer in exits.layers_of_exits] for sample in samples]
    return Costs(lengths, known, np.array(until, float), np.array([sample.full for sample in samples], float))


def texts_of(folder: RunFolder, options: RunOptions, ids: Sequence[int], split: str) -> list[tuple[str, ...]] | str:
    """Return the texts of rows, by their ids, from beside the exits or else from the data, or say why not."""
    stored = folder.read_texts(split)
    if stored is not None and stored.keys() >= set(ids):
        return [stored[number] for number in ids]
    return read_texts(options, ids, split)


def read_texts(options: RunOptions, ids: Sequence[int], split: str) -> list[tuple[str, ...]] | str:
    """Read the texts of rows, by their numbers in the data, or say why they can't be read."""
    from ee_lightning.inference.input import OwnRows

    try:
        options.check_rows()
        wanted, found = set(ids), dict[int, tuple[str, ...]]()
        for row in OwnRows(options.task, options.root, split):
            if row.number in wanted:
                found[row.number] = row.texts
                if len(found) == len(wanted):
                    break
    except EarlyExitError as error:
        return error.what
    if missing := len(wanted) - len(found):
        return f"{missing} of {len(wanted)} rows are no longer in the data"
    return [found[number] for number in ids]
