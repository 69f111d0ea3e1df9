import math

import pytest

from ee_lightning.data.tasks import TASKS, get_task
from ee_lightning.errors import DataError
from ee_lightning.functional import CLASSIFICATION_METRICS, REGRESSION_METRICS


@pytest.mark.parametrize(
    ("name", "label_names", "metrics", "num_texts"),
    [
        ("rotten_tomatoes", ("negative", "positive"), ("accuracy",), 1),
        ("sst2", ("negative", "positive"), ("accuracy",), 1),
        ("mrpc", ("not_equivalent", "equivalent"), ("f1", "accuracy"), 2),
        ("rte", ("entailment", "not_entailment"), ("accuracy",), 2),
        ("wnli", ("not_entailment", "entailment"), ("accuracy",), 2),
        ("cola", ("unacceptable", "acceptable"), ("matthews",), 1),
        ("qqp", ("not_duplicate", "duplicate"), ("f1", "accuracy"), 2),
        ("qnli", ("entailment", "not_entailment"), ("accuracy",), 2),
        ("mnli", ("entailment", "neutral", "contradiction"), ("accuracy",), 2),
        ("mnli_mismatched", ("entailment", "neutral", "contradiction"), ("accuracy",), 2),
        ("ax", ("entailment", "neutral", "contradiction"), ("matthews",), 2),
        ("snli", ("entailment", "neutral", "contradiction"), ("accuracy",), 2),
        ("scitail", ("neutral", "entailment"), ("accuracy",), 2),
        ("imdb", ("negative", "positive"), ("accuracy",), 1),
        ("ag_news", ("World", "Sports", "Business", "Sci/Tech"), ("accuracy",), 1),
        ("sst5", ("very negative", "negative", "neutral", "positive", "very positive"), ("accuracy",), 1),
        ("trec", ("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"), ("accuracy",), 1),
    ],
)
def test_the_table_follows_the_official_tasks(name, label_names, metrics, num_texts):
    task = get_task(name)
    assert (task.name, task.label_names, task.metrics) == (name, label_names, metrics)
    assert task.num_classes == len(label_names)
    assert len(task.text_columns) == num_texts
    assert task.glue is None or len(task.glue.text_columns) in (0, num_texts)


def test_the_similarity_of_sentences_is_a_regression():
    task = get_task("stsb")
    assert (task.label_names, task.num_classes, task.label_range) == ((), 1, (0.0, 5.0))
    assert task.metrics == ("pearson", "spearman")


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_row_names_metrics_that_suit_it_and_curves_of_the_first(task):
    if task.score_range is not None:
        assert set(task.metrics) <= {"pearson", "spearman"}
        assert task.metrics[0] in REGRESSION_METRICS
    else:
        assert set(task.metrics) <= set(CLASSIFICATION_METRICS)
        assert "f1" not in task.metrics or task.num_classes == 2


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_no_label_looks_like_a_missing_one(task):
    low, high = task.label_range
    assert task.accepts(low)
    assert task.accepts(high)
    assert not task.accepts(task.unlabelled)


@pytest.mark.parametrize("name", ["stsb", "rte"])
@pytest.mark.parametrize("label", [5.001, -0.001, math.nan, math.inf, None])
def test_what_is_no_label_is_not_accepted(name, label):
    assert not get_task(name).accepts(label)


def test_only_a_regression_has_labels_between_whole_numbers():
    assert get_task("stsb").accepts(0.5)
    assert not get_task("rte").accepts(0.5)


@pytest.mark.parametrize(("wrong", "meant"), [("SST-2", "sst2"), ("mrcp", "mrpc"), ("CoLA", "cola")])
def test_an_unknown_task_is_answered_by_the_closest_and_the_known_ones(wrong, meant):
    with pytest.raises(DataError) as caught:
        get_task(wrong)
    assert f"did you mean {meant}?" in caught.value.hint
    assert all(name in caught.value.hint for name in TASKS)


def test_a_name_like_no_task_gets_no_guess():
    with pytest.raises(DataError) as caught:
        get_task("weather")
    assert "did you mean" not in caught.value.hint
