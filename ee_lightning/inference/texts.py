"""Predictions for texts, one after the other."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from ee_lightning.inference.encoder import TextEncoder
from ee_lightning.inference.engine import EarlyExitEngine
from ee_lightning.inference.predictions import Predictions
from ee_lightning.inference.samples import Sample


class TextPrediction(NamedTuple):
    """What is predicted for a text, or for two.

    Attributes:
        label: The label's word, or for regression the value.
        probability: The label's, at the exit where the text left; None for regression.
        score: The criterion's score there; below the threshold where no exit let the text leave.
        exit_layer: The number of that exit, from 1.
        trail: The logits of all exits up to there, one list an exit; None unless asked for.
    """

    label: str | float
    probability: float | None
    score: float
    exit_layer: int
    trail: list[list[float]] | None = None


class TextStream(Iterator[TextPrediction]):
    """Predictions for a stream of texts, in its order, as they are asked for.

    Args:
        rows: The texts, or pairs of them.
        encoder: Makes samples of them.
        engine: Predicts samples.
        words: A word for each label; none for regression.

    Attributes:
        num_cut: How many of the texts taken so far were too long, and were cut.
    """

    def __init__(
        self, rows: Iterable[object], encoder: TextEncoder, engine: EarlyExitEngine, words: Sequence[str]
    ) -> None:
        self.num_cut = 0
        samples = self._samples(rows, encoder, engine.batch_size)
        self._chunks = (_in_words(predictions, words) for predictions in engine.predict(samples))
        self._predictions = chain.from_iterable(self._chunks)

    def __next__(self) -> TextPrediction:
        """Give the next prediction."""
        return next(self._predictions)

    def chunks(self) -> Iterator[list[TextPrediction]]:
        """Give the predictions in the portions in which the engine makes them; instead of one by one."""
        return self._chunks

    def _samples(self, rows: Iterable[object], encoder: TextEncoder, at_once: int) -> Iterator[Sample]:
        checked = (encoder.check(row, f"row {number}") for number, row in enumerate(rows))
        while some := list(islice(checked, at_once)):
            samples, num_cut = encoder(some)
            self.num_cut += num_cut
            yield from samples


def _in_words(predictions: Predictions, words: Sequence[str]) -> list[TextPrediction]:
    probabilities: list[float] | list[None] = [None] * len(predictions)
    if words:
        chosen = predictions.labels.unsqueeze(1)  # [samples, 1]
        probabilities = predictions.logits.softmax(-1).gather(1, chosen).squeeze(1).tolist()  # [samples]
    return [
        TextPrediction(
            label=words[int(each.label)] if words else each.label,
            probability=probability,
            score=each.score,
            exit_layer=each.exit_layer,
            trail=None if each.trail is None else each.trail.tolist(),
        )
        for each, probability in zip(predictions, probabilities, strict=True)
    ]
