"""The figures beside a run's scores."""

import json
from pathlib import Path

import pytest
import torch
from factories import stored

from ee_lightning.analysis.diagnostics import diagnose, diagnostic_scalars
from ee_lightning.errors import DataError
from ee_lightning.exits import Confidence, Fixed, Oracle, Patience, StoredExits, Voting, replay, trace_curve
from ee_lightning.functional import joint_states, q_statistic
from ee_lightning.runs.folder import RunFolder

CRITERIA = [Voting(), Patience(), Confidence()]


@pytest.fixture
def exits() -> StoredExits:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (200,), generator=generator)
    logits = torch.randn(6, 200, 3, generator=generator) + 2 * torch.nn.functional.one_hot(labels, 3)
    return stored(logits, labels)


def diagnosed(exits: StoredExits, criteria: list = CRITERIA) -> dict:
    curves = [trace_curve(criterion, exits, ["accuracy"]) for criterion in (*criteria, Oracle(), Fixed())]
    return diagnose(exits, criteria, curves[::-1])


def test_figures_are_those_of_the_measures(exits: StoredExits) -> None:
    diagnostics = diagnosed(exits)
    predictions = exits.logits.argmax(-1)
    right = predictions == exits.labels
    accuracy = right.double().mean(1)
    assert diagnostics["overthinking"] == pytest.approx((right.any(0).double().mean() - accuracy[-1]).item())
    assert diagnostics["late_correction"] == (~right[0] & right[-1]).double().mean().item()
    assert diagnostics["information"]["joint_states"] == joint_states(predictions, exits.labels)
    diversity = diagnostics["diversity"]
    assert diversity["q_statistic"]["matrix"] == q_statistic(predictions, exits.labels).tolist()
    pairs = [(m, j) for m in range(6) for j in range(m)]
    for measure, by_pair in {
        "disagreement": [(predictions[m] != predictions[j]).double().mean().item() for m, j in pairs],
        "double_fault": [(~right[m] & ~right[j]).double().mean().item() for m, j in pairs],
    }.items():
        assert [diversity[measure]["matrix"][m][j] for m, j in pairs] == pytest.approx(by_pair)
        assert diversity[measure]["mean"] == pytest.approx(sum(by_pair) / len(pairs))


def test_histograms_take_the_slowest_threshold_that_reaches_the_speed_up(exits: StoredExits) -> None:
    histograms = diagnosed(exits)["exit_histograms"]
    assert list(histograms) == ["voting", "patience", "confidence"]
    for criterion in CRITERIA:
        decisions = replay(criterion, exits)
        speedup_by_threshold = {
            threshold: 6 / decisions.at(threshold)[0].double().mean().item()
            for threshold in decisions.scores.unique().tolist()
        }
        assert list(histograms[criterion.name]) == ["1.5x", "2x", "3x"]
        for name, histogram in histograms[criterion.name].items():
            reaching = {t: s for t, s in speedup_by_threshold.items() if s >= float(name.removesuffix("x"))}
            assert histogram["speedup"] == pytest.approx(min(reaching.values()))
            for threshold in (max(reaching), histogram["threshold"]):
                leaving = decisions.at(threshold)[0].tolist()
                assert histogram["samples"] == [leaving.count(exit_layer) for exit_layer in range(1, 7)]


@pytest.mark.parametrize(
    ("num_exits", "leaving_first", "samples", "speedup"), [(3, 3, 4, "2x"), (4, 4, 9, "1.5x"), (7, 28, 36, "3x")]
)
def test_a_speed_up_met_exactly_is_reached(num_exits: int, leaving_first: int, samples: int, speedup: str) -> None:
    logits = torch.zeros(num_exits, samples, 2)
    logits[0, :leaving_first, 0] = 5.0
    exits = stored(logits, torch.zeros(samples, dtype=torch.int64))
    histogram = diagnosed(exits, [Confidence()])["exit_histograms"]["confidence"][speedup]
    assert histogram["speedup"] == pytest.approx(float(speedup.removesuffix("x")), abs=1e-12)
    assert histogram["samples"] == [leaving_first, *[0] * (num_exits - 2), samples - leaving_first]


def test_speed_ups_out_of_reach_are_null(exits: StoredExits) -> None:
    two = StoredExits(exits.logits[:2], exits.labels, exits.ids)
    histograms = diagnosed(two, [Voting()])["exit_histograms"]["voting"]
    assert histograms["3x"] is None
    assert histograms["2x"]["samples"] == [200, 0]


def test_one_exit_has_no_pairs(exits: StoredExits) -> None:
    diagnostics = diagnosed(StoredExits(exits.logits[:1], exits.labels, exits.ids))
    assert diagnostics["diversity"]["disagreement"] == {"mean": None, "matrix": [[0.0]]}
    assert diagnostics["information"]["redundancy"] == 0
    assert diagnostics["exit_histograms"]["voting"] == {"1.5x": None, "2x": None, "3x": None}


