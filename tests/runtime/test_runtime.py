"""An exported model at work without torch: equal to the torch predictor and to the replay of what its exits say."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch
from installed import environment

from ee_lightning.errors import DataError, OptionError, RunFolderError
from ee_lightning.exits import Confidence, Criterion, Decision, Entropy, Patience, StoredExits, Voting, replay
from ee_lightning.export.exporting import export_model
from ee_lightning.inference import EarlyExitPredictor, TextPrediction
from ee_lightning.runtime import EarlyExitRuntime
from ee_lightning.runtime.manifest import Manifest
from ee_lightning.runtime.sessions import Sessions

pytestmark = pytest.mark.usefixtures("one_torchlib")
NO_TORCH = "torch is not installed: pip install 'ee_lightning[torch]'"
PAIRS = [
    ("a lovely film", "quite funny"),
    ("the dull plot was very very boring and long", "yes"),
    ("quite funny", "a clever scene with a cold actor " * 6),
    ("", "no"),
    ("a clever scene", "a lovely film with a clever plot"),
    *((f"the film number {number} was {'very ' * (number % 5)}good", "so it was") for number in range(12)),
]
SCHEDULES = [
    {"schedule": "depth_first", "batch_size": 1},
    {"schedule": "depth_first", "batch_size": 5},
    {"schedule": "breadth_first", "max_tokens": 60},
]


@pytest.fixture(scope="module")
def predictor(small_predictor: EarlyExitPredictor) -> EarlyExitPredictor:
    """Return a predictor on pairs of texts, whose exits disagree."""
    deployment = replace(small_predictor.deployment, text_columns=("first", "second"), max_length=24)
    return EarlyExitPredictor(small_predictor.model, small_predictor.tokenizer, deployment, device="cpu")


@pytest.fixture(scope="module")
def folder(predictor: EarlyExitPredictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export it."""
    place = tmp_path_factory.mktemp("exported") / "model"
    export_model(predictor, place, predictor.tokenise(*map(list, zip(*PAIRS, strict=True))))
    return place


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder to damage."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def stored(folder: Path) -> StoredExits:
    """Return what all exits of the exported model say of each row alone."""
    everything = EarlyExitRuntime(folder, threshold=inf, keep_trail=True, schedule="depth_first", batch_size=1)
    trails = [prediction.trail for prediction in everything.stream(PAIRS)]
    logits = torch.tensor(trails, dtype=torch.float32).transpose(0, 1)  # [exits, rows, classes]
    return StoredExits(logits, None, torch.arange(len(PAIRS)))


def told(prediction: TextPrediction) -> tuple[object, int]:
    return prediction.label, prediction.exit_layer


def assert_same(found: list[TextPrediction], expected: list[TextPrediction]) -> None:
    assert [told(each) for each in found] == [told(each) for each in expected]
    for name in ("probability", "score"):
        assert [getattr(each, name) for each in found] == pytest.approx(
            [getattr(each, name) for each in expected], abs=1e-4
        )


@pytest.mark.parametrize("options", SCHEDULES, ids=str)
@pytest.mark.parametrize("keep_trail", [False, True])
def test_predictions_are_those_of_the_torch_predictor(
    options: dict, keep_trail: bool, folder: Path, predictor: EarlyExitPredictor
) -> None:
    stream = EarlyExitRuntime(folder, keep_trail=keep_trail, **options).stream(PAIRS)
    found, expected = list(stream), predictor.stream(PAIRS)
    assert_same(found, list(expected))
    assert (stream.num_cut, expected.num_cut) == (1, 1)
    assert len({each.exit_layer for each in found}) > 1
    assert all((each.trail is not None) == keep_trail for each in found)


