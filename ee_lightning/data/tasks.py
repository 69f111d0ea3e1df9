"""The table of tasks: adding a task is adding a row."""

from difflib import get_close_matches

from ee_lightning.data.task import GlueFiles, Task
from ee_lightning.errors import DataError

GLUE_ON_THE_HUB = "nyu-mll/glue"
SENTIMENT = ("negative", "positive")
SENTIMENT_ON_THE_HUB = {"neg": "negative", "pos": "positive"}
INFERENCE = ("entailment", "neutral", "contradiction")
SENTENCES = ("sentence1", "sentence2")
INFERENCE_PAIR = ("premise", "hypothesis")
A_TENTH_VALIDATES = {"validation": 0.1}  # of a task that comes without a validation split


def _mnli(name: str, half: str) -> Task:
    """Return one of MNLI's two evaluations; both have the same training rows."""
    return Task(
        name=name,
        text_columns=INFERENCE_PAIR,
        label_column="label",
        label_names=INFERENCE,
        metrics=("accuracy",),
        hub_path=GLUE_ON_THE_HUB,
        hub_config="mnli",
        hub_splits={"validation": f"validation_{half}", "test": f"test_{half}"},
        glue=GlueFiles(
            "MNLI",
            text_columns=SENTENCES,
            label_column="gold_label",
            validation=f"dev_{half}.tsv",
            test=f"test_{half}.tsv",
        ),
    )


TASKS = {
    task.name: task
    for task in (
        Task(
            name="rotten_tomatoes",
            text_columns=("text",),
            label_column="label",
            label_names=SENTIMENT,
            metrics=("accuracy",),
            hub_path="cornell-movie-review-data/rotten_tomatoes",
            synonyms=SENTIMENT_ON_THE_HUB,
        ),
        Task(
            name="sst2",
            text_columns=("sentence",),
            label_column="label",
            label_names=SENTIMENT,
            metrics=("accuracy",),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="sst2",
            glue=GlueFiles("SST-2", text_columns=("sentence",), label_column="label"),
        ),
        Task(
            name="mrpc",
            text_columns=SENTENCES,
            label_column="label",
            label_names=("not_equivalent", "equivalent"),
            metrics=("f1", "accuracy"),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="mrpc",
            glue=GlueFiles("MRPC", text_columns=("#1 String", "#2 String"), label_column="Quality"),
        ),
        Task(
            name="qqp",
            text_columns=("question1", "question2"),
            label_column="label",
            label_names=("not_duplicate", "duplicate"),
            metrics=("f1", "accuracy"),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="qqp",
            glue=GlueFiles(
                "QQP",
                text_columns=("question1", "question2"),
                label_column="is_duplicate",
                skips_ragged=True,
            ),
        ),
        Task(
            name="rte",
            text_columns=SENTENCES,
            label_column="label",
            label_names=("entailment", "not_entailment"),
            metrics=("accuracy",),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="rte",
            glue=GlueFiles("RTE", text_columns=SENTENCES, label_column="label"),
        ),
        Task(
            name="wnli",
            text_columns=SENTENCES,
            label_column="label",
            label_names=("not_entailment", "entailment"),
            metrics=("accuracy",),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="wnli",
            glue=GlueFiles("WNLI", text_columns=SENTENCES, label_column="label"),
        ),
        Task(
            name="qnli",
            text_columns=("question", "sentence"),
            label_column="label",
            label_names=("entailment", "not_entailment"),
            metrics=("accuracy",),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="qnli",
            glue=GlueFiles("QNLI", text_columns=("question", "sentence"), label_column="label"),
        ),
        _mnli("mnli", "matched"),
        _mnli("mnli_mismatched", "mismatched"),
        Task(
            name="ax",
            text_columns=INFERENCE_PAIR,
            label_column="label",
            label_names=INFERENCE,
            metrics=("matthews",),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="ax",
            glue=GlueFiles(
                "diagnostic",
                text_columns=SENTENCES,
                label_column="label",
                test="diagnostic.tsv",
            ),
            trained_on="mnli",
        ),
        Task(
            name="stsb",
            text_columns=SENTENCES,
            label_column="label",
            label_names=(),
            metrics=("pearson", "spearman"),
            hub_path=GLUE_ON_THE_HUB,
            hub_config="stsb",
            glue=GlueFiles("STS-B", text_columns=SENTENCES, label_column="score"),
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
        Task(
            name="ag_news",
            text_columns=("text",),
            label_column="label",
            label_names=("World", "Sports", "Business", "Sci/Tech"),
            metrics=("accuracy",),
            hub_path="fancyzhx/ag_news",
            held_out=A_TENTH_VALIDATES,
        ),
        Task(
            name="sst5",
            text_columns=("text",),
            label_column="label",
            label_names=("very negative", "negative", "neutral", "positive", "very positive"),
            metrics=("accuracy",),
            hub_path="SetFit/sst5",
        ),
        Task(
            name="trec",
            text_columns=("text",),
            label_column="coarse_label",
            label_names=("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"),
            metrics=("accuracy",),
            hub_path="CogComp/trec",
            hub_revision="refs/convert/parquet",  # the main branch holds a script, which `datasets` runs no more
            held_out=A_TENTH_VALIDATES,
        ),
        Task(
            name="imdb",
            text_columns=("text",),
            label_column="label",
            label_names=SENTIMENT,
            metrics=("accuracy",),
            hub_path="stanfordnlp/imdb",
            synonyms=SENTIMENT_ON_THE_HUB,
            held_out=A_TENTH_VALIDATES,
        ),
        Task(
            name="snli",
            text_columns=INFERENCE_PAIR,
            label_column="label",
            label_names=INFERENCE,
            metrics=("accuracy",),
            hub_path="stanfordnlp/snli",
            glue=GlueFiles("SNLI", text_columns=SENTENCES, label_column="gold_label"),
            skips_unlabelled=True,
        ),
        Task(
            name="scitail",
            text_columns=SENTENCES,
            label_column="gold_label",
            label_names=("neutral", "entailment"),
            metrics=("accuracy",),
            hub_path="allenai/scitail",
            hub_config="snli_format",  # `tsv_format` lacks training rows whose quotes were misread
            synonyms={"entails": "entailment"},
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
        raise DataError(
            f"unknown task {name!r}",
            hint=f"{hint}known tasks: {', '.join(TASKS)}; a task of your own is described with --data.own",
        )
    return TASKS[name]
