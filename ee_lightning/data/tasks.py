"""Tasks: what their rows hold, what their labels mean, and where both lie. Adding a task is adding a row to `TASKS`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import Any

from ee_lightning.errors import DataError, did_you_mean
from ee_lightning.functional import Target

SPLITS = ("train", "validation", "test")
NO_LABEL = -1
LABEL_SEPARATOR = "|"
_WHOLE = re.compile(r"([+-]?[0-9]{1,15})\.0+")


def number_in(word: str) -> float | None:
    """Return the finite number that a word is, and None if it is none."""
    try:
        number = float(word)
    except ValueError:
        return None
    return number if isfinite(number) else None


def without_fraction(word: str) -> str:
    """Return a whole number without its fraction, and any other word as it is.

    Example:
        >>> without_fraction("2.0"), without_fraction("2.50"), without_fraction("v2.0")
        ('2', '2.50', 'v2.0')
    """
    match = _WHOLE.fullmatch(word)
    return str(int(match[1])) if match else word


@dataclass(frozen=True)
class GlueFiles:
    """How a task lies in the official GLUE folder, as tab-separated files.

    Args:
        folder: The folder of the task.
        text_columns: None if they are those of the task.
        label_column: The column with a class number, one of the task's label names, or a score.
        headerless: The columns of the train and validation files, where these have no header line.
        skips_ragged: Whether the official files are known to hold rows with too few or too many cells, which everyone
            leaves out.
        test: The file of the test split, which always has a header and often no labels.
    """

    folder: str
    text_columns: tuple[str, ...] = ()
    label_column: str = "label"
    headerless: tuple[str, ...] = ()
    skips_ragged: bool = False
    train: str = "train.tsv"
    validation: str = "dev.tsv"
    test: str = "test.tsv"

    @property
    def files(self) -> dict[str, str]:
        """The file name of each split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class Task:
    """A task on one sentence or a pair: classification, regression where it has a range of scores, or several labels.

    Args:
        name: The name users write.
        text_columns: The columns with text on the hub, or in your own files: one or two.
        label_names: A word for each label, in the official order of their numbers; none for regression.
        label_column: The column with the label there, or with several labels.
        metrics: The names of its metrics, the primary one first, which for regression is `pearson`, as curves have no
            other.
        hub_path: The data set on the hub; None where it has none.
        hub_revision: The branch of that data set that is to be read, if it is not the main one.
        hub_splits: The names of its splits, where they differ from ours.
        files: The file of each split, for a custom task whose files have other names than the splits.
        score_range: The lowest and the highest score, for regression.
        synonyms: Other words for a label, each with the name that it stands for.
        skips_unlabelled: Whether rows without a label, on which annotators did not agree, are left out of every split.
        held_out: The share of the training rows that makes up a split which the task comes without.
        trained_on: The task whose models predict this one, where it has a test split only.
        multi_label: Whether a row has any number of the labels, none included.
        label_separator: What stands between several labels in a text.
        label_columns: The columns of 0 and 1, one for each label in their order, if they are not in `label_column`.
    """

    name: str
    text_columns: tuple[str, ...]
    label_names: tuple[str, ...]
    label_column: str = "label"
    metrics: tuple[str, ...] = ("accuracy",)
    hub_path: str | None = None
    hub_config: str | None = None
    hub_revision: str | None = None
    hub_splits: Mapping[str, str] = field(default_factory=dict)
    glue: GlueFiles | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    score_range: tuple[float, float] | None = None
    synonyms: Mapping[str, str] = field(default_factory=dict)
    skips_unlabelled: bool = False
    held_out: Mapping[str, float] = field(default_factory=dict)
    trained_on: str | None = None
    multi_label: bool = False
    label_separator: str = LABEL_SEPARATOR
    label_columns: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """The number of labels; 1 for regression."""
        return len(self.label_names) if self.score_range is None else 1

    @property
    def target(self) -> Target:
        """What is to be predicted of a row."""
        return Target.of(self.num_classes, multi_label=self.multi_label)

    @property
    def label_type(self) -> str:
        """The type of the labels, as `datasets` names it."""
        if self.multi_label:
            return "int8"
        return "int64" if self.score_range is None else "float32"

    @property
    def unlabelled(self) -> float:
        """What stands for the label of a row that has none: -1, or for regression NaN."""
        return NO_LABEL if self.score_range is None else float("nan")

    @property
    def label_range(self) -> tuple[float, float]:
        """The lowest and the highest label."""
        return (0, self.num_classes - 1) if self.score_range is None else self.score_range

    @cached_property
    def name_words(self) -> dict[str, int]:
        """The number of every name and synonym of a label; names that are whole numbers also without a fraction."""
        names = {name: number for number, name in enumerate(self.label_names)}
        plain = {without_fraction(name): number for name, number in names.items()}
        return plain | names | {synonym: names[name] for synonym, name in self.synonyms.items()}

    @cached_property
    def label_words(self) -> dict[str, int]:
        """The number of every word for a label: its names, synonyms, and the numbers unless names are numbers."""
        has_numbers = any(number_in(name) is not None for name in self.label_names)
        numbers = {} if has_numbers else {str(number): number for number in range(len(self.label_names))}
        return numbers | self.name_words

    def spelt(self, word: str) -> str:
        """Return a word as `label_words` has it: a whole number also where it is written with a fraction, as 1.0."""
        return word if word in self.label_words else without_fraction(word)

    def accepts(self, label: float | None) -> bool:
        """Whether a label is one of the task's: a class number, or for regression a number within the range."""
        if self.score_range is None:
            return label in range(self.num_classes)
        low, high = self.score_range
        return label is not None and low <= label <= high


