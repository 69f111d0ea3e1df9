"""One folder of graphs: whole, checked, and the same as the model layer by layer and row by row."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from ee_lightning.errors import BackboneError, RunFolderError
from ee_lightning.exits import StoredExits, replay
from ee_lightning.export import exporting
from ee_lightning.export.checking import exits_in_runtime
from ee_lightning.export.exporting import Exported, export_model
from ee_lightning.export.int8 import Range
from ee_lightning.export.sessions import run, session_of
from ee_lightning.export.tracing import Stages, trace_stages
from ee_lightning.inference import EarlyExitPredictor, Sample
from ee_lightning.runtime.backend import least_numbers
from ee_lightning.runtime.manifest import MANIFEST, Manifest

pytestmark = pytest.mark.usefixtures("one_torchlib")


@pytest.fixture(scope="module", autouse=True)
def traced_once() -> Iterator[None]:
    """Trace the model for the first export, and start the others from copies of its graphs."""
    traced = cache(trace_stages)

    def copied(*arguments: Any) -> Stages:
        stages = traced(*arguments)
        layers, exits = (
            {layer: graph.clone() for layer, graph in each.items()} for each in (stages.layers, stages.exits)
        )
        return Stages(stages.embed.clone(), layers, exits)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(exporting, "trace_stages", copied)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export") / "fp32"


@pytest.fixture(scope="module")
def exported(folder: Path, predictor: EarlyExitPredictor, samples: list[Sample]) -> Exported:
    return export_model(predictor, folder, samples)


def stored_of(folder: Path, predictor: EarlyExitPredictor, *batches: list[Sample]) -> list[StoredExits]:
    run_exits = exits_in_runtime(folder, Manifest.read(folder), predictor.model.target)
    return [run_exits(batch) for batch in batches]


def test_all_exits_say_what_the_models_do_and_the_folder_says_what_it_holds(
    exported: Exported, folder: Path, predictor: EarlyExitPredictor, samples: list[Sample]
) -> None:
    assert exported.checks.difference < 1e-5
    assert exported.checks.same_exits == exported.checks.same_labels == exported.checks.rows == len(samples)
    assert (exported.fused, exported.left_out, exported.exits) == (3, {}, None)
    batch = predictor.engine.pad(samples)
    with torch.no_grad():
        expected = predictor.model(**batch).logits
    (stored,) = stored_of(folder, predictor, samples)
    torch.testing.assert_close(stored.logits, expected, rtol=0, atol=1e-5)

    manifest = Manifest.read(folder)
    assert manifest == exported.manifest
    assert {file.name for file in folder.iterdir()} == {*manifest.files, MANIFEST}
    assert manifest.graphs.layers == ("layer_01.onnx", "layer_02.onnx", "layer_03.onnx")
    assert (manifest.exit_layers, manifest.depth, manifest.extras) == ((1, 2, 3), 3, ())
    manifest.check(folder)


def test_single_rows_leave_where_a_replay_lets_them_by_every_criterion_at_every_threshold(
    exported: Exported, folder: Path, predictor: EarlyExitPredictor, samples: list[Sample]
) -> None:
    single = exported.manifest.single
    assert [each.class_path.rpartition(".")[2] for each in single] == [
        *("Voting", "Confidence", "Entropy", "Margin", "Voting", "Patience")
    ]
    left, some = set(), samples[:4]
    all_stored = stored_of(folder, predictor, *([sample] for sample in some))
    for each in single:
        session, criterion = session_of(folder / each.file), exporting._criterion_of(each)
        for sample, stored in zip(some, all_stored, strict=True):
            scores = replay(criterion, stored).scores[:, 0].double()  # [exits]
            for threshold in [*(scores - 1e-5).tolist(), float("inf")]:
                exits, labels = replay(criterion, stored).at(threshold)
                arrays = {name: tensor.numpy() for name, tensor in predictor.engine.pad([sample]).items()}
                given = {**arrays, "thresholds": least_numbers((threshold,) * 3)}
                label, exit_layer, logits = run(session, given, ["label", "exit", "logits"])
                assert (int(exit_layer), label.tolist()) == (exits.item(), labels.tolist()), (criterion, threshold)
                np.testing.assert_allclose(logits[0], stored.logits[int(exit_layer) - 1, 0], rtol=0, atol=1e-6)
                left.add(int(exit_layer))
    assert left == {1, 2, 3}


def test_labels_are_made_where_one_leaves(exported: Exported, folder: Path) -> None:
    single = next(each for each in exported.manifest.single if each.class_path.endswith("Confidence"))
    level, made = ir.load(folder / single.file).graph, list[tuple[int, int]]()
    while any(choices := [node for node in level if node.op_type == "If"]):
        leave, stay = (choices[0].attributes[name].as_graph() for name in ("then_branch", "else_branch"))
        made.append(tuple(sum(node.op_type == "ArgMax" for node in each) for each in (level, leave)))
        level = stay
    assert made == [(0, 1), (0, 1)]


def test_sums_before_normalisation_are_left_to_fast_operators(exported: Exported, folder: Path) -> None:
    """ONNX Runtime would make its slow operator for both of two sums and a normalisation."""
    nodes = [node.op_type for node in ir.load(folder / exported.manifest.graphs.layers[0]).graph]
    assert [each for each in nodes if each in ("Add", "Sum", "LayerNormalization", "SkipLayerNormalization")] == [
        *("Sum", "LayerNormalization") * 2
    ]


def test_weights_stand_once_in_their_file(exported: Exported, folder: Path, predictor: EarlyExitPredictor) -> None:
    of_model = sum(tensor.nbytes for tensor in predictor.model.state_dict().values())
    assert (folder / "weights.bin").stat().st_size < 1.2 * of_model + 4096 * len(predictor.model.state_dict())


def test_int8_does_not_depend_on_the_batch(
    predictor: EarlyExitPredictor, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "IN_GRAPH", ())  # each takes a second
    seen = []

    def choose(rule, exits, run_exits):
        seen.append(exits)
        return replace(rule, threshold=1.3)

    exported = export_model(predictor, tmp_path, samples, precision="int8", choice=choose)
    assert exported.deployment.rule.threshold == 1.3
    assert json.loads((tmp_path / "early_exit.json").read_text())["rule"]["threshold"] == 1.3
    assert exported.exits is seen[0]
    stored, *each = stored_of(tmp_path, predictor, samples, *([sample] for sample in samples[:8]))
    together, alone = stored.logits, torch.cat([one.logits for one in each], 1)
    torch.testing.assert_close(together[:, :8], alone, rtol=0, atol=1e-5)
    with torch.no_grad():
        expected = predictor.model(**predictor.engine.pad(samples)).logits
    assert 1e-3 < (together - expected).abs().mean() < 0.1  # or scales of a batch would pass too


def test_int8_runs_all_rows_only_where_the_rule_is_chosen_by_them(
    predictor: EarlyExitPredictor, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "IN_GRAPH", ())
    many = samples * 10
    seen = list[int]()
    made = exporting.exits_in_runtime

    def counting(*arguments: Any) -> Any:
        run_exits = made(*arguments)
        return lambda some: seen.append(len(some)) or run_exits(some)

    monkeypatch.setattr(exporting, "exits_in_runtime", counting)
    exported = export_model(predictor, tmp_path, many, precision="int8")
    assert exported.exits is None
    assert max(seen) < len(many)


def test_smoothing_evens_out_channels_and_rows() -> None:
    activation, weight = np.array([[[-8.0, 0.5, 0.0]], [[2.0, 1.0, 0.0]]], np.float32), np.array([[0.5], [4.0], [1.0]])
    found = Range.of(activation)
    assert (found.low.tolist(), found.high.tolist()) == ([-8, 0, 0], [2, 1, 0])
    smoothing = found.smoothing(weight.astype(np.float32))
    np.testing.assert_allclose(smoothing, [8**0.85 / 0.5**0.15, 1 / 4**0.15, 1], rtol=1e-6)
    assert found.joined(Range.of(3 * activation)).low.tolist() == [-24, 0, 0]


def test_a_model_that_is_not_the_same_leaves_what_was_there(
    exported: Exported,
    folder: Path,
    predictor: EarlyExitPredictor,
    samples: list[Sample],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def wrong(graph):
        for node in graph:
            if node.op_type == "LayerNormalization":
                node.attributes["epsilon"] = ir.AttrFloat32("epsilon", 1.0)

    monkeypatch.setattr(exporting, "fuse", wrong)
    with pytest.raises(BackboneError, match="logits of the exported graphs differ from the model's"):
        export_model(predictor, folder, samples)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_saved_model_is_not_written_over(
    predictor: EarlyExitPredictor, samples: list[Sample], tmp_path: Path
) -> None:
    predictor.save_pretrained(tmp_path)
    with pytest.raises(RunFolderError, match="holds a saved model"):
        export_model(predictor, tmp_path, samples)


def test_neither_kind_of_model_takes_the_place_of_a_run_or_of_an_exported_one(
    predictor: EarlyExitPredictor, exported: Exported, samples: list[Sample], folder: Path, tmp_path: Path
) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(RunFolderError, match="holds an exported model"):
        predictor.save_pretrained(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    (tmp_path / "config.yaml").write_text("run: {}")
    with pytest.raises(RunFolderError, match="is that of a run"):
        predictor.save_pretrained(tmp_path)
    with pytest.raises(RunFolderError, match="is that of a run"):
        export_model(predictor, tmp_path, samples)
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("is_whole", [True, False])
def test_an_exported_model_is_no_saved_one(is_whole: bool, exported: Exported, folder: Path, tmp_path: Path) -> None:
    place = shutil.copytree(folder, tmp_path / "model")
    if not is_whole:
        (place / MANIFEST).unlink()
    with pytest.raises(RunFolderError, match=r"holds an exported model[\s\S]*its manifest.json; here give a"):
        EarlyExitPredictor.from_pretrained(place)


@pytest.mark.parametrize("damage", ["missing", "changed", "swapped"])
def test_a_damaged_folder_is_told(damage: str, exported: Exported, folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    first, second = tmp_path / "layer_01.onnx", tmp_path / "layer_02.onnx"
    if damage == "missing":
        first.unlink()
    elif damage == "changed":
        first.write_bytes(first.read_bytes()[:-1] + b"\0")
    else:
        first.write_bytes(second.read_bytes())
    with pytest.raises(RunFolderError, match=r"missing|damaged") as refused:
        Manifest.read(tmp_path).check(tmp_path)
    assert refused.value.where == first
