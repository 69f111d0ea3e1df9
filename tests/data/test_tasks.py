import pytest

from ee_lightning.data.tasks import TASKS, get_task
from ee_lightning.errors import DataError


@pytest.mark.parametrize(
    ("name", "label_names", "metrics", "num_texts"),
    [
        ("rotten_tomatoes", ("negative", "positive"), ("accuracy",), 1),
        ("sst2", ("negative", "positive"), ("accuracy",), 1),
        ("mrpc", ("not_equivalent", "equivalent"), ("f1", "accuracy"), 2),
        ("rte", ("entailment", "not_entailment"), ("accuracy",), 2),
        ("cola", ("unacceptable", "acceptable"), ("matthews",), 1),
    ],
)
def test_the_table_follows_the_official_tasks(name, label_names, metrics, num_texts):
    task = get_task(name)
    assert (task.name, task.label_names, task.metrics) == (name, label_names, metrics)
    assert task.num_classes == 2
    assert len(task.text_columns) == num_texts
    assert task.glue is None or len(task.glue.text_columns) == num_texts


def test_every_row_names_known_metrics():
    assert all(set(task.metrics) <= {"accuracy", "f1", "matthews"} for task in TASKS.values())


@pytest.mark.parametrize(("wrong", "meant"), [("SST-2", "sst2"), ("mrcp", "mrpc"), ("CoLA", "cola")])
def test_an_unknown_task_is_answered_by_the_closest_and_the_known_ones(wrong, meant):
    with pytest.raises(DataError) as caught:
        get_task(wrong)
    assert f"did you mean '{meant}'?" in caught.value.mend
    assert all(name in caught.value.mend for name in TASKS)


def test_a_name_like_no_task_gets_no_guess():
    with pytest.raises(DataError) as caught:
        get_task("weather")
    assert "did you mean" not in caught.value.mend
