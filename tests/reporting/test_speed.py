"""Measured speeds in the run folder, in the picture and on the terminal."""

from collections.abc import Sequence
from dataclasses import fields
from math import inf
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ee_lightning.errors import RunFolderError
from ee_lightning.inference.speed import PrecisionEffect
from ee_lightning.reporting import draw_speed, print_latencies, print_precision_effects, print_speed, write_speed
from ee_lightning.runs.figures import MeasuredSpeed
from ee_lightning.runs.folder import RunFolder

FIRST = MeasuredSpeed(
    criterion="voting",
    threshold=1.25,
    schedule="depth_first",
    batch_size="8",
    full_batch_size=8,
    full_layers=12,
    samples=256,
    layer_speedup=2.0625,
    flops_speedup=2.03125,
    wall_speedup=1.875,
    wall_speedup_low=1.75,
    wall_speedup_high=1.9375,
    latency_ms=123.5,
    latency_p95_ms=200.25,
    full_latency_ms=9.875,
    full_latency_p95_ms=1000.125,
    throughput=64.75,
    full_throughput=32.375,
    device="cpu",
    threads=1,
    precision="fp32",
    torch="2.13.0",
)


def like(**others: Any) -> MeasuredSpeed:
    if "wall_speedup" in others:
        others = dict.fromkeys(("wall_speedup_low", "wall_speedup_high"), others["wall_speedup"]) | others
    return MeasuredSpeed(**{field.name: getattr(FIRST, field.name) for field in fields(FIRST)} | others)


POOL = like(batch_size="pool", schedule="breadth_first", full_batch_size=32)


def test_speeds_are_read_as_they_were_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_speed() == {}
    for measured in (
        [FIRST],
        [FIRST, like(threshold=inf, wall_speedup=1.1 + 0.1 + 1e-15), POOL],
        [FIRST, like(threshold=(0.1 + 0.2, inf, 0.5))],
    ):  # batch sizes that are all numbers, and not; thresholds for each exit
        folder.write_speed("validation", measured)
        assert folder.read_speed() == {"validation": measured}
    rows = pd.read_csv(tmp_path / "speed.csv")
    assert list(rows.columns) == ["split", *(field.name for field in fields(MeasuredSpeed))]


def test_a_measurement_takes_the_place_of_the_last_of_its_criterion_and_split(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_speed("validation", [FIRST, like(threshold=1.0), like(criterion="patience", threshold=3.0)])
    folder.write_speed("test", [FIRST])
    folder.write_speed("validation", [like(threshold=1.5, batch_size="32")])
    assert folder.read_speed() == {
        "validation": [like(criterion="patience", threshold=3.0), like(threshold=1.5, batch_size="32")],
        "test": [FIRST],
    }


def test_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "speed.csv").write_text("split,criterion\nvalidation,voting\n")
    with pytest.raises(RunFolderError, match=r"lacks the columns threshold[\s\S]*delete it.*ee-lightning speed"):
        RunFolder(tmp_path).write_speed("validation", [FIRST])
    with pytest.raises(RunFolderError, match=r"speed.csv can't be read[\s\S]*delete it.*ee-lightning speed"):
        RunFolder(tmp_path).read_speed()


def test_every_batch_size_is_a_line_beside_the_diagonal() -> None:
    measured = [FIRST, POOL, like(layer_speedup=3.0, wall_speedup=2.5, wall_speedup_low=2.0, wall_speedup_high=2.75)]
    others = [like(criterion="patience")]
    voting, patience, tested = draw_speed({"validation": [*measured, *others], "test": [FIRST]}).axes
    assert [axes.get_title().splitlines()[0] for axes in (voting, patience, tested)] == [
        "voting, validation",
        "patience, validation",
        "voting, test",
    ]
    assert voting.get_title().splitlines()[1] == "cpu, 1 thread, fp32, torch 2.13.0"
    of_eight, of_pool = voting.containers
    assert of_eight.get_label() == "batches of 8"
    assert of_pool.get_label() == "pool, breadth first"
    line, _, (whiskers,) = of_eight.lines
    assert [list(values) for values in line.get_data()] == [[2.0625, 3.0], [1.875, 2.5]]
    assert [bar[:, 1].tolist() for bar in whiskers.get_segments()] == [[1.75, 1.9375], [2.0, 2.75]]
    (diagonal,) = [line for line in voting.lines if line.get_label() == "as by layers"]
    assert [list(values) for values in diagonal.get_data()] == [[1, 3.0], [1, 3.0]]


def test_the_plot_shows_all_that_the_folder_holds(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_speed(folder, "validation", [FIRST])
    small = (tmp_path / "speed.png").read_bytes()
    write_speed(folder, "test", [FIRST])
    large = (tmp_path / "speed.png").read_bytes()
    assert small.startswith(b"\x89PNG")
    assert len(large) > 1.5 * len(small)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what was printed line by line, at most 80 wide, without frames and with single spaces."""
    printed = capsys.readouterr().out.splitlines()
    assert max(map(len, printed)) <= 80
    return [" ".join(line.translate(dict.fromkeys(range(0x2500, 0x2580), " ")).split()) for line in printed]


SIZES: Sequence[str] = ("1", "8", "32", "128", "pool")


def test_table_of_speedups(capsys: pytest.CaptureFixture[str]) -> None:
    print_speed([like(batch_size=size, wall_speedup=1.5 + place / 8) for place, size in enumerate(SIZES)])
    shown = lines(capsys)
    assert "speed-up of 256 samples on cpu, 1 thread, fp32, torch 2.13.0" in shown
    assert "layers FLOPs 1 8 32 128 pool" in shown
    assert "voting at 1.25 2.06x 2.03x 1.50x 1.62x 1.75x 1.88x 2.00x" in shown


def test_points_that_are_near_each_other_keep_their_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_speed([like(threshold=0.99991), like(threshold=0.99992, wall_speedup=9.0), like(criterion="x" * 50)])
    shown = lines(capsys)
    assert "voting at 0.9999 2.06x 2.03x 1.88x" in shown
    assert "voting at 0.9999 2.06x 2.03x 9.00x" in shown


def test_table_of_latencies(capsys: pytest.CaptureFixture[str]) -> None:
    slow = {
        "latency_ms": 12345.6,
        "latency_p95_ms": 12345.6,
        "full_latency_ms": 12345.6,
        "full_latency_p95_ms": 12345.6,
    }
    print_latencies([FIRST, like(batch_size="128", **slow)])
    shown = lines(capsys)
    assert "voting at 1.25: 2.06x by layers, 2.03x by FLOPs" in shown
    assert "8 1.88x 1.75–1.94 124, 200 9.88, 1000 64.8 32.4" in shown
    assert "128 1.88x 1.75–1.94 12346, 12346 12346, 12346 64.8 32.4" in shown


def test_table_of_precisions(capsys: pytest.CaptureFixture[str]) -> None:
    effects = [PrecisionEffect(None, inf, 0.9, 0.875), PrecisionEffect("voting", 1.25, 0.8, 0.85)]
    print_precision_effects(effects, "accuracy")
    shown = lines(capsys)
    assert "accuracy (%) fp32 bf16 difference" in shown
    assert "full model 90.0 87.5 -2.5" in shown
    assert "voting at 1.25 80.0 85.0 +5.0" in shown
