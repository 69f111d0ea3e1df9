"""A data set scored by Ray on loopback, with two actors."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ee_lightning.cli import main
from ee_lightning.errors import DataError, EarlyExitError, OptionError
from ee_lightning.runtime import EarlyExitRuntime
from ee_lightning.scoring import on_ray
from ee_lightning.scoring.on_ray import score_on_ray

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of many kinds
ROWS = 150


def on_a_cluster(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that starts Ray, which takes half a minute: Ray starts some ten processes for a data set."""
    return pytest.mark.slow(pytest.mark.usefixtures("cluster")(test))


def texts(file: int) -> list[str]:
    return [f"the film {'was very ' * (row % 5)}{'lovely' if (row + file) % 3 else 'dull'}" for row in range(ROWS)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Start Ray once for all tests."""
    with on_ray.cluster(2):
        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for file, name in enumerate(("a.parquet", "b.parquet", "more/a.parquet")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"row": range(ROWS), "sentence": texts(file), "label": ["?"] * ROWS}), folder / name)
    (folder / "notes.txt").write_text("not a table")
    return folder


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "ROWS", 20)


def is_actor_of_mine(process: Path) -> bool:
    """Return whether a process of ``/proc`` scores for the cluster that this process started."""
    try:
        name, environment = ((process / file).read_bytes() for file in ("cmdline", "environ"))
        if b"MapWorker(MapBatches" not in name:
            return False
        (raylet,) = re.findall(rb"RAY_RAYLET_PID=(\d+)", environment)
        return f"\nPPid:\t{os.getpid()}\n" in Path("/proc", raylet.decode(), "status").read_text()
    except (OSError, ValueError):  # gone meanwhile
        return False


def check(output: Path, exported: Path) -> None:
    predictor = EarlyExitRuntime(exported, threads=1)
    for file, name in enumerate(("a.parquet", "b.parquet", "more/a.parquet")):
        scored = pq.read_table(output / name).sort_by("row")
        assert scored.column_names[:3] == ["row", "sentence", "input_label"]
        assert scored["sentence"].to_pylist() == texts(file)
        expected = predictor(texts(file))
        for field in ("label", "exit_layer"):
            assert scored[field].to_pylist() == [getattr(each, field) for each in expected]


@on_a_cluster
def test_every_file_is_scored_in_order_and_only_once(exported: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "scored"
    assert score_on_ray(str(exported), str(data), str(output), keeps_order=True) == (3, 3 * ROWS, 0)
    check(output, exported)
    assert pq.read_table(output / "b.parquet")["row"].to_pylist() == [*range(ROWS)]
    (output / "b.parquet").unlink()
    (output / "a.parquet").write_text("left alone")
    assert score_on_ray(str(exported), str(data), str(output)) == (1, ROWS, 2)
    assert (output / "a.parquet").read_text() == "left alone"
    assert sorted(str(file.relative_to(output)) for file in output.rglob("*") if file.is_file()) == [
        "a.parquet",
        "b.parquet",
        "more/a.parquet",
    ]


@on_a_cluster
def test_every_file_keeps_its_own_columns_and_types(exported: Path, tmp_path: Path) -> None:
    large = 2**53 + 1  # which is no double
    tables = {
        "a.parquet": pa.table({"sentence": ["a film"], "number": [large]}),
        "b.parquet": pa.table({"sentence": ["a film"], "number": [0.5], "more": ["x"]}),
        "kind=c/c.parquet": pa.table({"sentence": ["a film"], "number": [1]}),
    }
    for name, table in tables.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, tmp_path / "data" / name)
    told = list[tuple[int, int]]()
    score_on_ray(str(exported), str(tmp_path / "data"), str(tmp_path / "scored"), told=lambda *rows: told.append(rows))
    for name, table in tables.items():
        scored = pq.ParquetFile(tmp_path / "scored" / name).read()
        assert scored.select(range(table.num_columns)) == table
        assert scored.column_names[table.num_columns :] == ["label", "probability", "score", "exit_layer"]
    assert told[-1] == (3, 3)


@on_a_cluster
def test_another_actor_takes_the_place_of_a_dead_one(exported: Path, data: Path, tmp_path: Path) -> None:
    killed = list[int]()

    def kill_one(done: int, rows: int) -> None:
        if not killed:
            mine = next(each for each in Path("/proc").glob("[0-9]*") if is_actor_of_mine(each))
            os.kill(int(mine.name), signal.SIGKILL)
            killed.append(done)

    score_on_ray(str(exported), str(data), str(tmp_path / "scored"), told=kill_one)
    assert killed
    assert killed[0] < 3 * ROWS
    check(tmp_path / "scored", exported)


@on_a_cluster
def test_a_bad_row_is_said_and_complete_files_stay(exported: Path, data: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"sentence": ["good", None]}), data / "z.parquet")
    with pytest.raises(EarlyExitError, match="a text must be a string, but is None"):
        score_on_ray(str(exported), str(data / "z.parquet"), str(tmp_path / "scored"))
    assert not [*(tmp_path / "scored").glob("*")]


def test_mistakes_are_said_before_ray_starts(
    exported: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(on_ray, "cluster", lambda workers: pytest.fail("Ray was started"))
    for within in (data / "scored", tmp_path / "nowhere" / ".." / data.name / "scored"):
        with pytest.raises(OptionError, match="the output lies within the input"):
            score_on_ray(str(exported), str(data), str(within))
    with pytest.raises(OptionError, match="the output would be the input"):
        score_on_ray(str(exported), str(data / "a.parquet"), str(data))
    pq.write_table(pa.table({"sentence": ["good"], "path": ["mine"]}), tmp_path / "path.parquet")
    with pytest.raises(DataError, match=r"a column 'path', and Ray[\s\S]*path\.parquet"):
        score_on_ray(str(exported), str(tmp_path / "path.parquet"), str(tmp_path / "scored"))
    pq.write_table(pa.table({"review": ["good"]}), data / "z.parquet")
    with pytest.raises(DataError, match=r"no column 'sentence'\n  where: .*z\.parquet"):
        score_on_ray(str(exported), str(data), str(tmp_path / "scored"))
    with pytest.raises(DataError, match=r"no column 'text'\n  where: .*a\.parquet"):
        score_on_ray(str(exported), str(data / "a.parquet"), str(tmp_path / "scored"), text_columns=["text"])
    command = ["predict", str(exported), "--engine=ray", f"--output={tmp_path / 'scored'}"]
    assert main([*command, f"--input={data / 'more'}", "--trail", "--precision=bf16", "--batch-size=8"]) == 1
    assert main([*command, f"--input={tmp_path / 'nowhere'}"]) == 1
    assert main([*command, "--input=file:///nowhere"]) == 1
    assert main(command) == 1
    said = capsys.readouterr().err
    for part in (
        "--engine ray has no --trail, --batch-size, --precision",
        "the data set can't be read",
        "where: /nowhere",
        "--engine ray scores folders",
    ):
        assert part in said


@on_a_cluster
def test_the_command(exported: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["predict", str(exported), "--engine=ray", f"--output=file://{tmp_path / 'scored'}"]
    assert main([*command, f"--input=file://{data / 'more'}"]) == 0
    assert f"{ROWS} rows in 1 file, " in capsys.readouterr().out
    assert (tmp_path / "scored/a.parquet").is_file()
