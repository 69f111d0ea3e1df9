"""What a run leaves behind."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from factories import operating_point, stored
from safetensors.torch import save_file
from summaries import figures

from ee_lightning.analysis.sweep import scalars, summarise
from ee_lightning.errors import RunFolderError
from ee_lightning.exits import Confidence, EvaluatedRows, Fixed, Oracle, StoredExits, Voting, replay, trace_curve
from ee_lightning.runs.csv_tables import points_of
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions


@pytest.fixture
def exits() -> StoredExits:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 30, 3, generator=generator)
    labels = torch.randint(3, (30,), generator=generator)
    return stored(logits, labels, {"gate": torch.rand(4, 30, generator=generator)})


def test_exits_come_back_as_they_were(tmp_path: Path, exits: StoredExits) -> None:
    folder = RunFolder(tmp_path)
    folder.write_exits("validation", exits)
    again = folder.read_exits("validation")
    for name in ("logits", "labels", "ids"):
        assert torch.equal(getattr(again, name), getattr(exits, name))
    assert again.extras.keys() == {"gate"}
    assert torch.equal(again.extras["gate"], exits.extras["gate"])


def test_exits_say_which_rows_they_are_of(tmp_path: Path, exits: StoredExits) -> None:
    folder, rows = RunFolder(tmp_path), EvaluatedRows(total=813, is_drawn=False, files=["train.csv"])
    folder.write_exits("validation", replace(exits, rows=rows))
    assert folder.read_exits("validation").rows == rows
    save_file({"logits": exits.logits, "ids": exits.ids}, tmp_path / "exits" / "validation.safetensors")
    assert folder.read_exits("validation").rows == EvaluatedRows()  # as older releases wrote them
    tensors, metadata = {"logits": exits.logits, "ids": exits.ids}, {"rows": '{"total": "many"}'}
    save_file(tensors, tmp_path / "exits" / "validation.safetensors", metadata)
    with pytest.raises(RunFolderError, match="total is 'many', and it should be a valid integer"):
        folder.read_exits("validation")


def test_exits_without_labels_come_back_without(tmp_path: Path, exits: StoredExits) -> None:
    folder = RunFolder(tmp_path)
    folder.write_exits("test", StoredExits(exits.logits, None, exits.ids))
    assert folder.read_exits("test").labels is None


def test_exits_of_several_labels_come_back_as_such(tmp_path: Path, exits: StoredExits) -> None:
    folder = RunFolder(tmp_path)
    labels = torch.eye(3).long().repeat(10, 1)  # [samples, labels]
    folder.write_exits("test", StoredExits(exits.logits, labels, exits.ids, multi_label=True))
    again = folder.read_exits("test")
    assert again.multi_label
    assert torch.equal(again.label_sets(), labels)
    folder.write_exits("test", StoredExits(exits.logits, None, exits.ids, multi_label=True))
    assert folder.read_exits("test").multi_label
    folder.write_exits("test", exits)
    assert not folder.read_exits("test").multi_label


def test_exits_that_were_not_stored_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"'test'[\s\S]*test.safetensors[\s\S]*hint:"):
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
    assert len(curves) == len(points_of("test", [voting, confidence]))

    for split, samples in (("validation", 1), ("test", 2), ("validation", 3)):
        folder.write_summary(split, figures(samples=samples))
    assert folder.read_summary() == {"validation": figures(samples=3), "test": figures(samples=2)}

    for epoch, score in ((0, 0.5), (1, 0.6), (1, 0.7)):  # an epoch that was resumed counts once
        folder.write_exit_scores(epoch, {"accuracy": [score, score]})
    scores = pd.read_csv(tmp_path / "exit_scores.csv")
    assert scores.to_numpy().tolist() == [[0, 1, 0.5], [0, 2, 0.5], [1, 1, 0.7], [1, 2, 0.7]]


def test_a_split_for_which_nothing_was_fitted_has_no_entry(tmp_path: Path) -> None:
    folder, file = RunFolder(tmp_path), tmp_path / "fitted.json"
    folder.write_fitted("validation", {})
    assert not file.exists()
    for split in ("validation", "test"):
        folder.write_fitted(split, {"conformal": {"num_exits": 4}})
    folder.write_fitted("validation", {})
    assert json.loads(file.read_text()) == {"test": {"conformal": {"num_exits": 4}}}
    folder.write_fitted("test", {})
    assert json.loads(file.read_text()) == {}


def test_figures_of_a_split_that_was_not_evaluated_are_missed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_summary("validation", figures())
    assert folder.read_figures("validation") == figures()
    with pytest.raises(RunFolderError, match=r"'test'[\s\S]*summary.json[\s\S]*run validate or test .*again"):
        folder.read_figures("test")


@pytest.mark.parametrize("content", ["", '{"validation": ', "[]", "\0"])
@pytest.mark.parametrize(
    "name", ["summary.json", "fitted.json", "diagnostics.json", "curves.csv", "exit_scores.csv", "speed.csv"]
)
def test_damaged_files_are_named_and_left_as_they_are(
    tmp_path: Path, exits: StoredExits, name: str, content: str
) -> None:
    folder, file = RunFolder(tmp_path), tmp_path / name
    file.write_text(content)
    with pytest.raises(RunFolderError, match=rf"{name} can't be read: [\s\S]*where: .*{name}[\s\S]*hint:  delete it"):
        {
            "summary.json": lambda: folder.read_summary(),
            "fitted.json": lambda: folder.write_fitted("test", {"conformal": {}}),
            "diagnostics.json": lambda: folder.write_diagnostics("test", {"overthinking": 0.5}),
            "curves.csv": lambda: folder.write_curves("test", [trace_curve(Voting(), exits, ["accuracy"])]),
            "exit_scores.csv": lambda: folder.write_exit_scores(0, {"accuracy": [0.5, 0.6]}),
            "speed.csv": lambda: folder.read_speed(),
        }[name]()
    assert file.read_text() == content


def test_curves_without_the_right_columns_are_refused(tmp_path: Path, exits: StoredExits) -> None:
    (tmp_path / "curves.csv").write_text("split,criterion,threshold,mean_exit,accuracy\nvalidation,voting,1,4,1\n")
    with pytest.raises(RunFolderError, match=r"curves.csv can't be read: it lacks the columns speedup"):
        RunFolder(tmp_path).write_curves("test", [trace_curve(Voting(), exits, ["accuracy"])])


@pytest.mark.parametrize("kept", [0, 7, 100, 1500])
def test_truncated_exits_are_refused(tmp_path: Path, exits: StoredExits, kept: int) -> None:
    folder, file = RunFolder(tmp_path), tmp_path / "exits/test.safetensors"
    folder.write_exits("test", exits)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(RunFolderError, match=r"test.safetensors can't be read: [\s\S]*hint:  run validate or test"):
        folder.read_exits("test")


@pytest.mark.parametrize("tensors", [{"logits": torch.zeros(2, 3)}, {"ids": torch.arange(3)}])
def test_exits_without_the_right_tensors_are_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    (tmp_path / "exits").mkdir()
    save_file(tensors, tmp_path / "exits/test.safetensors")
    with pytest.raises(RunFolderError, match=r"test.safetensors can't be read: it lacks"):
        RunFolder(tmp_path).read_exits("test")


def test_rows_that_were_not_held_out_are_to_be_held_out(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"'calibration'[\s\S]*hint: .*--data.calibration"):
        RunFolder(tmp_path).read_exits("calibration")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_summary("validation", figures())
    with pytest.raises(RuntimeError), folder.whole("summary.json") as file:  # noqa: PT012 - as it would break off
        file.write_text("{")
        raise RuntimeError
    assert folder.read_summary() == {"validation": figures()}
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
    voting = summary["criteria"]["voting"]["accuracy"]
    assert voting["area"] == curves[0].area("accuracy", curves[2])
    assert voting["score_at_2x"] == curves[0].score_at(2.0, "accuracy")


def test_speed_ups_out_of_reach_are_null() -> None:
    exits = stored(torch.randn(2, 5, 2), torch.zeros(5, dtype=torch.long))
    curves = [trace_curve(criterion, exits, ["accuracy"]) for criterion in (Voting(), Oracle(), Fixed())]
    voting = summarise(curves, ["accuracy"])["criteria"]["voting"]["accuracy"]
    assert voting["score_at_3x"] is None
    assert voting["score_at_2x"] is not None


def test_every_column_of_a_point_is_its_own(tmp_path: Path, exits: StoredExits) -> None:
    curve = trace_curve(Confidence(), exits, ["accuracy", "matthews"])
    RunFolder(tmp_path).write_curves("validation", [curve], all_points=True)
    points = pd.read_csv(tmp_path / "curves.csv")
    for column, values in {
        "speedup": curve.speedup,
        "mean_exit": curve.mean_exit,
        "threshold": curve.thresholds,
        **curve.scores,
    }.items():
        assert points[column].tolist() == values.tolist()


def test_stored_splits_are_in_order_and_without_the_rows_held_out(tmp_path: Path, exits: StoredExits) -> None:
    folder, splits = RunFolder(tmp_path), ["validation", "test", "b", "calibration", "c", "a"]
    for split in splits:
        folder.write_exits(split, exits)
    assert folder.stored_splits() == ["a", "b", "c", "test", "validation"]


def test_loggers_get_the_first_metric_of_every_criterion_and_nothing_out_of_reach() -> None:
    summary = {
        "metrics": ["f1", "accuracy"],
        "full_model": {"f1": 0.7, "accuracy": 0.8},
        "oracle": {"speedup": 2.5, "f1": 0.85, "accuracy": 0.9},
        "criteria": {"voting": {"f1": {"area": 0.5, "score_at_3x": None}, "accuracy": {"area": 0.6}}},
    }
    assert scalars(summary, "val") == {
        "val/voting/area": 0.5,
        "val/full_model/score": 0.7,
        "val/oracle/score": 0.85,
        "val/oracle/speedup": 2.5,
    }


def test_every_metric_has_its_own_area(exits: StoredExits) -> None:
    curves = [trace_curve(criterion, exits, ["accuracy", "matthews"]) for criterion in (Voting(), Oracle(), Fixed())]
    for metric, voting in summarise(curves, ["accuracy", "matthews"])["criteria"]["voting"].items():
        assert voting["area"] == curves[0].area(metric, curves[2])
        assert voting["score_at_1.5x"] == curves[0].score_at(1.5, metric)


def test_it_says_what_it_is(tmp_path: Path, exits: StoredExits) -> None:
    folder = RunFolder(tmp_path / "run")
    assert repr(folder) == f"RunFolder('{folder.path}': not there yet)"
    folder.write_exits("validation", exits)
    assert repr(folder) == f"RunFolder('{folder.path}': not finished, exits stored: validation)"
    folder.finish()
    assert repr(folder) == f"RunFolder('{folder.path}': finished, exits stored: validation)"
    assert repr(trace_curve(Fixed(), exits, ["accuracy"])).startswith(
        "Curve(fixed: 5 points, 1.00x to 4.00x, accuracy 0."
    )
    assert repr(exits).startswith("StoredExits(")
    assert len(repr(exits)) < 120
    assert repr(replay(Fixed(), exits)) == f"Replay(4 exits, {exits.num_samples} samples, scores from 1 to 4)"
    point = "OperatingPoint(voting(k=0.5, fallback=majority) at 1.2: speedup 2.040; min_speedup 2, missed)"
    assert repr(operating_point(met=False)) == point


@pytest.mark.parametrize("read", ["read_summary", "stored_splits", "read_exits", "options"])
def test_a_folder_of_runs_names_its_newest_one(read: str, tmp_path: Path) -> None:
    for number in (0, 9, 10):
        (tmp_path / f"version_{number}").mkdir()
        (tmp_path / f"version_{number}" / "config.yaml").write_text("model: {}\n")
    (tmp_path / "version_11").mkdir()  # which holds no run
    folder = RunFolder(tmp_path)
    asked = {"read_exits": lambda: folder.read_exits("validation"), "options": lambda: RunOptions.read(folder)}
    with pytest.raises(RunFolderError, match=r"holds runs, and is none itself[\s\S]*hint: +name .*version_10$"):
        asked.get(read, getattr(folder, read, None))()  # type: ignore[misc]