@pytest.mark.parametrize("criterion", [Voting(k=0.5), Confidence(), Entropy(), Patience()], ids=repr)
@pytest.mark.parametrize("options", SCHEDULES, ids=str)
def test_replay_of_what_the_exits_say_is_what_is_predicted(
    criterion: Criterion, options: dict, folder: Path, stored: StoredExits
) -> None:
    replayed = replay(criterion, stored)
    scores = replayed.scores.unique()
    left_at = set()
    for level in (scores[:-1] + scores.diff() / 2)[:: max(1, len(scores) // 4)].tolist():
        found = list(EarlyExitRuntime(folder, criterion=criterion, threshold=level, **options).stream(PAIRS))
        exit_layers, labels = replayed.at(level)
        words = [("good", "bad", "neither")[label] for label in labels.tolist()]
        assert [told(each) for each in found] == list(zip(words, exit_layers.tolist(), strict=True))
        left_at |= set(exit_layers.tolist())
    assert len(left_at) > 1


def test_one_threshold_for_each_exit_holds_for_a_single_row_and_for_batches(folder: Path, stored: StoredExits) -> None:
    levels = [scores.sort().values for scores in replay(Confidence(), stored).scores[1:]]  # [rows] each
    widest = [int(level.diff().argmax()) for level in levels]  # so that rounding lets nobody across
    middles = [level[place : place + 2].mean().item() for level, place in zip(levels, widest, strict=True)]
    thresholds = (inf, *middles)
    expected = replay(Confidence(), stored).at(thresholds)[0].tolist()
    for options in SCHEDULES:
        found = EarlyExitRuntime(folder, criterion="confidence", threshold=thresholds, **options).stream(PAIRS)
        assert [each.exit_layer for each in found] == expected


@pytest.mark.parametrize("options", SCHEDULES, ids=str)
def test_exits_that_are_not_asked_cost_nothing_and_have_no_vote(
    options: dict, folder: Path, stored: StoredExits
) -> None:
    threshold = 1.2  # two of two votes reach it
    runtime = EarlyExitRuntime(folder, criterion=Voting(k=0.5), threshold=threshold, exits=[2, 3], **options)
    exits, labels = replay(Voting(k=0.5), stored.asking([2, 3])).at(threshold)
    assert [each.exit_layer for each in runtime.stream(PAIRS)] == exits.tolist()
    assert [each.label for each in runtime.stream(PAIRS)] == [("good", "bad", "neither")[label] for label in labels]
    assert runtime.layers_of_exits == (2, 3)
    assert {"layer_01.onnx", "exit_02.onnx"} <= {*runtime.engine._sessions._loaded}
    assert "exit_01.onnx" not in runtime.engine._sessions._loaded
    assert not any(name.startswith("single") for name in runtime.engine._sessions._loaded)


def test_exits_are_those_of_the_model_and_come_with_a_threshold(folder: Path) -> None:
    with pytest.raises(OptionError, match="no exit after layer 4"):
        EarlyExitRuntime(folder, exits=[4], threshold=1)
    with pytest.raises(OptionError, match="threshold was chosen for exits after layers 1, 2, 3"):
        EarlyExitRuntime(folder, exits=[1, 3])


def test_copies_and_pickles_and_several_threads_predict_alike(folder: Path) -> None:
    runtime = EarlyExitRuntime(folder, threads=1)
    expected = [runtime(*pair) for pair in PAIRS]
    assert [deepcopy(runtime)(*pair) for pair in PAIRS] == expected
    again = pickle.loads(pickle.dumps(runtime))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda pair: again(*pair), PAIRS)) == expected
    assert "mood: first and second -> good, bad, neither" in repr(again)


def test_threads_hold_for_the_tokenizer_too(folder: Path) -> None:
    program = (
        "from ee_lightning.runtime.loading import load_predictor\n"
        f"predictor = load_predictor({str(folder)!r}, threads=5)\n"
        "def count(): return int(open('/proc/self/status').read().split('Threads:')[1].split()[0])\n"
        "before = count(); predictor.tokenise(['a film'] * 9, ['a plot'] * 9); print(count() - before)"
    )
    environ = {
        name: value for name, value in os.environ.items() if name not in ("RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM")
    }
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout == "5\n"


def test_threads_of_one_graph_leave_the_cores_to_the_next(folder: Path) -> None:
    sessions = Sessions(folder, threads=2)
    sessions.run("embed.onnx", None, {name: np.ones((1, 3), np.int64) for name in Manifest.read(folder).inputs})
    options = sessions._loaded["embed.onnx"].session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_folder_whose_weights_have_two_names_predicts_layer_by_layer(folder: Path, copied: Path) -> None:
    """As a killed export leaves it; ONNX Runtime refuses branches with such weights."""
    expected = [EarlyExitRuntime(folder)(*pair) for pair in PAIRS[:3]]
    (copied / "another name").hardlink_to(copied / "weights.bin")
    runtime = EarlyExitRuntime(copied)
    assert_same([runtime(*pair) for pair in PAIRS[:3]], expected)
    assert "layer_01.onnx" in runtime.engine._sessions._loaded