GLUE_ON_THE_HUB = "nyu-mll/glue"
SENTIMENT = ("negative", "positive")
SENTIMENT_ON_THE_HUB = {"neg": "negative", "pos": "positive"}
ENTAILMENT = ("entailment", "not_entailment")
INFERENCE = ("entailment", "neutral", "contradiction")
SENTENCE, TEXT = ("sentence",), ("text",)
SENTENCES, PREMISES = ("sentence1", "sentence2"), ("premise", "hypothesis")
A_TENTH_VALIDATES = {"validation": 0.1}  # of a task that comes without a validation split


def _glue(name: str, texts: tuple[str, ...], label_names: tuple[str, ...], files: GlueFiles, **others: Any) -> Task:
    on_the_hub = {"hub_path": GLUE_ON_THE_HUB, "hub_config": name}
    return Task(name, texts, label_names, glue=files, **{**on_the_hub, **others})


def _mnli(name: str, half: str) -> Task:
    """Return one of MNLI's two evaluations; both have the same training rows."""
    files = GlueFiles("MNLI", SENTENCES, "gold_label", validation=f"dev_{half}.tsv", test=f"test_{half}.tsv")
    splits = {"validation": f"validation_{half}", "test": f"test_{half}"}
    return _glue(name, PREMISES, INFERENCE, files, hub_config="mnli", hub_splits=splits)


_MRPC = GlueFiles("MRPC", ("#1 String", "#2 String"), "Quality")
_QQP = GlueFiles("QQP", label_column="is_duplicate", skips_ragged=True)
_AX = GlueFiles("diagnostic", SENTENCES, test="diagnostic.tsv")
_STSB = GlueFiles("STS-B", label_column="score")
_COLA = GlueFiles("CoLA", headerless=("source", "label", "mark", "sentence"))
_ALL = (
    Task(
        "rotten_tomatoes",
        TEXT,
        SENTIMENT,
        hub_path="cornell-movie-review-data/rotten_tomatoes",
        synonyms=SENTIMENT_ON_THE_HUB,
    ),
    _glue("sst2", SENTENCE, SENTIMENT, GlueFiles("SST-2")),
    _glue("mrpc", SENTENCES, ("not_equivalent", "equivalent"), _MRPC, metrics=("f1", "accuracy")),
    _glue("qqp", ("question1", "question2"), ("not_duplicate", "duplicate"), _QQP, metrics=("f1", "accuracy")),
    _glue("rte", SENTENCES, ENTAILMENT, GlueFiles("RTE")),
    _glue("wnli", SENTENCES, ENTAILMENT[::-1], GlueFiles("WNLI")),
    _glue("qnli", ("question", "sentence"), ENTAILMENT, GlueFiles("QNLI")),
    _mnli("mnli", "matched"),
    _mnli("mnli_mismatched", "mismatched"),
    _glue("ax", PREMISES, INFERENCE, _AX, metrics=("matthews",), trained_on="mnli"),
    _glue("stsb", SENTENCES, (), _STSB, metrics=("pearson", "spearman"), score_range=(0.0, 5.0)),
    _glue("cola", SENTENCE, ("unacceptable", "acceptable"), _COLA, metrics=("matthews",)),
    Task(
        "ag_news",
        TEXT,
        ("World", "Sports", "Business", "Sci/Tech"),
        hub_path="fancyzhx/ag_news",
        held_out=A_TENTH_VALIDATES,
    ),
    Task("sst5", TEXT, ("very negative", "negative", "neutral", "positive", "very positive"), hub_path="SetFit/sst5"),
    Task(
        "trec",
        TEXT,
        ("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"),
        "coarse_label",
        hub_path="CogComp/trec",
        hub_revision="refs/convert/parquet",  # the main branch holds a script, which `datasets` runs no more
        held_out=A_TENTH_VALIDATES,
    ),
    Task(
        "imdb", TEXT, SENTIMENT, hub_path="stanfordnlp/imdb", synonyms=SENTIMENT_ON_THE_HUB, held_out=A_TENTH_VALIDATES
    ),
    Task(
        "snli",
        PREMISES,
        INFERENCE,
        hub_path="stanfordnlp/snli",
        glue=GlueFiles("SNLI", SENTENCES, "gold_label"),
        skips_unlabelled=True,
    ),
    Task(
        "scitail",
        SENTENCES,
        ("neutral", "entailment"),
        "gold_label",
        hub_path="allenai/scitail",
        hub_config="snli_format",  # `tsv_format` lacks training rows whose quotes were misread
        synonyms={"entails": "entailment"},
    ),
)
TASKS = {task.name: task for task in _ALL}


def get_task(name: str) -> Task:
    """Return the task of the table that has a name.

    Raises:
        DataError: None has it; the message lists the known ones and the closest.
    """
    if name not in TASKS:
        hint = f"known tasks: {', '.join(TASKS)}; a task of your own is described with --data.own"
        raise DataError(f"unknown task {name!r}", hint=did_you_mean(name, TASKS) + hint)
    return TASKS[name]
