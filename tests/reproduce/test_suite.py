"""Suites are read, and what makes no sense in them is named."""

from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import yaml

from ee_lightning.errors import OptionError
from ee_lightning.packaged import configs_folder
from ee_lightning.reproduce.published import published_table
from ee_lightning.reproduce.suite import Row, load_suite, trainings

SUITES = sorted(file.stem for file in (configs_folder() / "reproduce").glob("*.yaml"))
SMALLEST: dict[str, Any] = {
    "title": "Two rows",
    "tasks": {"SST-2": {"configs": ["sst2.yaml"]}},
    "trainings": {"ours": {"options": {"trainer.max_epochs": 1}}},
    "seeds": [1, 2],
    "rows": [{"label": "Ours", "training": "ours", "criterion": "voting(k=0.5)", "speedup": 1.5}],
}

FULL = {"label": "Full", "training": "ours"}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a suite, with changes, and what it names."""

    def _write(**changes: object) -> Path:
        (tmp_path / "sst2.yaml").touch()
        content = {key: value for key, value in {**SMALLEST, **changes}.items() if value is not ...}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "mine.yaml"

    return _write


def test_a_suite_is_read(write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(
        options={"data.root": "glue"}, compare=["Ours", "Full"], rows=[*SMALLEST["rows"], FULL], published="glue_dev"
    )
    monkeypatch.chdir(tmp_path)
    for name in (file, "mine.yaml"):
        suite = load_suite(name)
        assert (suite.name, suite.title, suite.published, suite.compare) == (
            "mine",
            "Two rows",
            "glue_dev",
            ("Ours", "Full"),
        )
        assert list(suite.rows) == [Row("Ours", "ours", "voting(k=0.5)", 1.5), Row("Full", "ours")]
        first, second = trainings(suite)
        assert list(first.fit.configs) == [tmp_path / "sst2.yaml"]
        assert first.fit.options == {"data.root": "glue", "trainer.max_epochs": 1, "seed_everything": 1}
        assert second.seed == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sedes": [1]}, r"sedes is not known\n  where: .*mine.yaml: sedes\n  hint:  did you mean seeds"),
        ({"title": ...}, "title is missing"),
        ({"tasks": {}}, r"tasks is \{\}, and .* at least 1"),
        ({"tasks": {"RTE": {"configs": ["rte.yaml"]}}}, r"there is no file .*rte.yaml\n.*tasks, RTE, configs"),
        ({"tasks": {"RTE": {"config": "rte.yaml"}}}, r"tasks.RTE.config is not known[\s\S]*did you mean configs"),
        (
            {"tasks": {"RTE": {"configs": "rte.yaml"}}},
            r"tasks.RTE.configs is 'rte.yaml', and it should be a valid (list|array)",
        ),
        ({"trainings": {"ours": "ours.yaml"}}, "trainings.ours is 'ours.yaml'"),
        ({"seeds": [1, 1]}, "list different whole numbers"),
        ({"seeds": 3}, "seeds is 3"),
        ({"seeds": [True]}, r"seeds.0 is True, and it should be a valid integer"),
        ({"seeds": [10**30]}, "seeds.0 is 10{30}, and it should be less than 4294967296"),
        ({"seeds": [-1]}, "seeds.0 is -1"),
        ({"seeds": []}, "seeds is"),
        ({"title": ["a"]}, r"title is \['a'\], and it should be a valid string"),
        ({"options": {"data": {"task": "sst2"}}}, "the option data is a mapping; write its parts with dots"),
        (
            {"options": {"seed_everything": 9}},
            r"seed_everything is given by the suite[\s\S]*mine.yaml: options[\s\S]*seeds:",
        ),
        ({"tasks": {"RTE": {"options": {"run.name": "x"}}}}, r"run.name is given[\s\S]*mine.yaml: tasks, RTE, options"),
        ({"tasks": {"SST, small": None}}, "the name 'SST, small' holds a comma"),
        ({"trainings": {"a,b": None}}, "the name 'a,b' holds a comma"),
        ({"tasks": {"x" * 300: None}}, "tasks.x"),
        ({"rows": [{"label": "Ours"}]}, "rows.0.training is missing"),
        ({"rows": [{"label": "Ours", "training": "their"}]}, "reads the training 'their'"),
        ({"rows": [{**SMALLEST["rows"][0], "criterion": "votting"}]}, "votting"),
        ({"rows": [{**SMALLEST["rows"][0], "criterion": "voting, patience"}]}, "2 criteria are given"),
        ({"rows": [{**SMALLEST["rows"][0], "speedup": 0.5}]}, "rows.0.speedup is 0.5"),
        *(
            ({"rows": [{**SMALLEST["rows"][0], "speedup": much}]}, "rows.0.speedup")
            for much in (nan, inf, 1e300, "fast")
        ),
        ({"rows": SMALLEST["rows"] * 2}, "two rows are called 'Ours' at the same speed-up"),
        ({"compare": ["Ours", "Ours"]}, "the row 'Ours' is compared with itself"),
        ({"split": "dev"}, "split is 'dev', and it should be 'validation' or 'test'"),
        ({"published": "glue"}, "'glue' is not a value of published"),
        ({"compare": ["Ours"]}, "compare"),
        ({"compare": ["Ours", "PABEE"]}, "there is no row 'PABEE' to compare; use two of Ours"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_named(changes: dict[str, object], said: str, write: Callable[..., Path]) -> None:
    with pytest.raises(OptionError, match=said):
        load_suite(write(**changes))


def test_what_is_reported_on_the_test_split_is_swept_there(write: Callable[..., Path]) -> None:
    assert "run.test" not in load_suite(write()).fit.options
    suite = load_suite(write(split="test"))
    assert (suite.split, suite.fit.options["run.test"]) == ("test", True)


@pytest.mark.parametrize("name", SUITES)
def test_a_shipped_suite_reports_the_split_that_was_published(name: str) -> None:
    suite = load_suite(name)
    if suite.published is not None:
        assert suite.split == {"dev": "validation", "test": "test"}[published_table(suite.published).split]


@pytest.mark.parametrize(
    "content",
    ["title: [", "- a list", "", "title: " + "[" * 3000 + "]" * 3000, "a: &a [*a]"],
    ids=lambda text: text[:9],
)
def test_a_file_that_is_no_suite_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(OptionError, match=r"mine\.yaml"):
        load_suite(file)


def test_an_unknown_suite_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"there is no suite 'glue'[\s\S]*paper_glue, [\s\S]*smoke"):
        load_suite("glue")
    with pytest.raises(OptionError, match=r"there is no suite 'smok'[\s\S]*did you mean smoke\?"):
        load_suite("smok")
    with pytest.raises(OptionError, match=r"there is no suite 'glue\.yaml'"):
        load_suite("glue.yaml")


def test_the_shipped_suites_are_these() -> None:
    assert SUITES == ["paper_glue", "paper_multiclass", "paper_oracle", "smoke", "study", "study_minilm"]


@pytest.mark.parametrize("name", SUITES)
def test_a_shipped_suite_holds_out_rows_to_choose_thresholds_on(name: str) -> None:
    suite = load_suite(name)
    assert len(trainings(suite)) == len(suite.tasks) * len(suite.trainings) * len(suite.seeds)
    assert all(training.fit.options["data.calibration"] >= 200 for training in trainings(suite))
