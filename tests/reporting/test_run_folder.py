"""What a run leaves behind."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from ee_lightning.errors import RunFolderError
from ee_lightning.exits import Confidence, Fixed, Oracle, StoredExits, Voting, replay, trace_curve
from ee_lightning.reporting import RunFolder, summarise


@pytest.fixture
def exits() -> StoredExits:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 30, 3, generator=generator)
    labels = torch.randint(3, (30,), generator=generator)
    return StoredExits(logits, labels, torch.arange(30), {"gate": torch.rand(4, 30, generator=generator)})


def test_exits_come_back_as_they_were(tmp_path: Path, exits: StoredExits) -> None:
    folder = RunFolder(tmp_path)
    folder.write_exits("validation", exits)
    again = folder.read_exits("validation")
    for name in ("logits", "labels", "ids"):
        assert torch.equal(getattr(again, name), getattr(exits, name))
    assert again.extras.keys() == {"gate"}
    assert torch.equal(again.extras["gate"], exits.extras["gate"])


def test_exits_without_labels_come_back_without(tmp_path: Path, exits: StoredExits) -> None:
    folder = RunFolder(tmp_path)
    folder.write_exits("test", StoredExits(exits.logits, None, exits.ids))
    assert folder.read_exits("test").labels is None


def test_exits_that_were_not_stored_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"'test'[\s\S]*test.safetensors[\s\S]*mend:"):
        RunFolder(tmp_path).read_exits("test")


def test_a_threshold_from_the_file_gives_its_operating_point(tmp_path: Path, exits: StoredExits) -> None:
    criterion = Confidence()
    folder = RunFolder(tmp_path)
    folder.write_curves("validation", [trace_curve(criterion, exits, ["accuracy"])])
    replayed = replay(criterion, exits)
    for point in pd.read_csv(tmp_path / "curves.csv").itertuples():
        exit_layer, label = replayed.at(point.threshold)
        assert exit_layer.double().mean().item() == point.mean_exit
        assert (label == exits.labels).double().mean().item() == point.accuracy


def test_splits_stand_side_by_side_and_a_split_written_again_is_replaced(tmp_path: Path, exits: StoredExits) -> None:
    folder = RunFolder(tmp_path)
    voting, confidence = (trace_curve(criterion, exits, ["accuracy"]) for criterion in (Voting(), Confidence()))
    folder.write_curves("validation", [voting])
    folder.write_curves("test", [voting])
    folder.write_curves("validation", [confidence])
    curves = pd.read_csv(tmp_path / "curves.csv")
    of_split = curves.groupby("split")["criterion"].unique().map(list).to_dict()
    assert of_split == {"test": ["voting"], "validation": ["confidence"]}
    assert len(curves) == len(voting.thresholds) + len(confidence.thresholds)

    for split, samples in (("validation", 1), ("test", 2), ("validation", 3)):
        folder.write_summary(split, {"samples": samples})
    assert folder.read_summary() == {"validation": {"samples": 3}, "test": {"samples": 2}}

    for epoch, score in ((0, 0.5), (1, 0.6), (1, 0.7)):  # an epoch that was resumed counts once
        folder.write_exit_scores(epoch, {"accuracy": [score, score]})
    scores = pd.read_csv(tmp_path / "exit_scores.csv")
    assert scores.to_numpy().tolist() == [[0, 1, 0.5], [0, 2, 0.5], [1, 1, 0.7], [1, 2, 0.7]]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_summary("validation", {"samples": 1})
    with pytest.raises(RuntimeError), folder.whole("summary.json") as file:  # noqa: PT012 - as it would break off
        file.write_text("{")
        raise RuntimeError
    assert folder.read_summary() == {"validation": {"samples": 1}}
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_a_run_without_summary_did_not_finish(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="did not finish"):
        RunFolder(tmp_path).read_summary()


def test_summary_reads_the_curves(exits: StoredExits) -> None:
    curves = [trace_curve(criterion, exits, ["accuracy"]) for criterion in (Voting(), Oracle(), Fixed())]
    summary = summarise(curves, ["accuracy"])
    right = exits.logits.argmax(-1) == exits.labels  # [exits, samples]
    assert summary["exits"]["accuracy"] == pytest.approx(right.double().mean(1).tolist())
    assert summary["full_model"]["accuracy"] == summary["exits"]["accuracy"][-1]
    first_right = torch.where(right.any(0), right.int().argmax(0) + 1, 4)
    assert summary["oracle"]["speedup"] == pytest.approx(4 / first_right.double().mean().item())
    assert summary["oracle"]["accuracy"] == pytest.approx(right.any(0).double().mean().item())
    assert list(summary["criteria"]) == ["voting"]
    figures = summary["criteria"]["voting"]["accuracy"]
    assert figures["area"] == curves[0].area("accuracy")
    assert figures["score_at_2x"] == curves[0].score_at(2.0, "accuracy")


def test_speed_ups_out_of_reach_are_null() -> None:
    exits = StoredExits(torch.randn(2, 5, 2), torch.zeros(5, dtype=torch.long), torch.arange(5))
    curves = [trace_curve(criterion, exits, ["accuracy"]) for criterion in (Voting(), Oracle(), Fixed())]
    figures = summarise(curves, ["accuracy"])["criteria"]["voting"]["accuracy"]
    assert figures["score_at_3x"] is None
    assert figures["score_at_2x"] is not None