def test_what_is_no_text_is_an_error_and_can_be_left_out(folder: Path) -> None:
    runtime = EarlyExitRuntime(folder)
    with pytest.raises(DataError, match="a text must be a string"):
        runtime([("a", None)])
    stream = runtime.stream([("a", None), PAIRS[0]], skip_bad_rows=True)
    assert len(list(stream)) == stream.num_bad == 1


def test_the_extra_runtime_is_enough(folder: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "env", "runtime")
    program = f"""
from ee_lightning.runtime import EarlyExitRuntime
runtime = EarlyExitRuntime({str(folder)!r})
print(runtime(*{PAIRS[0]})[0] == runtime([{PAIRS[0]}, {PAIRS[1]}])[0][0])
try:
    from ee_lightning.inference import EarlyExitPredictor
except ImportError as error:
    print(error)
"""
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"True\n{NO_TORCH}\n", "")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"first": a, "second": b}) + "\n" for a, b in PAIRS))
    options = ["--input", tmp_path / "rows.jsonl", "--output", tmp_path / "labels.jsonl", "--probabilities"]
    command = [python, "-m", "ee_lightning", "predict"]
    subprocess.run([*command, folder, *options], capture_output=True, check=True)
    rows = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    expected = list(EarlyExitRuntime(folder).stream(PAIRS))
    assert [(row["label"], row["exit_layer"]) for row in rows] == [told(each) for each in expected]
    assert [row[f"probability_{row['label']}"] for row in rows] == pytest.approx([row["probability"] for row in rows])
    refused = subprocess.run([*command, tmp_path, "--text", "a"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (1, f"error: {NO_TORCH}\n")


def test_without_onnx_runtime_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"^onnxruntime is not installed: pip install 'ee_lightning\[runtime\]'$"):
        EarlyExitRuntime(folder)


def signed(folder: Path, name: str) -> None:
    """Write the SHA-256 of a changed file into the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def half_a_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def another_format(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))


def no_weights(folder: Path) -> None:
    (folder / "weights.bin").unlink()


def swapped(folder: Path) -> None:
    first, second = folder / "layer_01.onnx", folder / "layer_02.onnx"
    first.write_bytes(second.read_bytes())


def cut_weights(folder: Path) -> None:
    (folder / "weights.bin").write_bytes((folder / "weights.bin").read_bytes()[:-1])


def other_exits(folder: Path) -> None:
    fields = json.loads((folder / "early_exit.json").read_text())
    (folder / "early_exit.json").write_text(json.dumps(fields | {"num_exits": 2}))
    signed(folder, "early_exit.json")


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    signed(folder, "tokenizer.json")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_manifest, "holds no exported model"),
        (half_a_manifest, "manifest.json can't be read"),
        (another_format, "manifest.json has format 99"),
        (no_weights, r"file of the exported model is missing[\s\S]*weights.bin"),
        (swapped, r"SHA-256 is not the manifest's[\s\S]*layer_01.onnx"),
        (cut_weights, r"SHA-256 is not the manifest's[\s\S]*weights.bin"),
        (other_exits, "is for 2 exits, and there are 3"),
        (no_tokenizer, "the tokenizer can't be read"),
    ],
)
def test_a_damaged_folder_is_one_error(damage: Callable[[Path], None], message: str, copied: Path) -> None:
    damage(copied)
    with pytest.raises(RunFolderError, match=message):
        EarlyExitRuntime(copied)


def test_a_graph_that_the_installed_runtime_can_not_load_says_so(copied: Path) -> None:
    name = json.loads((copied / "manifest.json").read_text())["graphs"]["embed"]
    graph = (copied / name).read_bytes()
    assert b"LayerNormalization" in graph
    (copied / name).write_bytes(graph.replace(b"LayerNormalization", b"LayerNormalizatiXX"))
    signed(copied, name)
    with pytest.raises(OptionError, match=r"can't load a graph[\s\S]*LayerNormalizatiXX[\s\S]*install the version"):
        EarlyExitRuntime(copied)(PAIRS)


class OfTensors(Criterion):
    """Written for torch alone."""

    def step(self, output, state):
        return Decision(output.probabilities.amax(-1), output.predictions), state


def test_a_criterion_that_needs_torch_is_refused(folder: Path) -> None:
    with pytest.raises(OptionError, match=r"OfTensors can't judge numpy arrays[\s\S]*EarlyExitPredictor"):
        EarlyExitRuntime(folder, criterion=OfTensors(), threshold=0.5)