@pytest.mark.parametrize("labels", [None, torch.zeros(200)])
def test_labels_that_are_no_class_numbers_are_refused(exits: StoredExits, labels: torch.Tensor | None) -> None:
    with pytest.raises(DataError, match=r"[Ll]abels[\s\S]*hint:"):
        diagnose(StoredExits(exits.logits, labels, exits.ids), [], [])


def test_regression_has_histograms_alone() -> None:
    exits = stored(torch.randn(4, 50, 1), torch.randn(50))
    criterion = Patience(tolerance=0.5)
    diagnostics = diagnose(exits, [criterion], [trace_curve(criterion, exits, ["pearson"])])
    assert set(diagnostics) == {"exit_histograms"}
    assert sum(diagnostics["exit_histograms"][criterion.name]["1.5x"]["samples"]) == 50


def test_of_several_labels_every_set_counts_as_a_class() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (80, 3), generator=generator)
    exits = stored(torch.randn(4, 80, 3, generator=generator) + 2 * labels - 1, labels, multi_label=True)
    criterion = Voting()
    diagnostics = diagnose(exits, [criterion], [trace_curve(criterion, exits, ["micro_f1"])])
    assert set(diagnostics) == {"overthinking", "late_correction", "diversity", "leaving_auroc", "exit_histograms"}
    predictions = exits.logits > 0
    right = (predictions == labels).all(-1)  # [exits, samples]
    assert diagnostics["overthinking"] == (right[:-1].any(0) & ~right[-1]).double().mean().item()
    assert diagnostics["late_correction"] == (~right[0] & right[-1]).double().mean().item()
    matrix = diagnostics["diversity"]["disagreement"]["matrix"]
    assert matrix[0][2] == (predictions[0] != predictions[2]).any(-1).double().mean().item()
    scalars = diagnostic_scalars(diagnostics, "val")
    assert scalars.keys() == {
        "val/overthinking",
        "val/late_correction",
        *(f"val/diversity/{measure}" for measure in ("disagreement", "q_statistic", "double_fault")),
    }


def test_splits_stand_side_by_side_in_plain_json(tmp_path: Path, exits: StoredExits) -> None:
    folder, diagnostics = RunFolder(tmp_path), diagnosed(exits)
    folder.write_diagnostics("validation", {"overthinking": 1.0})
    folder.write_diagnostics("test", {"overthinking": 0.5})
    folder.write_diagnostics("validation", diagnostics)
    text = (tmp_path / "diagnostics.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"validation": diagnostics, "test": {"overthinking": 0.5}}
    assert "NaN" not in text
    assert "Infinity" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["diagnostics.json"]


@pytest.mark.parametrize(
    ("num_exits", "right", "relevancy", "information"),
    [(12, 0.5, 0.0, None), (12, 1.0, 12.0, 1.0), (4, 0.5, 0.0, 0.0), (4, 1.0, 4.0, 1.0)],
)
def test_information_is_close_to_the_truth_or_left_out(
    num_exits: int, right: float, relevancy: float, information: float | None
) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (872,), generator=generator)
    is_right = torch.rand(num_exits, 872, generator=generator) < right
    told = torch.where(is_right, labels, 1 - labels)
    diagnostics = diagnosed(stored(torch.nn.functional.one_hot(told).float(), labels))
    found, logged = diagnostics["information"], diagnostic_scalars(diagnostics, "val")
    assert found["relevancy"] == pytest.approx(relevancy, abs=0.02)
    assert logged["val/information/relevancy"] == found["relevancy"]
    assert logged["val/information/relevancy_bias"] == found["bias"]["relevancy"]
    assert found["information"] == pytest.approx(information, abs=0.02)
    if information is None:
        assert found["joint_states"] > 700
        assert found["redundancy"] is found["bias"]["conditional_redundancy"] is None
        assert not {"val/information/information", "val/information/redundancy_bias"} & logged.keys()
    else:
        assert logged["val/information/information_bias"] == found["bias"]["information"]


def test_leaving_auroc_tells_scores_that_rank_what_no_later_exit_helps(exits: StoredExits) -> None:
    found = diagnosed(exits)["leaving_auroc"]
    assert list(found) == ["voting", "patience", "confidence"]
    for of_criterion in found.values():
        assert len(of_criterion) == 6
        assert of_criterion[-1] is None  # there no later exit is left
    assert all(each > 0.6 for each in found["confidence"][:3])
    shuffled = StoredExits(
        exits.logits, exits.labels[torch.randperm(200, generator=torch.Generator().manual_seed(0))], exits.ids
    )
    assert diagnosed(shuffled)["leaving_auroc"]["confidence"][0] < 0.6
