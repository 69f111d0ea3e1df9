"""submit: from runs to what the GLUE server takes."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from ee_lightning.cli import main
from ee_lightning.inference import EarlyExitPredictor

WORDS = "the a lovely dull film plot was very boring clever".split()  # noqa: SIM905


def official(folder: Path, rows: int) -> list[tuple[str, str]]:
    """Write a test file of so many pairs, as GLUE lays it out."""
    texts = [(f"{WORDS[i % 10]} {WORDS[i // 10 % 10]} film", f"{WORDS[i % 7]} plot") for i in range(rows)]
    folder.mkdir(parents=True)
    lines = [f"{i}\t{first}\t{second}" for i, (first, second) in enumerate(texts)]
    (folder / "test.tsv").write_text("\n".join(["index\tsentence1\tsentence2", *lines]) + "\n")
    return texts


@pytest.fixture
def run_on(trained: Callable[..., Path], glue_folder: Path) -> Callable[..., tuple[Path, list[tuple[str, str]]]]:
    """Return a function that returns a run with an operating point, whose test split has so many rows, and these."""

    def make(name: str, folder: str, rows: int) -> tuple[Path, list[tuple[str, str]]]:
        run = shutil.copytree(trained(name), Path(f"runs/{name}/version_0"))
        texts = official(Path("glue") / folder, rows)
        config = run / "config.yaml"
        config.write_text(config.read_text().replace(f"root: {glue_folder}", f"root: {Path('glue').resolve()}"))
        if name != "stsb":  # for which choose has no budget
            assert main(["choose", str(run), "--criterion", "confidence", "--min-speedup", "1.2"]) == 0
        return run, texts

    return make


def test_files_and_zip_as_the_server_takes_them(run_on, capfd: pytest.CaptureFixture[str]) -> None:
    run, pairs = run_on("wnli", "WNLI", 146)
    capfd.readouterr()
    assert main(["submit", str(run), "--output", "out"]) == 0
    printed = capfd.readouterr().out
    predictions = EarlyExitPredictor.from_run(run)(*zip(*pairs, strict=True))
    numbers = {"not_entailment": 0, "entailment": 1}
    assert {each.label for each in predictions} == set(numbers)
    expected = ["index\tprediction", *(f"{i}\t{numbers[each.label]}" for i, each in enumerate(predictions))]
    assert Path("out/WNLI.tsv").read_text() == "\n".join(expected) + "\n"
    with ZipFile("out/submission.zip") as archive:
        assert archive.namelist() == ["WNLI.tsv"]
        assert archive.read("WNLI.tsv") == Path("out/WNLI.tsv").read_bytes()
    speedup = 3 * 146 / sum(each.exit_layer for each in predictions)
    assert f"WNLI.tsv: 146 rows, {speedup:.2f}x faster by layers, by confidence at threshold" in printed
    assert "these are not in it: CoLA.tsv, SST-2.tsv, MRPC.tsv, STS-B.tsv, QQP.tsv, MNLI-m.tsv" in printed


def test_a_regression_is_predicted_by_a_given_rule_and_other_runs_by_their_own(
    run_on, capfd: pytest.CaptureFixture[str]
) -> None:
    (values, pairs), (classes, _) = run_on("stsb", "STS-B", 1379), run_on("wnli", "WNLI", 146)
    rule = {"criterion": "patience(tolerance=0.5)", "threshold": 1}
    options = [f"--{name}={value}" for name, value in rule.items()]
    assert main(["submit", str(values), str(classes), "--output=out", options[1]]) == 1
    assert "a threshold is given without its criterion" in capfd.readouterr().err
    assert main(["submit", str(values), str(classes), "--output=out", *options]) == 0
    predictor = EarlyExitPredictor.from_run(values, **rule)
    expected = [f"{min(max(each.label, 0), 5):.3f}" for each in predictor(*zip(*pairs, strict=True))]
    assert [line.split("\t")[1] for line in Path("out/STS-B.tsv").read_text().splitlines()[1:]] == expected
    printed = capfd.readouterr().out
    assert f"by patience(tolerance=0.5) at threshold 1 of {values}" in printed
    assert re.search(rf"by confidence at threshold \S+ of {classes}", printed)


def test_what_the_server_would_refuse_is_refused_before_anything_is_predicted(
    run_on, trained: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    run, _ = run_on("wnli", "WNLI", 145)
    assert main(["submit", str(run), "--output", "out"]) == 1
    assert "WNLI.tsv needs 146 rows, and the test split of wnli has 145" in capfd.readouterr().err
    shutil.rmtree("glue")
    official(Path("glue/WNLI"), 146)
    assert main(["submit", str(run), str(run), "--output", "out"]) == 1
    assert "two runs predict WNLI.tsv" in capfd.readouterr().err
    shutil.rmtree("glue")
    assert main(["submit", str(run), "--output", "out"]) == 1
    assert "hint:  put GLUE's test file there" in capfd.readouterr().err
    (run / "operating_point.json").unlink()
    assert main(["submit", str(run), "--output", "out"]) == 1
    assert re.search(r"there is no operating point here[\s\S]*for regression --criterion", capfd.readouterr().err)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("task: wnli", "task: rotten_tomatoes"))
    assert main(["submit", str(run), "--output", "out"]) == 1
    assert "the task rotten_tomatoes is not one of GLUE's test sets" in capfd.readouterr().err
    assert not Path("out").exists()
