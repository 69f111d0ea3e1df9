"""Numpy arrays are judged as torch tensors are, by every criterion."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.exits import Conformal, ExitOutput, reaches, replay
from ee_lightning.functional import log_softmax, softmax


def as_numpy(output):
    """Return what an exit says as arrays of numpy."""
    extras = {name: extra.numpy() for name, extra in output.extras.items()}
    labels = None if output.labels is None else output.labels.numpy()
    return ExitOutput(output.exit_layer, output.num_exits, output.logits.numpy(), extras, labels, output.kind)


def judged_by_numpy(criterion, exits):
    """Return the scores and labels after every exit and the fallback, as numpy has them."""
    state = criterion.start(exits.num_samples, exits.target, "cpu")
    scores, labels = [], []
    for exit_layer in range(1, exits.num_exits + 1):
        output = as_numpy(exits.output(exit_layer))
        decision, state = criterion.checked_step(output, state)
        assert all(type(array) is np.ndarray for array in (*decision, *state.values()))
        scores.append(decision.score)
        labels.append(decision.label)
    return np.stack(scores), np.stack(labels), criterion.checked_fallback(output, state)


@settings(deadline=None, max_examples=15)
@given(
    num_exits=st.integers(1, 5),
    num_samples=st.integers(1, 6),
    num_classes=st.integers(2, 4),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["continuous", "equal"]),
)
def test_numpy_arrays_are_judged_as_tensors_are(case, num_exits, num_samples, num_classes, seed, kind):
    exits = case.exits(num_exits, num_classes, num_samples=num_samples, seed=seed, kind=kind)
    criterion = case.ready_for(exits)
    scores, labels, fallback = judged_by_numpy(criterion, exits)
    replayed = replay(criterion, exits)
    assert scores.dtype == (np.float64 if isinstance(criterion, Conformal) else np.float32)
    np.testing.assert_allclose(scores, replayed.scores.numpy(), rtol=3e-6, atol=3e-6)
    np.testing.assert_array_equal(labels, replayed.labels.numpy())
    np.testing.assert_array_equal(fallback, replayed.fallback.numpy())


def test_probabilities_are_those_of_torch_for_logits_of_any_size():
    logits = torch.tensor([[1e30, -1e30], [0.0, 88.0], [-3.0, -3.0], [5e4, 5e4 - 1]])
    for ours, torchs in ((softmax, torch.softmax), (log_softmax, torch.log_softmax)):
        np.testing.assert_allclose(ours(logits.numpy()), torchs(logits, -1).numpy(), rtol=1e-6)


@pytest.mark.parametrize("threshold", [0.95, 0.9, 0.3, -0.1, 1 / 3, 0.0, 1e-50, 1e300, float("inf")])
def test_a_threshold_is_reached_alike(threshold):
    nearest = np.float32(min(threshold, 3e38))
    scores = np.stack([np.nextafter(nearest, np.float32(-np.inf)), nearest, np.nextafter(nearest, np.float32(np.inf))])
    expected = scores.astype(np.float64) >= threshold
    assert reaches(scores, threshold).tolist() == reaches(torch.tensor(scores), threshold).tolist() == expected.tolist()


def test_judging_numpy_arrays_loads_no_torch():
    program = """
import sys
import numpy as np
from ee_lightning.exits import CRITERIA, Conformal, ExitOutput, Oracle, spec_of
from ee_lightning.functional import Target
for name, kind in CRITERIA.items():
    criterion, labels = kind(), np.array([0, 1])
    if hasattr(criterion, "restore"):
        sizes = {"num_exits": 2, "num_classes": 3}
        shapes = {name: [sizes.get(size, 4) for size in shape] for name, shape in criterion.shapes.items()}
        learnt = {name: np.full(shape, 0.5).tolist() for name, shape in shapes.items()}
        criterion.restore({"num_exits": 2, "num_classes": 3, **learnt})
    state = criterion.start(2, Target.of(3), "cpu")
    for exit_layer in (1, 2):
        extras = dict.fromkeys(("gate", "nsp"), np.zeros(2, np.float32))
        output = ExitOutput(exit_layer, 2, np.eye(2, 3, dtype=np.float32), extras, labels)
        decision, state = criterion.step(output, state)
    assert decision.label.tolist() == criterion.fallback(output, state).tolist() == [0, 1], name
    assert spec_of(name).build().name == name
print(*(name for name in ("torch", "transformers", "lightning", "pandas", "datasets") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")
