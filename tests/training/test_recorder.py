"""Joining what every exit said."""

from pathlib import Path

import pytest
import torch
from torch import distributed

from ee_lightning.errors import DataError, TrainingDiverged
from ee_lightning.functional import Kind
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.recorder import ExitRecorder


def test_batches_are_joined_in_the_order_of_their_ids() -> None:
    logits = torch.randn(3, 5, 2)  # [exits, samples, classes]
    labels, gate = torch.tensor([0, 1, 1, 0, 1]), torch.rand(3, 5)
    recorder = ExitRecorder("validation", Kind.SINGLE_LABEL)
    for ids in ([4, 0], [2, 1], [3]):
        index = torch.tensor(ids)
        recorder.add(MultiExitOutput(logits[:, index], {"gate": gate[:, index]}), labels[index], index)
    exits = recorder.join()
    assert torch.equal(exits.ids, torch.arange(5))
    assert torch.equal(exits.logits, logits)
    assert torch.equal(exits.extras["gate"], gate)
    assert exits.labels is not None
    assert torch.equal(exits.labels, labels)


def test_repeats_are_an_error_unless_processes_share_the_rows(tmp_path: Path) -> None:
    recorder = ExitRecorder("validation", Kind.SINGLE_LABEL)
    for ids in ([0, 1], [0, 1]):  # as of a loader that counts within each batch
        recorder.add(MultiExitOutput(torch.randn(2, 2, 2)), torch.tensor([0, 1]), torch.tensor(ids))
    with pytest.raises(
        DataError, match=r"4 rows have only 2 different ids\n  where: .* validation split[\s\S]*batch\['ids'\]"
    ):
        recorder.join()
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        assert recorder.join().ids.tolist() == [0, 1]
    finally:
        distributed.destroy_process_group()


def test_samples_without_labels_are_joined_too() -> None:
    recorder = ExitRecorder("validation", Kind.SINGLE_LABEL)
    recorder.add(MultiExitOutput(torch.zeros(2, 3, 2, dtype=torch.bfloat16)), None, torch.tensor([7, 5, 6]))
    exits = recorder.join()
    assert exits.labels is None
    assert exits.logits.dtype == torch.float32
    assert exits.ids.tolist() == [5, 6, 7]


def test_several_labels_a_sample_are_joined_and_known_as_such() -> None:
    recorder = ExitRecorder("validation", Kind.MULTI_LABEL)
    for ids in ([1, 2], [0]):
        labels = torch.tensor([[number, 1] for number in ids])
        recorder.add(MultiExitOutput(torch.zeros(2, len(ids), 2)), labels, torch.tensor(ids))
    exits = recorder.join()
    assert exits.multi_label
    assert exits.known_labels().tolist() == [[0, 1], [1, 1], [2, 1]]


def test_nothing_recorded_is_an_error() -> None:
    with pytest.raises(ValueError, match="no batch"):
        ExitRecorder("validation", Kind.SINGLE_LABEL).join()


def test_logits_that_are_not_finite_are_refused_with_their_split_exit_and_sample() -> None:
    recorder, logits = ExitRecorder("calibration", Kind.SINGLE_LABEL), torch.zeros(2, 3, 2)  # [exits, samples, classes]
    logits[1, 2, 0] = torch.nan
    recorder.add(MultiExitOutput(logits), None, torch.tensor([7, 5, 6]))
    with pytest.raises(TrainingDiverged, match=r"(?s)Exit 2 gives logits .*calibration split, sample with id 6.*lower"):
        recorder.join()
