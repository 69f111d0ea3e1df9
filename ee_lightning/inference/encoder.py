"""From rows of texts to samples, with a message for each row that is not one."""

from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from threading import Lock
from typing import Any, cast

from transformers import PreTrainedTokenizerBase

from ee_lightning.data.encoding import check_max_length, encode
from ee_lightning.data.row_files import surrogate_in
from ee_lightning.errors import DataError
from ee_lightning.inference.batches import Sample, samples_of
from ee_lightning.inference.deployment import Deployment

Texts = tuple[str, ...]
"""The text of a row, or its two."""


class TextEncoder:
    """Makes samples of texts, for any number of threads; a fast tokenizer alone is not safe for several.

    Args:
        tokenizer: The model's, a fast one.
        deployment: What the model takes.

    Raises:
        OptionError: The longest row is too long for the tokenizer, or leaves no room for text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, deployment: Deployment) -> None:
        check_max_length(tokenizer, deployment.max_length, pairs=deployment.takes_pairs, option="max_length")
        self.tokenizer, self._deployment, self._lock = tokenizer, deployment, Lock()

    def __call__(self, rows: Sequence[Texts]) -> tuple[list[Sample], int]:
        """Tokenise rows, at least one, and count those that were cut."""
        pairs = [second for _, second in rows] if self._deployment.takes_pairs else None
        with self._lock:
            columns, cut = encode(self.tokenizer, [row[0] for row in rows], pairs, self._deployment.max_length)
        return samples_of(columns), len(cut)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the lock, which belongs to one process."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a state, and a lock of its own."""
        vars(self).update(state, _lock=Lock())

    def check(self, row: object, place: str) -> Texts:
        """Raise an error for what is no row of texts.

        Args:
            row: A text, or two in a tuple or a list.
            place: Where it stands.

        Raises:
            DataError: It isn't one.
        """
        texts = tuple(row) if isinstance(row, tuple | list) else (row,)
        for text in texts:
            if not isinstance(text, str):
                raise DataError(
                    f"a text must be a string, but is {text!r:.60}", where=place, hint="give every text as a string"
                )
            if half := surrogate_in(text):
                raise DataError(
                    f"a text is not valid Unicode: it holds {half!a}, half of a surrogate pair",
                    where=place,
                    hint="decode it with the encoding that it is in, without errors='surrogateescape'",
                )
        expected = self._deployment.text_columns
        if len(texts) != len(expected):
            raise DataError(
                f"the row has {_number_of(texts)}, and {self._deployment.task} takes {_number_of(expected)}",
                where=place,
                hint=f"give {' and '.join(expected)}",
            )
        return texts

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files into a folder."""
        with self._lock:
            self.tokenizer.save_pretrained(folder)


def side_by_side(texts: object, pairs: object) -> Iterable[Any]:
    """Put first and second texts together.

    Args:
        texts: Several texts, or one.
        pairs: As many; None where rows have one text.

    Raises:
        DataError: These are no texts, or not as many.
    """
    firsts = _several(texts, "texts")
    if pairs is None:
        return firsts
    seconds, what = _several(pairs, "pairs"), None
    if isinstance(texts, str) != isinstance(pairs, str):
        kinds = ("one text", "a list") if isinstance(texts, str) else ("a list", "one text")
        what = f"texts is {kinds[0]}, and pairs {kinds[1]}"
    elif len(firsts) != len(seconds):
        what = f"there are {len(firsts)} first texts and {len(seconds)} second ones"
    if what is not None:
        hint = "give two strings, or two lists of the same length"
        raise DataError(what, where="texts and pairs", hint=hint)
    return zip(firsts, seconds, strict=True)


def check_rows(rows: object) -> None:
    """Raise an error for what is no stream of rows.

    Raises:
        DataError: It is one text, or nothing that gives rows.
    """
    if isinstance(rows, str):
        raise DataError(
            "a stream takes many texts, and here is one",
            where="rows",
            hint="wrap it in a list, as in predictor.stream([text]), or call predictor(text)",
        )
    _check_several(rows, "rows")


def _number_of(texts: Sequence[str]) -> str:
    return "one text" if len(texts) == 1 else f"{len(texts)} texts"


def _several(texts: object, where: str) -> list[object]:
    if isinstance(texts, str):
        return [texts]
    return list(_check_several(texts, where))


def _check_several(texts: object, where: str) -> Iterable[object]:
    if (names := _column_names(texts)) is not None:
        named = ", ".join(names)
        raise DataError(
            f"texts are strings, but here is a table of the columns {named:.200} ({type(texts).__name__})",
            where=where,
            hint="give one of its columns, as in list(table['text'])",
        )
    if isinstance(texts, bytes | bytearray | Mapping | Set) or not _can_iterate(texts):
        raise DataError(
            f"texts are strings in an order, but here is {type(texts).__name__}",
            where=where,
            hint="give a list of strings",
        )
    return cast("Iterable[object]", texts)


def _column_names(texts: object) -> list[str] | None:
    """Return what a data frame, an Arrow table or a data set calls its columns; None for what is no table."""
    for attribute in ("column_names", "columns"):
        names = getattr(texts, attribute, None)
        if isinstance(names, Iterable) and not isinstance(texts, Mapping):
            return [str(name) for name in names]
    return None


def _can_iterate(texts: object) -> bool:
    try:
        iter(cast("Iterable[object]", texts))
    except TypeError:
        return False
    return True
