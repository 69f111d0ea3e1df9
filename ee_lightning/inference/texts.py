"""From rows of texts to samples, and to predictions for them, one after the other."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set, Sized
from itertools import chain, compress, islice
from threading import Lock
from typing import Any, NamedTuple, cast

from ee_lightning.data.row_files import Chooser, surrogate_in
from ee_lightning.errors import DataError
from ee_lightning.functional import Kind, namespace, sigmoid, softmax
from ee_lightning.inference.batches import Predictions, Sample
from ee_lightning.inference.deployment import Deployment
from ee_lightning.inference.schedule import Engine

Texts = tuple[str, ...]
"""The text of a row, or its two."""
_MOST_LISTED = 10


class LeavesOut:
    """Leaves bad rows out, and counts them.

    Attributes:
        num_bad: How many rows were left out so far.
        bad: The first ten of them, place and reason.
    """

    def __init__(self) -> None:
        self.num_bad = 0
        self.bad: list[str] = []

    def leave_out(self, place: str, reason: str) -> None:
        """Count a row that is left out."""
        self.num_bad += 1
        if self.num_bad <= _MOST_LISTED:
            self.bad.append(f"{place}: {reason}")


class TextEncoder(ABC):
    """Makes samples of texts, for any number of threads; a tokenizer alone is not safe for several.

    Args:
        deployment: What the model takes.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment, self._lock = deployment, Lock()
        self.choose = Chooser(deployment.text_choices, advice="rename its columns, or give one, as in table['text']")

    def __call__(self, rows: Sequence[Texts]) -> tuple[list[Sample], int]:
        """Tokenise rows, at least one, and count those that were cut."""
        pairs = [second for _, second in rows] if self._deployment.takes_pairs else None
        with self._lock:
            return self.encode([row[0] for row in rows], pairs)

    @abstractmethod
    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None) -> tuple[list[Sample], int]:
        """Tokenise texts, or pairs of them, and count those that were cut."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}  # which belongs to one process

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=Lock())

    def check(self, row: object, place: str) -> Texts:
        """Return the texts of a row: a text, two in a tuple or a list, or a mapping; a DataError if it is none."""
        if isinstance(row, Mapping):
            row = tuple(row[name] for name in self.choose(list(row), place).texts)
        texts = tuple(row) if isinstance(row, tuple | list) else (row,)
        for text in texts:
            if not isinstance(text, str):
                what = f"a text must be a string, but is {text!r:.60}"
                raise DataError(what, where=place, hint="give every text as a string")
            if half := surrogate_in(text):
                what = f"a text is not valid Unicode: it holds {half!a}, half of a surrogate pair"
                hint = "decode it with the encoding that it is in, without errors='surrogateescape'"
                raise DataError(what, where=place, hint=hint)
        expected = self._deployment.text_columns
        if len(texts) != len(expected):
            numbers = ["one text" if len(some) == 1 else f"{len(some)} texts" for some in (texts, expected)]
            what = f"the row has {numbers[0]}, and {self._deployment.task} takes {numbers[1]}"
            raise DataError(what, where=place, hint=f"give {' and '.join(expected)}")
        return texts


def rows_of(texts: object, choose: Chooser) -> Iterable[Any]:
    """Return the rows of several texts, of rows of texts, or of a table, of which it picks the columns of the texts.

    Args:
        texts: What gives texts, rows or a table: a data frame, a data set, or a mapping from names to columns.
        choose: Picks the columns.

    Raises:
        DataError: It is one text, nothing that gives rows in an order, or a table that lacks the columns.
    """
    if isinstance(texts, str):
        hint = "wrap it in a list, as in predictor.stream([text]), or call predictor(text)"
        raise DataError("a stream takes many texts, and here is one", where="rows", hint=hint)
    if (header := _header(texts)) is None:
        return _several(texts, "texts")
    names = choose(header, "texts").texts
    columns = [cast("Mapping[str, Any]", texts)[name] for name in names]
    columns = [column.to_pylist() if hasattr(column, "to_pylist") else column for column in columns]  # of Arrow
    for name, column in zip(names, columns, strict=True):
        if isinstance(column, str):
            raise DataError("a column is a list of texts, and here is one", where=name, hint="wrap it in a list")
        _several(column, name)
    sizes = [len(column) for column in columns if isinstance(column, Sized)]
    if len(set(sizes)) > 1:
        what = f"the columns {' and '.join(names)} have {' and '.join(map(str, sizes))} rows"
        raise DataError(what, where="texts", hint="give as many of each")
    return zip(*columns, strict=True)


def side_by_side(texts: object, pairs: object) -> Iterable[Any]:
    """Put first and second texts together, one each or several; raise a DataError if they are none, or not as many."""
    firsts, seconds = (
        [given] if isinstance(given, str) else list(_several(given, where))
        for given, where in ((texts, "texts"), (pairs, "pairs"))
    )
    what = None
    if isinstance(texts, str) != isinstance(pairs, str):
        kinds = ("one text", "a list") if isinstance(texts, str) else ("a list", "one text")
        what = f"texts is {kinds[0]}, and pairs {kinds[1]}"
    elif len(firsts) != len(seconds):
        what = f"there are {len(firsts)} first texts and {len(seconds)} second ones"
    if what is not None:
        hint = "give two strings, or two lists of the same length"
        raise DataError(what, where="texts and pairs", hint=hint)
    return zip(firsts, seconds, strict=True)


def _header(table: object) -> list[str] | None:
    """Return the names of a table's columns: a mapping's, a data frame's, an Arrow table's or a data set's."""
    names = table.keys() if isinstance(table, Mapping) else None
    if names is None and hasattr(type(table), "__getitem__"):
        names = getattr(table, "column_names", getattr(table, "columns", None))
    return [str(name) for name in names] if isinstance(names, Iterable) else None


