"""Saved models in `pipeline` and `AutoModelForSequenceClassification`, beside the predictor."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from math import inf
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)
from transformers import pipeline as make_pipeline

import ee_lightning.hf
from ee_lightning.errors import BackboneError, DataError, OptionError
from ee_lightning.hf import EarlyExitForSequenceClassification
from ee_lightning.inference import EarlyExitPredictor

Trained = Callable[..., Path]
TEXTS = ["a lovely film", "the dull plot was very very boring", "", "quite funny", "a clever scene " * 40] * 3
PAIRS = [(text, f"{text} too") for text in TEXTS]
TASK = "text-classification"
SPECIAL = ("pad", "unk", "cls", "sep", "mask")


@pytest.fixture(scope="module")
def saved(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that saves the model of a short run on a task."""

    def save(task: str, criterion: str, threshold: float) -> Path:
        folder = tmp_path_factory.mktemp("saved") / task
        EarlyExitPredictor.from_run(trained(task), criterion=criterion, threshold=threshold).save_pretrained(folder)
        return folder

    return save


def told(prediction: object) -> dict[str, object]:
    return {"label": prediction.label, "score": prediction.probability, "exit_layer": prediction.exit_layer}


def same(found: list[dict], expected: list[dict]) -> None:
    assert [{**each, "score": None} for each in found] == [{**each, "score": None} for each in expected]
    assert [each["score"] for each in found] == pytest.approx([each["score"] for each in expected], abs=1e-5)


@pytest.mark.parametrize(("criterion", "threshold"), [("confidence", 0.9), ("voting(k=0.5)", 1.2), ("confidence", inf)])
def test_the_pipeline_gives_the_predictors_labels_probabilities_and_exits(
    criterion: str, threshold: float, saved: Callable[..., Path]
) -> None:
    folder = saved("sst2", criterion, threshold)
    classify = make_pipeline(TASK, model=str(folder))
    expected = [told(each) for each in EarlyExitPredictor.from_pretrained(folder)(TEXTS)]
    same(classify(TEXTS), expected)
    same(classify(TEXTS, batch_size=4), expected)
    same(classify(TEXTS, truncation=True), expected)
    same(classify(TEXTS[0]), expected[:1])
    assert len({each["exit_layer"] for each in expected}) > (1 if threshold == 0.9 else 0)
    both = classify(TEXTS[1], top_k=None)
    assert [each["label"] for each in both[:1]] == [expected[1]["label"]]
    assert sum(each["score"] for each in both) == pytest.approx(1)
    assert {each["exit_layer"] for each in both} == {expected[1]["exit_layer"]}
    assert len(classify(TEXTS[1], top_k=1)) == 1


@pytest.mark.parametrize("options", [{}, {"truncation": True}], ids=str)
def test_pairs_are_dicts_or_have_the_names_of_the_columns(options: dict, saved: Callable[..., Path]) -> None:
    folder = saved("rte", "confidence", 0.7)
    predictor, classify = EarlyExitPredictor.from_pretrained(folder), make_pipeline(TASK, model=str(folder))
    expected = [told(each) for each in predictor(*map(list, zip(*PAIRS, strict=True)))]
    pairs = [{"text": first, "text_pair": second} for first, second in PAIRS]
    same(classify(pairs, batch_size=8, **options), expected)
    names = predictor.deployment.text_columns
    same(classify([dict(zip(names, pair, strict=True)) for pair in PAIRS], **options), expected)
    same(classify(PAIRS, **options), expected)
    same(classify(PAIRS[0][0], text_pair=PAIRS[0][1], **options), expected[:1])
    with pytest.raises(DataError, match=r"the row has one text, and rte takes 2 texts"):
        classify("one text", **options)


def test_a_saved_tokenizer_of_any_class_tells_the_texts_of_a_pair_apart(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    folder = saved("rte", "confidence", 0.7)
    model = EarlyExitPredictor.from_pretrained(folder).model
    generic = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), **{f"{each}_token": f"[{each.upper()}]" for each in SPECIAL}
    )
    EarlyExitPredictor(model, generic, EarlyExitPredictor.from_pretrained(folder).deployment).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    batch = tokenizer(*map(list, zip(*PAIRS, strict=True)), padding=True, truncation=True, max_length=32)
    assert {number for types in batch["token_type_ids"] for number in types} == {0, 1}
    expected = [told(each) for each in EarlyExitPredictor.from_pretrained(folder).stream(PAIRS)]
    pairs = [{"text": first, "text_pair": second} for first, second in PAIRS]
    same(make_pipeline(TASK, model=str(tmp_path))(pairs, truncation=True), expected)


def test_values_get_no_sigmoid_and_labels_each_their_own(saved: Callable[..., Path]) -> None:
    folder = saved("stsb", "patience(tolerance=0.5)", 1)
    predictor, classify = EarlyExitPredictor.from_pretrained(folder), make_pipeline(TASK, model=str(folder))
    assert classify.model.config.problem_type == "regression"
    found = classify([{"text": first, "text_pair": second} for first, second in PAIRS])
    expected = predictor(*map(list, zip(*PAIRS, strict=True)))
    assert [each["score"] for each in found] == pytest.approx([each.label for each in expected], abs=1e-5)
    assert [each["exit_layer"] for each in found] == [each.exit_layer for each in expected]


