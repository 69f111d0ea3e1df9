"""Predictions for texts, one after the other."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, islice
from typing import NamedTuple

from ee_lightning.errors import DataError
from ee_lightning.functional import Kind
from ee_lightning.inference.batches import Predictions, Sample
from ee_lightning.inference.encoder import TextEncoder, Texts
from ee_lightning.inference.engine import EarlyExitEngine
from ee_lightning.inference.input import LeavesOut


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


class TextStream(LeavesOut, Iterator[TextPrediction]):
    """Predictions for a stream of texts, in its order, as they are asked for.

    If it meets a row that is not a text, or the rows end in an error, it predicts all that comes before first, and then
    raises.

    Args:
        rows: The texts, or pairs of them.
        encoder: Makes samples of them.
        engine: Predicts samples.
        words: A word for each label; none for regression.
        skip_bad_rows: Leave out what is no text, and count it.

    Attributes:
        num_cut: How many of the texts taken so far were too long, and were cut.
    """

    def __init__(
        self,
        rows: Iterable[object],
        encoder: TextEncoder,
        engine: EarlyExitEngine,
        words: Sequence[str],
        *,
        skip_bad_rows: bool = False,
    ) -> None:
        super().__init__()
        self.num_cut = 0
        self._encoder, self._skips = encoder, skip_bad_rows
        self._numbers = deque[int]()
        self._error: Exception | None = None
        self._portions = self._predict(rows, engine, words)
        self._numbered = chain.from_iterable(self._portions)

    def __next__(self) -> TextPrediction:
        """Return the next prediction."""
        return next(self._numbered)[1]

    def numbered(self) -> Iterator[tuple[int, TextPrediction]]:
        """Return each prediction with the number of its row, from 0, rows left out included; instead of it alone."""
        return self._numbered

    def chunks(self) -> Iterator[list[TextPrediction]]:
        """Return the predictions in the portions in which the engine makes them; instead of one by one."""
        return ([prediction for _, prediction in portion] for portion in self._portions)

    def _predict(
        self, rows: Iterable[object], engine: EarlyExitEngine, words: Sequence[str]
    ) -> Iterator[list[tuple[int, TextPrediction]]]:
        for predictions in engine.predict(self._samples(rows, engine.batch_size)):
            worded = _in_words(predictions, words, engine.model.target.kind)
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
                if (texts := self._texts_of(number, row)) is not None:
                    self._numbers.append(number)
                    yield texts
        except Exception as error:
            self._error = error

    def _texts_of(self, number: int, row: object) -> Texts | None:
        place = f"row {number}"
        try:
            return self._encoder.check(row, place)
        except DataError as error:
            if not self._skips:
                raise
            self.leave_out(place, error.what)
            return None


def _in_words(predictions: Predictions, words: Sequence[str], kind: Kind) -> list[TextPrediction]:
    labels, probabilities = _worded(predictions, words, kind)
    return [
        TextPrediction(
            label=label,
            probability=probability,
            score=each.score,
            exit_layer=each.exit_layer,
            trail=None if each.trail is None else each.trail.tolist(),
        )
        for each, label, probability in zip(predictions, labels, probabilities, strict=True)
    ]


def _worded(
    predictions: Predictions, words: Sequence[str], kind: Kind
) -> tuple[Sequence[str | float | list[str]], Sequence[float | list[float] | None]]:
    """Return the labels in words, and their probabilities, one or a list of them a sample."""
    said = predictions.labels.tolist()  # [samples], or [samples, labels]
    if not words:
        return said, [None] * len(said)
    if kind is Kind.MULTI_LABEL:
        likely = predictions.logits.sigmoid().tolist()  # [samples, labels]
        kept = [(compress(words, there), compress(row, there)) for there, row in zip(said, likely, strict=True)]
        return [[*names] for names, _ in kept], [[*shares] for _, shares in kept]
    chosen = predictions.labels.unsqueeze(1)  # [samples, 1]
    likely = predictions.logits.softmax(-1).gather(1, chosen).squeeze(1).tolist()  # [samples]
    return [words[number] for number in said], likely
