"""What scores one part of a table after the other, in whatever process it is made."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pyarrow as pa

from ee_lightning.data.row_files import Chooser
from ee_lightning.inference.output import prediction_types
from ee_lightning.inference.texts import TextPrediction, input_name
from ee_lightning.runtime.loading import load_predictor

if TYPE_CHECKING:
    import pandas as pd

Batch = TypeVar("Batch", pa.Table, "pd.DataFrame")
_ADVICE = "name the columns of the texts (text_columns, on the command line --text-columns)"


class BatchScorer:
    """Loads a model once, and adds its predictions to every table that it is called with.

    All columns are kept, in their order, and ``label``, ``probability`` (not for regression), ``score`` and
    ``exit_layer`` follow; a column that has one of these names is called ``input_NAME``, see `input_name`. It is made
    in the process that scores, as an actor of Ray or in a task of Spark.

    Args:
        model: A run folder, or what save or export wrote: its folder, or its name on the hub.
        criterion: Such as ``voting(k=0.5)``; None takes the operating point's.
        threshold: In the criterion's unit.
        text_columns: What the tables call the text, or the two texts, if not as the task.
        skip_bad_rows: Give rows whose text is missing no prediction; else they are errors.
        device: Where a model runs that is not exported.
        threads: Number of threads that share an operation on the processor.
        adapter: The full name of your own adapter of the backbone's family, such as ``my_module.MyBackbone``.

    Raises:
        OptionError: The columns are not those of a list, one for each text, or there is no thread.
        EarlyExitError: As of `EarlyExitPredictor` and `EarlyExitRuntime`.

    Example:
        ::

            scorer = BatchScorer("my-graphs")
            scored = scorer(table)  # of pyarrow, or a frame of pandas


            def score(frames):  # for mapInPandas of Spark
                scorer = BatchScorer("my-graphs")
                yield from map(scorer, frames)
    """

    def __init__(
        self,
        model: str,
        *,
        criterion: str | None = None,
        threshold: float | None = None,
        text_columns: Sequence[str] | None = None,
        skip_bad_rows: bool = False,
        device: str = "auto",
        threads: int = 1,
        adapter: str | None = None,
    ) -> None:
        self.predictor = load_predictor(model, criterion, threshold, threads=threads, adapter=adapter, device=device)
        deployment = self.predictor.deployment
        self._choose, self._skips = Chooser(deployment.choices(text_columns), advice=_ADVICE), skip_bad_rows
        self.columns: dict[str, pa.DataType] = prediction_types(deployment.target.kind)
        """The columns that are added, and their types."""

    def __call__(self, batch: Batch) -> Batch:
        """Return a table, or a frame of pandas, with its predictions.

        Raises:
            DataError: It lacks the columns of the texts, or a text is missing or no string.
        """
        if isinstance(batch, pa.Table):
            names = batch.column_names
            kept = batch.rename_columns([input_name(name, self.columns) for name in names])
            for name, column in self._predicted(names, [batch[each].to_pylist() for each in self.check(names)]):
                kept = kept.append_column(name, column)
            return cast(Batch, kept)
        names = [*map(str, batch.columns)]
        frame = batch.rename(columns={name: input_name(name, self.columns) for name in names})
        found = self._predicted(names, [batch[each].tolist() for each in self.check(names)])
        return cast(Batch, frame.assign(**{name: column.to_pandas().array for name, column in found}))

    def check(self, columns: Sequence[str], where: str = "the table") -> tuple[str, ...]:
        """Return which of a table's columns hold the text, or the two texts.

        Raises:
            DataError: It lacks them.
        """
        return self._choose(columns, where).texts

    def _predicted(self, names: Sequence[str], texts: list[list[Any]]) -> Iterator[tuple[str, pa.Array]]:
        rows = [*zip(*texts, strict=True)]
        stream = self.predictor.stream(rows, skip_bad_rows=self._skips)
        found: list[TextPrediction | None] = [None] * len(rows)
        for number, prediction in stream.numbered():
            found[number] = prediction
        for name, kind in self.columns.items():
            yield name, pa.array([None if each is None else getattr(each, name) for each in found], kind)
