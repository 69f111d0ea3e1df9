"""The picture of the curves."""

from pathlib import Path

import pytest
import torch
from factories import exits_of, stored

from ee_lightning.analysis.sweep import sweep_exits
from ee_lightning.cli import main
from ee_lightning.exits import Confidence, Curve, Energy, Entropy, Fixed, Margin, Oracle, Voting, trace_curve
from ee_lightning.exits.bands import Bands
from ee_lightning.reporting import draw_curves, write_sweep
from ee_lightning.runs.folder import RunFolder


def drawn_labels(curves: list[Curve]) -> list[str]:
    (axes,) = draw_curves({"title": curves}, "accuracy").axes
    return [line.get_label() for line in axes.lines]


def test_every_operating_point_is_drawn() -> None:
    exits = stored(torch.randn(3, 20, 2), torch.randint(2, (20,)))
    curves = [trace_curve(criterion, exits, ["accuracy"]) for criterion in (Confidence(), Oracle(), Fixed())]
    (axes,) = draw_curves({"title": curves}, "accuracy").axes
    assert axes.get_title("left") == "title"
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"confidence", "one exit alone", "full model"}
    assert list(lines["confidence"].get_xdata()) == curves[0].speedup.tolist()
    assert list(lines["confidence"].get_ydata()) == (100 * curves[0].scores["accuracy"]).tolist()
    (note,) = (text.get_text() for text in axes.texts)
    assert note.startswith("oracle: ")


def test_the_oracle_does_not_stretch_the_axis() -> None:
    exits = exits_of(200)
    curves = [trace_curve(criterion, exits, ["accuracy"]) for criterion in (Confidence(), Oracle(), Fixed())]
    (axes,) = draw_curves({"title": curves}, "accuracy").axes
    assert axes.get_ylim()[1] < 100 * curves[1].scores["accuracy"].max()


def test_a_band_is_drawn_around_each_line_and_the_chosen_point_is_marked() -> None:
    exits = exits_of(200)
    curve = Bands(exits).around(trace_curve(Confidence(), exits, ["accuracy"]), Confidence())
    threshold = curve.thresholds[40].item()
    (axes,) = draw_curves({"title": [curve]}, "accuracy", ("confidence", threshold)).axes
    (band,) = axes.collections
    low, high = curve.bands["accuracy"]
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((100 * low.min().item(), 100 * high.max().item()))
    marked = {line.get_label(): line for line in axes.lines}["chosen"]
    assert marked.get_xydata()[0].tolist() == pytest.approx(
        [curve.speedup[40].item(), 100 * curve.scores["accuracy"][40].item()]
    )


def test_criteria_that_hardly_differ_share_a_line_and_every_split_has_axes() -> None:
    exits = exits_of(300)
    methods = (Confidence(), Voting(), Margin(), Entropy(), Energy())
    curves = [trace_curve(criterion, exits, ["accuracy"]) for criterion in (*methods, Fixed())]
    first, second = draw_curves({"validation": curves, "test": curves[:1]}, "accuracy").axes
    labels = {line.get_label() for line in first.lines}
    assert labels == {"confidence ≈ margin ≈ entropy", "voting", "energy", "one exit alone", "full model"}
    assert [line.get_label() for line in second.lines] == ["confidence"]


def test_no_two_lines_look_alike() -> None:
    several = [stored(torch.randn(3, 50, 3), torch.randint(3, (50,))) for _ in range(20)]
    curves = [trace_curve(Confidence(), exits, ["accuracy"]) for exits in several]
    (axes,) = draw_curves({"title": curves}, "accuracy").axes
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == len(axes.lines) == 20


def test_a_curve_is_drawn_and_made_a_table_from_python() -> None:
    exits = exits_of(100)
    curve = Bands(exits).around(trace_curve(Confidence(), exits, ["accuracy", "macro_f1"]), Confidence())
    axes = curve.plot()
    other = trace_curve(Voting(), exits, ["accuracy"]).plot(axes=axes, color="black")
    assert other is axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["confidence", "voting"]
    assert axes.get_ylabel() == "accuracy (%)"
    assert curve.plot("macro_f1").get_ylabel() == "macro f1 (%)"
    table = curve.to_frame()
    of_metrics = [f"{metric}{end}" for metric in ("accuracy", "macro_f1") for end in ("_low", "_high")]
    assert list(table) == ["threshold", "speedup", "mean_exit", "accuracy", "macro_f1", *of_metrics]
    assert table["accuracy_high"].tolist() == curve.bands["accuracy"][1].tolist()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    exits, made = exits_of(100), RunFolder(tmp_path)
    made.write_exits("validation", exits)
    found = sweep_exits([Confidence()], exits, None, split="validation", task="mine", metrics=["accuracy"])
    write_sweep(made, found)
    return made


def test_bands_come_back_from_the_file(folder: RunFolder) -> None:
    exits = folder.read_exits("validation")
    expected = Bands(exits).around(trace_curve(Confidence(), exits, ["accuracy"]), Confidence()).telling()
    read = folder.read_curves()["validation"][0]
    assert list(read.scores) == list(read.bands) == ["accuracy"]
    assert all(map(torch.equal, read.bands["accuracy"], expected.bands["accuracy"]))


def test_a_picture_is_drawn_for_print(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder.path / "figure.pdf"
    assert main(["curves", str(folder.path), "--criteria", "confidence,voting", "--picture", str(file)]) == 0
    assert file.read_bytes().startswith(b"%PDF")
    assert f"picture: {file}" in capsys.readouterr().out
    assert main(["curves", str(folder.path), "--picture", "figure.gif"]) == 1
    assert "use one of .pdf, .svg, .png" in capsys.readouterr().err
