"""Labels that are vectors of 0 and 1, an entry for each label, and not lists of labels."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from ee_lightning.data.sources.label_lists import Part
from ee_lightning.data.task import NO_LABEL

FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1, "false": 0, "true": 1}
"""What stands for 0 and 1."""

UNKNOWN = {"-1": NO_LABEL, "-1.0": NO_LABEL}
_OTHER = 2


class Vectors(NamedTuple):
    """What the lists of a column are, if they are multi-hot vectors.

    Attributes:
        length: The number of entries that all lists have, two or more, which are 0 and 1 throughout; None if they
            have not.
        row: A row that holds 0 or 1 twice and is no list of different labels; None if there is none.
    """

    length: int | None
    row: int | None


def find_vectors(parts: Iterable[Part], *, with_unknown: bool) -> Vectors:
    """Look for multi-hot vectors in a column.

    Args:
        parts: The labels of all rows.
        with_unknown: Whether -1 may stand for what is not known.
    """
    lengths: set[int] = set()
    first, has_others = None, False
    for part in parts:
        flags = flags_of(part, with_unknown=with_unknown)
        is_flag = flags != _OTHER
        counts = np.bincount(part.rows, minlength=len(part.is_known))  # [rows]
        is_twice = [np.bincount(part.rows[flags == flag], minlength=len(counts)) > 1 for flag in (0, 1, NO_LABEL)]
        is_vector = np.any(is_twice, axis=0) & (np.bincount(part.rows[is_flag], minlength=len(counts)) == counts)
        if first is None and is_vector.any():
            first = part.start + int(is_vector.argmax())
        lengths.update(np.unique(counts[part.is_known]).tolist())
        has_others = has_others or not is_flag.all()
    is_one = len(lengths) == 1 and min(lengths) > 1 and not has_others
    return Vectors(min(lengths) if is_one else None, first)


def flags_of(part: Part, *, with_unknown: bool) -> NDArray[np.int8]:
    """Return 0, 1 or -1 for each entry that says so, and 2 for any other, [labels]."""
    known = FLAGS | UNKNOWN if with_unknown else FLAGS
    distinct = part.words.unique()
    places = pc.index_in(part.words, value_set=distinct).to_numpy(zero_copy_only=False)  # [labels]
    flags: NDArray[np.int8] = np.asarray([known.get(word, _OTHER) for word in distinct.to_pylist()], np.int8)[places]
    return flags
