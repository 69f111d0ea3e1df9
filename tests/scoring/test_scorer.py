"""Tables with predictions: every column stays."""

import pickle
import socket
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from ee_lightning.errors import DataError, OptionError
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.scoring import BatchScorer

TEXTS = ["a lovely film", "quite dull", "the film was very very boring", ""]
OTHERS = {"id": ["a", "b", "c", "d"], "label": [1, 0, None, 1], "scores": [[1.0], [], [2.0, 3.0], None]}


@pytest.fixture(scope="module")
def scorer(exported: Path) -> BatchScorer:
    return BatchScorer(str(exported))


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pa.table({"id": OTHERS["id"], "text": TEXTS, "label": OTHERS["label"], "scores": OTHERS["scores"]})


def test_columns_stay_and_predictions_follow(
    scorer: BatchScorer, table: pa.Table, small_predictor: EarlyExitPredictor
) -> None:
    scored, expected = scorer(table), small_predictor(TEXTS)
    kept = ["id", "text", "input_label", "scores"]
    assert scored.column_names == [*kept, "label", "probability", "score", "exit_layer"]
    assert [scored[name].to_pylist() for name in kept] == [column.to_pylist() for column in table.columns]
    for name in ("label", "exit_layer"):
        assert scored[name].to_pylist() == [getattr(each, name) for each in expected]
    assert scored["probability"].to_pylist() == pytest.approx([each.probability for each in expected], abs=1e-4)
    assert scored.schema.field("label").type == pa.string()


def test_frames_are_scored_as_tables_are(scorer: BatchScorer, table: pa.Table) -> None:
    frame = scorer(table.to_pandas())
    assert isinstance(frame, pd.DataFrame)
    expected = scorer(table)
    assert [*frame.columns] == expected.column_names
    for name in ("label", "score", "exit_layer", "id"):
        assert frame[name].tolist() == expected[name].to_pylist()


def test_no_column_replaces_another(scorer: BatchScorer) -> None:
    given = pa.table({"text": TEXTS, "label": ["second"] * 4, "input_label": ["first"] * 4})
    for scored in (scorer(given).to_pandas(), scorer(given.to_pandas())):
        assert [*scored.columns][:3] == ["text", "input_label", "input_input_label"]
        assert (scored["input_label"][0], scored["input_input_label"][0]) == ("second", "first")


def test_options_that_make_no_sense_are_said(
    exported: Path, small_predictor: EarlyExitPredictor, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=r"is 'review', where a list is needed\n[\s\S]*give \['review'\]"):
        BatchScorer(str(exported), text_columns="review")
    with pytest.raises(OptionError, match="2 columns named, and mood takes 1 text"):
        BatchScorer(str(exported), text_columns=["review", "title"])
    small_predictor.save_pretrained(tmp_path)
    for model in (exported, tmp_path):
        with pytest.raises(OptionError, match="threads is 0"):
            BatchScorer(str(model), threads=0)


def test_a_part_without_rows_has_the_same_columns(scorer: BatchScorer, table: pa.Table) -> None:
    assert scorer(table.slice(0, 0)).schema.names == scorer(table).schema.names


def test_rows_without_a_text_are_errors_or_get_no_prediction(exported: Path, scorer: BatchScorer) -> None:
    torn = pa.table({"review": ["a film", None, "dull"]})
    with pytest.raises(DataError, match="no column 'sentence'"):
        scorer(torn)
    with pytest.raises(DataError, match="a text must be a string, but is None"):
        BatchScorer(str(exported), text_columns=["review"])(torn)
    scored = BatchScorer(str(exported), text_columns=["review"], skip_bad_rows=True)(torn)
    assert [each is None for each in scored["label"].to_pylist()] == [False, True, False]
    assert scored["exit_layer"].null_count == 1


def test_values_have_no_probability(small_predictor: EarlyExitPredictor, tmp_path: Path, tiny_backbone: Path) -> None:
    from dataclasses import replace

    import torch

    from ee_lightning.exits import Patience, spec_of
    from ee_lightning.functional import Target
    from ee_lightning.inference import ExitPolicy
    from ee_lightning.models import MultiExitModel
    from ee_lightning.models.backbones.loading import load_backbone

    torch.manual_seed(0)
    deployment = small_predictor.deployment
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(1), deployment.heads)
    rule = ExitPolicy(spec_of(Patience(tolerance=0.1)), 1.0)
    values = replace(deployment, label_names=(), num_classes=1, rule=rule)
    EarlyExitPredictor(model, small_predictor.tokenizer, values, device="cpu").save_pretrained(tmp_path)
    scored = BatchScorer(str(tmp_path), device="cpu")(pa.table({"sentence": TEXTS}))
    assert scored.column_names == ["sentence", "label", "score", "exit_layer"]
    assert scored.schema.field("label").type == pa.float64()


def test_a_scorer_can_be_sent_to_another_process(scorer: BatchScorer, table: pa.Table) -> None:
    assert pickle.loads(pickle.dumps(scorer))(table) == scorer(table)


def test_a_cluster_that_is_not_there_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    from ee_lightning.scoring.on_ray import cluster

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # where nobody listens
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(OptionError, match=r"Ray can't be reached: .*refused\n[\s\S]*unset RAY_ADDRESS"), cluster(2):
            pass
