"""Gates of every kind in an exported model, and the criteria that read them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ee_lightning.exits import Criterion, Gate, QExit, StoredExits, replay
from ee_lightning.exits.naming import spec_of
from ee_lightning.export.exporting import export_model
from ee_lightning.export.sessions import run, session_of
from ee_lightning.functional import Target
from ee_lightning.inference import EarlyExitPredictor, ExitPolicy, Sample
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.runtime import EarlyExitRuntime
from ee_lightning.runtime.backend import least_numbers

TEXTS = ["a lovely film", "the dull plot was very very boring", "quite funny", "a clever scene with a cold actor"]


@pytest.mark.parametrize(("gate", "criterion"), [(True, QExit()), ("deep", QExit()), ("per_exit", Gate())])
def test_rows_leave_where_a_replay_of_the_torch_model_lets_them(
    gate: object, criterion: Criterion, predictor: EarlyExitPredictor, samples: list[Sample], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    heads = HeadOptions(pooling="mean", gate=gate)  # type: ignore[arg-type]
    model = MultiExitModel(predictor.model.backbone, Target.of(3), heads).eval()
    for parameter in [*model.heads.classifiers.parameters(), *model.heads.gates.parameters()]:
        torch.nn.init.normal_(parameter, std=0.7)
    rows = predictor.tokenise(TEXTS)
    with torch.no_grad():
        said = model(**predictor.engine.pad(rows))
    exits = StoredExits(said.logits, None, torch.arange(len(rows)), said.extras)
    replayed = replay(criterion, exits)
    scores = replayed.scores[:-1].unique()
    between = ((scores[1:] + scores[:-1]) / 2)[scores.diff() > 1e-4].tolist()
    threshold = max(between, key=lambda each: len(replayed.at(each)[0].unique()))
    left, labels = replayed.at(threshold)
    assert len(left.unique()) > 1

    deployment = replace(predictor.deployment, heads=heads, rule=ExitPolicy(spec_of(criterion), threshold))
    gated = EarlyExitPredictor(model, predictor.tokenizer, deployment, device="cpu")
    exported = export_model(gated, tmp_path / "exported", samples)
    assert exported.manifest.extras == ("gate",)
    assert exported.left_out == {}
    single, file = exported.manifest.single[0], tmp_path / "exported" / exported.manifest.single[0].file
    assert single.class_path == f"ee_lightning.exits.{type(criterion).__name__}"
    for row, place, number in zip(rows, left.tolist(), labels.tolist(), strict=True):
        given = {name: tensor.numpy() for name, tensor in predictor.engine.pad([row]).items()}
        label, exit_layer = run(
            session_of(file), {**given, "thresholds": least_numbers((threshold,) * 3)}, ["label", "exit"]
        )
        assert (label.tolist(), int(exit_layer)) == ([number], place)
    names = predictor.deployment.label_names
    for found in (gated(TEXTS), EarlyExitRuntime(tmp_path / "exported")(TEXTS)):
        assert [each.exit_layer for each in found] == left.tolist()
        assert [each.label for each in found] == [names[number] for number in labels.tolist()]
