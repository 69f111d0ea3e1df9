"""What the commands share that run a trained model."""

from collections.abc import Iterator
from math import inf
from typing import Annotated, Unpack

from ee_lightning.analysis.choice import one_sided
from ee_lightning.errors import DataError
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.inference.input import Row
from ee_lightning.inference.policy import ExitPolicy
from ee_lightning.inference.predictor import PredictorOptions
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions

Model = Annotated[str, "RUN"]


def is_run(model: str) -> bool:
    """Whether a model is that of a run folder."""
    return RunFolder(model).config.is_file()


def warn_of_threshold(rule: ExitPolicy, mean_exit: float, num_exits: int, samples: str) -> None:
    """Warn where a threshold that a user gave lets all samples leave at once, or none early; infinity is meant so."""
    is_meant = rule.operating_point is not None or rule.threshold == inf
    if not is_meant and (found := one_sided(mean_exit, num_exits, samples)):
        print(f"warning: {found}")


def load(
    model: str, criterion: str | None, threshold: float | None, **others: Unpack[PredictorOptions]
) -> EarlyExitPredictor:
    """Load the model that was chosen.

    Args:
        model: Of a run folder, or what save wrote.
        criterion: When samples leave it; that of the operating point if None.
        threshold: In the criterion's unit.
        **others: Options of `EarlyExitPredictor`.

    Raises:
        EarlyExitError: As `EarlyExitPredictor.from_run` and `EarlyExitPredictor.from_pretrained` say.
    """
    make = EarlyExitPredictor.from_run if is_run(model) else EarlyExitPredictor.from_pretrained
    return make(model, criterion=criterion, threshold=threshold, **others)


class OwnRows:
    """The rows of a run's test split, from where the run had its data.

    Args:
        options: The run's.

    Attributes:
        size: How many rows there are.
        done: How many of them were given.
        files: The names of the files that they are numbered in.

    Raises:
        DataError: They are not available.
    """

    def __init__(self, options: RunOptions) -> None:
        from ee_lightning.data.sources import open_source  # which takes seconds to import

        try:
            source = open_source(options.root, options.task)
            self._rows, self.files = source.load("test"), source.files("test")
        except DataError as error:
            raise DataError(
                error.what,
                where=error.where,
                hint="bring the run's data back to where its config.yaml says (data.root), or give rows: --input FILE",
            ) from error
        self.size, self.done = len(self._rows), 0

    def __iter__(self) -> Iterator[Row]:
        """Return the rows, in the order of the split."""
        from ee_lightning.data.arrow_files import NUMBER
        from ee_lightning.data.read import TEXT_COLUMNS

        columns = [name for name in (NUMBER, *TEXT_COLUMNS) if name in self._rows.column_names]
        for position, row in enumerate(self._rows.select_columns(columns)):
            self.done += 1
            yield Row(row.pop(NUMBER, position), tuple(row.values()))
