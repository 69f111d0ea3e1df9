"""Inference on every family that has an adapter, beside the family's model on each sample alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from families import EAGER_ALONE
from torch.utils.flop_counter import FlopCounterMode

from ee_lightning.data.encoding import load_tokenizer
from ee_lightning.exits import Confidence, StoredExits, Voting, replay
from ee_lightning.exits.naming import spec_of
from ee_lightning.inference import Deployment, EarlyExitEngine, EarlyExitPredictor, ExitPolicy, FlopCounter, Sample
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones import FAMILIES

TOLERANCE = 1e-5
TEXTS = ["a lovely film", "the dull plot was very very boring", "", "quite funny"] * 5


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("attention", "pooling"), [("eager", "cls"), ("sdpa", "mean")])
def test_leaves_as_batch_size_one_does(
    family: str, attention: str, pooling: str, small_backbone: Callable[[str], Path], samples: list[Sample], model_of
) -> None:
    model: MultiExitModel = model_of(small_backbone(family), pooling=pooling)
    if family not in EAGER_ALONE:
        model.backbone.encoder.set_attn_implementation(attention)
    samples = [Sample(sample.input_ids) for sample in samples]
    with torch.inference_mode():
        alone = [
            model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long)).logits for ids, _ in samples
        ]  # [exits, 1, classes] each
    exits = StoredExits(torch.cat(alone, dim=1), torch.zeros(len(samples)).long(), torch.arange(len(samples)))
    replayed = replay(Confidence(), exits)
    scores = replayed.scores.unique()  # sorted
    few = len(scores) // 4
    widest = scores.diff()[2 * few : -few].argmax() + 2 * few
    threshold = scores[widest : widest + 2].mean().item()  # far from all scores
    assert scores.diff()[widest] > 2 * TOLERANCE
    exit_layer, label = replayed.at(threshold)
    assert len(exit_layer.unique()) >= 2
    for options in ({"batch_size": 7, "schedule": "depth_first"}, {"max_tokens": 60, "schedule": "breadth_first"}):
        predictions = [
            one for some in EarlyExitEngine(model, Confidence(), threshold, **options).predict(samples) for one in some
        ]
        assert [each.exit_layer for each in predictions] == exit_layer.tolist()
        assert [each.label for each in predictions] == label.tolist()
        said = torch.stack([each.logits for each in predictions])  # [samples, classes]
        expected = exits.logits[exit_layer - 1, torch.arange(len(samples))]  # [samples, classes]
        torch.testing.assert_close(said, expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_is_close(family: str, small_backbone: Callable[[str], Path], samples: list[Sample], model_of) -> None:
    model: MultiExitModel = model_of(small_backbone(family), pooling="mean")
    logits = {}
    for precision in ("fp32", "bf16"):
        engine = EarlyExitEngine(model, Confidence(), 2.0, precision=precision)
        logits[precision] = torch.cat([some.logits for some in engine.predict(samples)])  # [samples, classes]
    assert not torch.equal(logits["bf16"], logits["fp32"])
    torch.testing.assert_close(logits["bf16"], logits["fp32"], atol=0.1, rtol=0.1)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_predicts_the_same_bit_for_bit(
    family: str, small_backbone: Callable[[str], Path], tiny_backbone: Path, model_of, tmp_path: Path
) -> None:
    model: MultiExitModel = model_of(small_backbone(family), pooling="mean")
    deployment = Deployment(
        task="own",
        text_columns=("question", "answer"),
        label_names=("no", "perhaps", "yes"),
        num_classes=3,
        num_exits=4,
        max_length=20,
        heads=HeadOptions(pooling="mean", gate=True),
        rule=ExitPolicy(spec_of(Voting()), 1.1),
    )
    first = EarlyExitPredictor(model, load_tokenizer(str(tiny_backbone)), deployment, keep_trail=True)
    first.save_pretrained(tmp_path)
    again = EarlyExitPredictor.from_pretrained(str(tmp_path), keep_trail=True)
    assert again(TEXTS, TEXTS[::-1]) == first(TEXTS, TEXTS[::-1])


@pytest.mark.parametrize("family", FAMILIES)
def test_operations_are_those_of_a_pass_on_real_tensors(
    family: str, small_backbone: Callable[[str], Path], model_of
) -> None:
    model: MultiExitModel = model_of(small_backbone(family)).requires_grad_(False)  # for the sake of torch's counter
    flops = FlopCounter(model).of_sample(17)
    if family not in EAGER_ALONE:
        model.backbone.encoder.set_attn_implementation("eager")  # which is counted product by product
    tokens = torch.full((1, 17), 7)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(tokens, torch.ones_like(tokens))
    assert flops.until(4) == counter.get_total_flops()
    assert min(flops.layers) > 0