def _several(texts: object, where: str) -> Iterable[object]:
    if (header := _header(texts)) is not None:
        what = (
            f"texts are strings, but here is a table of the columns {', '.join(header):.200} ({type(texts).__name__})"
        )
        raise DataError(what, where=where, hint="give the table alone, or one of its columns, as in table['text']")
    try:
        iter(cast("Iterable[object]", texts))
        can_iterate = not isinstance(texts, bytes | bytearray | Set)
    except TypeError:
        can_iterate = False
    if not can_iterate:
        what = f"texts are strings in an order, but here is {type(texts).__name__}"
        raise DataError(what, where=where, hint="give a list of strings")
    return cast("Iterable[object]", texts)


class TextPrediction(NamedTuple):
    """What is predicted for a text, or for two.

    Attributes:
        label: The label's word, or for regression the value; of several labels the words of those that are there.
        probability: The label's, at the exit where the text left; None for regression; of several labels a list with
            that of each one that is there.
        score: The criterion's score there; below the threshold where no exit let the text leave.
        exit_layer: The number of that exit, from 1.
        trail: The logits of all exits up to there, one list an exit; None unless asked for.
    """

    label: str | float | list[str]
    probability: float | list[float] | None
    score: float
    exit_layer: int
    trail: list[list[float]] | None = None


def input_name(name: str, added: Collection[str]) -> str:
    """Return what an input's column is called beside columns that are added to it: none is called as another.

    Example:
        >>> [input_name(name, ["label"]) for name in ("text", "label", "input_label")]
        ['text', 'input_label', 'input_input_label']
    """
    bare = name
    while bare.startswith("input_"):
        bare = bare.removeprefix("input_")
    return f"input_{name}" if bare in added else name


class TextStream(LeavesOut, Iterator[TextPrediction]):
    """Predictions for a stream of texts, or pairs of them, in its order, as they are asked for.

    If it meets a row that is not a text, or the rows end in an error, it predicts all that comes before first, and then
    raises; or with `skip_bad_rows` leaves out what is no text, and counts it.

    Attributes:
        num_cut: How many of the texts taken so far were too long, and were cut.
    """

    def __init__(
        self,
        rows: Iterable[object],
        encoder: TextEncoder,
        engine: Engine,
        deployment: Deployment,
        *,
        skip_bad_rows: bool = False,
    ) -> None:
        super().__init__()
        self.num_cut = 0
        self._encoder, self._skips = encoder, skip_bad_rows
        self._numbers = deque[int]()
        self._error: Exception | None = None
        self._portions = self._predict(rows, engine, deployment)
        self._numbered = chain.from_iterable(self._portions)

    def __next__(self) -> TextPrediction:
        return next(self._numbered)[1]

    def numbered(self) -> Iterator[tuple[int, TextPrediction]]:
        """Return each prediction with the number of its row, from 0, rows left out included; instead of it alone."""
        return self._numbered

    def chunks(self) -> Iterator[list[TextPrediction]]:
        """Return the predictions in the portions in which the engine makes them; instead of one by one."""
        return ([prediction for _, prediction in portion] for portion in self._portions)

    def _predict(
        self, rows: Iterable[object], engine: Engine, deployment: Deployment
    ) -> Iterator[list[tuple[int, TextPrediction]]]:
        for predictions in engine.predict(self._samples(rows, engine.batch_size)):
            worded = in_words(predictions, deployment.label_names, deployment.target.kind)
            yield [(self._numbers.popleft(), each) for each in worded]
        if self._error is not None:
            raise self._error

    def _samples(self, rows: Iterable[object], at_once: int) -> Iterator[Sample]:
        checked = self._checked(rows)
        while some := list(islice(checked, at_once)):
            samples, num_cut = self._encoder(some)
            self.num_cut += num_cut
            yield from samples

    def _checked(self, rows: Iterable[object]) -> Iterator[Texts]:
        """Return the texts up to an error, which is kept until they are predicted."""
        try:
            for number, row in enumerate(rows):
                try:
                    texts = self._encoder.check(row, f"row {number}")
                except DataError as error:
                    if not self._skips:
                        raise
                    self.leave_out(f"row {number}", error.what)
                    continue
                self._numbers.append(number)
                yield texts
        except Exception as error:
            self._error = error


def in_words(predictions: Predictions, words: Sequence[str], kind: Kind) -> list[TextPrediction]:
    """Return the predictions with words for labels, and their probabilities, one or a list of them a sample."""
    labels: Sequence[Any] = predictions.labels.tolist()  # [samples], or [samples, labels]
    probabilities: Sequence[Any] = [None] * len(labels)
    if words and kind is Kind.MULTI_LABEL:
        probabilities = sigmoid(predictions.logits).tolist()  # [samples, labels]
        probabilities = [[*compress(row, there)] for row, there in zip(probabilities, labels, strict=True)]
        labels = [[*compress(words, there)] for there in labels]
    elif words:
        every, xp = softmax(predictions.logits), namespace(predictions.logits)  # [samples, classes]
        probabilities = every[xp.arange(len(labels)), predictions.labels].tolist()  # [samples]
        labels = [words[number] for number in labels]
    trails = [None if each.trail is None else each.trail.tolist() for each in predictions]
    columns = (labels, probabilities, predictions.scores.tolist(), predictions.exit_layers.tolist(), trails)
    return [TextPrediction(*fields) for fields in zip(*columns, strict=True)]