def test_a_hub_layout_is_loaded_offline(
    saved: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved("sst2", "confidence", 0.9)
    repository = tmp_path / "models--somebody--early"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, repository / "snapshots" / ("0" * 40))
    tokenizer = AutoTokenizer.from_pretrained("somebody/early", cache_dir=tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained("somebody/early", cache_dir=tmp_path)
    assert isinstance(model, EarlyExitForSequenceClassification)
    same(
        make_pipeline(TASK, model=model, tokenizer=tokenizer)(TEXTS),
        [told(each) for each in EarlyExitPredictor.from_pretrained(folder)(TEXTS)],
    )
    with pytest.raises(BackboneError, match="no such model is available on the hub"):
        EarlyExitForSequenceClassification.from_pretrained("somebody/other", cache_dir=tmp_path)


def test_a_batch_is_predicted_as_each_row_alone_and_never_trained(saved: Callable[..., Path]) -> None:
    folder = saved("sst2", "confidence", 0.9)
    model = AutoModelForSequenceClassification.from_pretrained(folder, threshold=0.8)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=32, return_tensors="pt")
    whole = model(**batch)
    expected = EarlyExitPredictor.from_pretrained(folder, criterion="confidence", threshold=0.8)(TEXTS)
    assert whole.exit_layer.tolist() == [each.exit_layer for each in expected]
    alone = [model(**tokenizer(text, truncation=True, max_length=32, return_tensors="pt")) for text in TEXTS]
    assert torch.cat([each.logits for each in alone]).allclose(whole.logits, atol=1e-5)
    assert model(**batch, return_dict=False)[1].tolist() == whole.labels.tolist()
    padded = model(**tokenizer(TEXTS[0], padding="max_length", max_length=64, return_tensors="pt"))
    assert padded.logits[0].allclose(whole.logits[0], atol=1e-5)
    for ids, mask, said in (
        (torch.ones(1, 42), None, "a row has 42 tokens, and the model takes 32"),
        (torch.ones(2, 9), torch.ones(1, 9), r"attention_mask has the shape \[1, 9\], and input_ids \[2, 9\]"),
        (torch.ones(0, 9), None, r"input_ids has the shape \[0, 9\]"),
        (torch.ones(9), None, r"input_ids has the shape \[9\]"),
    ):
        with pytest.raises(DataError, match=said):
            model(ids.long(), mask)
    with pytest.raises(DataError, match=r"token_type_ids has the shape \[2, 8\]"):
        model(torch.ones(2, 9).long(), token_type_ids=torch.zeros(2, 8).long())
    for training in (lambda: model(**batch, labels=whole.labels), lambda: model.train()(**batch)):
        with pytest.raises(OptionError, match=r"does not train here[\s\S]*ee-lightning fit"):
            training()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"treshold": 0.8}, "takes no option treshold"),
        ({"dtype": "float16"}, "not cast to float16"),
        ({"torch_dtype": torch.float16}, "not cast to float16"),
        ({"num_labels": 3}, r"LABEL_2.* and the model has 2 labels: negative, positive"),
        ({"num_labels": 1}, r"LABEL_0.* and the model has 2 labels"),
        ({"id2label": {0: "x", 1: "x"}}, r"'x'.* and the model has 2 labels"),
        ({"device_map": {"model": 0, "heads": 1}}, "runs on one device"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, said: str, saved: Callable[..., Path]) -> None:
    with pytest.raises(OptionError, match=said):
        AutoModelForSequenceClassification.from_pretrained(saved("sst2", "confidence", 0.9), **options)


def test_labels_that_are_renamed_are_saved(saved: Callable[..., Path], tmp_path: Path) -> None:
    folder = saved("sst2", "confidence", 0.9)
    config = AutoConfig.from_pretrained(folder, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})
    model = AutoModelForSequenceClassification.from_pretrained(folder, config=config)
    assert model.predictor.deployment.label_names == ("bad", "good")
    model.config.id2label = {0: "schlecht", 1: "gut"}
    model.save_pretrained(tmp_path)
    assert EarlyExitPredictor.from_pretrained(tmp_path).deployment.label_names == ("schlecht", "gut")
    assert AutoConfig.from_pretrained(tmp_path).label2id == {"schlecht": 0, "gut": 1}
    model.config.id2label = {0: "x", 1: "x"}
    with pytest.raises(OptionError, match=r"id2label is \{0: 'x', 1: 'x'\}, and the model has 2 labels: schlecht, gut"):
        model.save_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
def test_a_type_of_numbers_is_that_of_matrix_products(name: str, saved: Callable[..., Path]) -> None:
    folder = saved("sst2", "confidence", 0.9)
    for kind, precision in ((torch.bfloat16, "bf16"), ("auto", "fp32")):
        model = AutoModelForSequenceClassification.from_pretrained(folder, **{name: kind})
        assert model.predictor.engine.precision == precision


def test_other_models_are_served_as_before(tiny_backbone: Path, tmp_path: Path) -> None:
    config = BertConfig.from_pretrained(tiny_backbone, num_labels=2)
    torch.manual_seed(0)
    classify = make_pipeline(
        TASK, model=BertForSequenceClassification(config), tokenizer=AutoTokenizer.from_pretrained(tiny_backbone)
    )
    assert isinstance(classify, ee_lightning.hf.EarlyExitTextClassification)
    (found,) = classify("a lovely film")
    assert set(found) == {"label", "score"}
    assert [set(each) for each in classify("a lovely film", top_k=2)] == [{"label", "score"}] * 2


def test_without_the_import_transformers_names_the_model_type(saved: Callable[..., Path]) -> None:
    folder = saved("sst2", "confidence", 0.9)
    script = f"from transformers import pipeline; pipeline('text-classification', model={str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "model type `early_exit`" in done.stderr
