"""Texts in, predictions out, whatever runs the model; importing it loads no torch."""

from collections.abc import Iterable
from typing import Any, overload

from ee_lightning.errors import listed
from ee_lightning.exits.placement import Layers
from ee_lightning.inference.batches import Sample
from ee_lightning.inference.deployment import Deployment
from ee_lightning.inference.schedule import Engine
from ee_lightning.inference.texts import TextEncoder, TextPrediction, Texts, TextStream, rows_of, side_by_side
from ee_lightning.notebook import html_table


class TextPredictor:
    """Predicts texts, each by as few layers as its criterion allows.

    Args:
        deployment: What is predicted, and when samples leave.
        encoder: Makes samples of texts.
        engine: Predicts samples.
        layers_of_exits: The layer after which each exit stands.
    """

    def __init__(self, deployment: Deployment, encoder: TextEncoder, engine: Engine, layers_of_exits: Layers) -> None:
        self.deployment, self._encoder, self.engine = deployment, encoder, engine
        self.layers_of_exits = layers_of_exits

    def _repr_html_(self) -> str:
        """Return what it predicts, by what model and rule, as a table for a notebook."""
        deployed = self.deployment
        lines = [
            ("task", deployed.task),
            ("texts", " and ".join(deployed.text_columns)),
            ("predicts", listed(deployed.label_names) or "a value"),
            ("exits after layers", ", ".join(map(str, self.layers_of_exits))),
            ("rule", deployed.rule),
        ]
        return html_table(type(self).__name__, ["", ""], lines)

    @overload
    def __call__(self, texts: str, pairs: str | None = None) -> TextPrediction: ...
    @overload
    def __call__(self, texts: Iterable[Any], pairs: Iterable[str] | None = None) -> list[TextPrediction]: ...
    def __call__(
        self, texts: str | Iterable[Any], pairs: str | Iterable[str] | None = None
    ) -> TextPrediction | list[TextPrediction]:
        """Predict one text or several, or the pairs of them and others, or the rows of a table.

        Args:
            texts: A text, several, or a table: a data frame, a `datasets.Dataset`, or a mapping from names to columns.
                Its columns of texts have the task's names, or the usual ones, such as ``sentence`` or ``text``.
            pairs: For tasks on two texts the second one, or as many as there are texts.

        Returns:
            One prediction for one text, else a list with one for each.

        Raises:
            DataError: A text is no string, there is one too many or too few, or a table lacks the columns; rows are
                counted from 0.
        """
        predictions = list(self.stream(self._rows(texts, pairs)))
        return predictions[0] if isinstance(texts, str) and (pairs is None or isinstance(pairs, str)) else predictions

    def _rows(self, texts: str | Iterable[Any], pairs: str | Iterable[str] | None) -> Iterable[Any]:
        if isinstance(texts, str) and pairs is None:
            return [texts]
        return rows_of(texts, self._encoder.choose) if pairs is None else side_by_side(texts, pairs)

    def tokenise(self, texts: str | Iterable[Any], pairs: str | Iterable[str] | None = None) -> list[Sample]:
        """Return what the model takes of texts, or of pairs of them.

        Raises:
            DataError: As for predictions.
        """
        rows = [self._encoder.check(row, f"row {number}") for number, row in enumerate(self._rows(texts, pairs))]
        return self._encoder(rows)[0] if rows else []

    def texts_of(self, row: object) -> Texts:
        """Return the one text of a row, or its two; a row is as in a stream.

        Raises:
            DataError: It has no such texts.
        """
        return self._encoder.check(row, "row 0")

    def encode(self, texts: Texts) -> tuple[Sample, bool]:
        """Return what the model takes of a row, its one text or its two, and whether it was cut."""
        (sample,), num_cut = self._encoder([texts])
        return sample, bool(num_cut)

    def stream(self, rows: Iterable[Any], *, skip_bad_rows: bool = False) -> TextStream:
        """Predict a stream of texts of any length, in memory that does not grow with it.

        Args:
            rows: Strings, or for tasks on two texts pairs of strings; mappings that hold them by name, as the rows of a
                data set do; or a table. No more are taken than are needed next.
            skip_bad_rows: Leave out what is no text, and count it.

        Returns:
            An iterator over the predictions, in their order, which also counts the texts that were cut and the rows
            that were left out; its `TextStream.numbered` gives each prediction with its row. Where it meets what
            is no text, it predicts the rows before, and then raises a `DataError` with the row counted from 0.

        Raises:
            DataError: It is one text, nothing that gives rows, or a table that lacks the columns.
        """
        rows = rows_of(rows, self._encoder.choose)
        return TextStream(rows, self._encoder, self.engine, self.deployment, skip_bad_rows=skip_bad_rows)
