"""The table of tasks: adding a task is adding a row."""

from dataclasses import dataclass
from difflib import get_close_matches

from ee_lightning.errors import DataError

GLUE_ON_THE_HUB = "nyu-mll/glue"


@dataclass(frozen=True)
class GlueFiles:
    """How a task lies in the official GLUE folder, as tab-separated files.

    Args:
        folder: The folder of the task.
        text_columns: The columns with the sentence or the two sentences.
        label_column: The column with the label: a class number, one of the task's label names, or a score.
        headerless: The columns of the train and validation files, where these have no header line.
        train: The file of the training split.
        validation: The file of the validation split.
        test: The file of the test split, which always has a header and often no labels.
    """

    folder: str
    text_columns: tuple[str, ...]
    label_column: str
    headerless: tuple[str, ...] = ()
    train: str = "train.tsv"
    validation: str = "dev.tsv"
    test: str = "test.tsv"

    @property
    def files(self) -> dict[str, str]:
        """The file name of each split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class Task:
    """A task on one sentence or a pair of sentences: classification, or regression where it has a range of scores.

    Args:
        name: The name users write.
        text_columns: The columns with text on the hub, one or two.
        label_column: The column with the label on the hub, as a number; -1 where a row has none.
        label_names: A word for each label, in the official order of their numbers; none for regression.
        metrics: Names among `accuracy`, `f1` (for two labels) and `matthews`, or for regression `pearson` and
            `spearman`; the first is the primary one, which for regression is `pearson`, as curves have no other.
        hub_path: The data set on the hub.
        hub_config: The configuration of that data set, where it has several.
        glue: The layout of the official files, where the task belongs to GLUE.
        score_range: The lowest and the highest score, for regression; -1 is not within.
    """

    name: str
    text_columns: tuple[str, ...]
    label_column: str
    label_names: tuple[str, ...]
    metrics: tuple[str, ...]
    hub_path: str
    hub_config: str | None = None
    glue: GlueFiles | None = None
    score_range: tuple[float, float] | None = None

    @property
    def num_classes(self) -> int:
        """The number of labels; 1 for regression."""
        return len(self.label_names) if self.score_range is None else 1

    @property
    def label_type(self) -> str:
        """The type of the labels, as `datasets` names it."""
        return "int64" if self.score_range is None else "float32"

    @property
    def label_range(self) -> tuple[float, float]:
        """The lowest and the highest label."""
        return (0, self.num_classes - 1) if self.score_range is None else self.score_range

    def accepts(self, label: float | None) -> bool:
        """Whether a label is one of the task's: a class number, or for regression a number within the range."""
        if self.score_range is None:
            return label in range(self.num_classes)
        low, high = self.score_range
        return label is not None and low <= label <= high


TASKS = {
    task.name: task
    for task in (
        Task(
            name="rotten_tomatoes",
            text_columns=("text",),
            label_column="label",
            label_names=("negative", "positive"),
            metrics=("accuracy",),
            hub_path="cornell-movie-review-data/rotten_tomatoes",
        ),
        Task(
            name="sst2",
            text_columns=("sentence",),
            label_column="label",
            label_names=("negative", "positive"),
            metrics=("accuracy",),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="sst2",
            glue=GlueFiles("SST-2", text_columns=("sentence",), label_column="label"),
        ),
        Task(
            name="mrpc",
            text_columns=("sentence1", "sentence2"),
            label_column="label",
            label_names=("not_equivalent", "equivalent"),
            metrics=("f1", "accuracy"),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="mrpc",
            glue=GlueFiles("MRPC", text_columns=("#1 String", "#2 String"), label_column="Quality"),
        ),
        Task(
            name="rte",
            text_columns=("sentence1", "sentence2"),
            label_column="label",
            label_names=("entailment", "not_entailment"),
            metrics=("accuracy",),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="rte",
            glue=GlueFiles("RTE", text_columns=("sentence1", "sentence2"), label_column="label"),
        ),
        Task(
            name="wnli",
            text_columns=("sentence1", "sentence2"),
            label_column="label",
            label_names=("not_entailment", "entailment"),
            metrics=("accuracy",),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="wnli",
            glue=GlueFiles("WNLI", text_columns=("sentence1", "sentence2"), label_column="label"),
        ),
        Task(
            name="stsb",
            text_columns=("sentence1", "sentence2"),
            label_column="label",
            label_names=(),
            metrics=("pearson", "spearman"),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="stsb",
            glue=GlueFiles("STS-B", text_columns=("sentence1", "sentence2"), label_column="score"),
            score_range=(0.0, 5.0),
        ),
        Task(
            name="cola",
            text_columns=("sentence",),
            label_column="label",
            label_names=("unacceptable", "acceptable"),
            metrics=("matthews",),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="cola",
            glue=GlueFiles(
                "CoLA",
                text_columns=("sentence",),
                label_column="label",
                headerless=("source", "label", "mark", "sentence"),
            ),
        ),
    )
}


def get_task(name: str) -> Task:
    """Look a task up by its name.

    Args:
        name: One of the keys of `TASKS`.

    Returns:
        The row of the table.

    Raises:
        DataError: No task has that name; the message lists the known ones and the closest.

    Example:
        >>> get_task("rte").label_names
        ('entailment', 'not_entailment')
    """
    if name not in TASKS:
        closest = get_close_matches(name.lower(), TASKS, n=1)
        hint = f"did you mean {closest[0]!r}? " if closest else ""
        raise DataError(f"unknown task {name!r}", mend=f"{hint}known tasks: {', '.join(TASKS)}")
    return TASKS[name]
