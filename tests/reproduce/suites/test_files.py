"""Suites are read, and what makes no sense in them is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ee_lightning.errors import OptionError
from ee_lightning.reproduce.published import published_table
from ee_lightning.reproduce.suites.files import configs_folder, load_suite
from ee_lightning.reproduce.suites.suite import Row, trainings

SUITES = sorted(file.stem for file in (configs_folder() / "reproduce").glob("*.yaml"))
SMALLEST: dict[str, Any] = {
    "title": "Two rows",
    "tasks": {"SST-2": {"configs": ["sst2.yaml"]}},
    "trainings": {"ours": {"options": {"trainer.max_epochs": 1}}},
    "seeds": [1, 2],
    "rows": [{"label": "Ours", "training": "ours", "criterion": "voting(k=1)", "speedup": 1.5}],
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a suite, with changes, and what it names."""

    def _write(**changes: object) -> Path:
        (tmp_path / "sst2.yaml").touch()
        content = {key: value for key, value in {**SMALLEST, **changes}.items() if value is not ...}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "mine.yaml"

    return _write


def test_a_suite_is_read(write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(options={"data.root": "glue"}, compare=["Ours", "Ours"], published="glue_dev")
    monkeypatch.chdir(tmp_path)
    for name in (file, "mine.yaml"):
        suite = load_suite(name)
        assert (suite.name, suite.title, suite.published, suite.compare) == (
            "mine",
            "Two rows",
            "glue_dev",
            ("Ours", "Ours"),
        )
        assert list(suite.rows) == [Row("Ours", "ours", "voting(k=1)", 1.5)]
        first, second = trainings(suite)
        assert list(first.fit.configs) == [tmp_path / "sst2.yaml"]
        assert first.fit.options == {"data.root": "glue", "trainer.max_epochs": 1, "seed_everything": 1}
        assert second.seed == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sedes": [1]}, r"unknown key 'sedes'\n  where: .*mine.yaml: the suite\n  mend:  did you mean seeds"),
        ({"title": ...}, "the suite has no title"),
        ({"tasks": {}}, "tasks is not a mapping from names, or empty"),
        ({"tasks": {"RTE": {"configs": ["rte.yaml"]}}}, r"there is no file .*rte.yaml\n.*tasks, RTE, configs"),
        ({"tasks": {"RTE": {"config": "rte.yaml"}}}, "unknown key 'config'"),
        ({"tasks": {"RTE": {"configs": "rte.yaml"}}}, "configs are a list of files"),
        ({"trainings": {"ours": "ours.yaml"}}, "trainings, ours is no mapping"),
        ({"seeds": [1, 1]}, "list different whole numbers"),
        ({"seeds": 3}, "list different whole numbers"),
        ({"seeds": [True]}, "list different whole numbers"),
        ({"rows": [{"label": "Ours"}]}, "rows has no training"),
        ({"rows": [{"label": "Ours", "training": "their"}]}, "reads the training 'their'"),
        ({"rows": [{**SMALLEST["rows"][0], "criterion": "votting"}]}, "votting"),
        ({"rows": [{**SMALLEST["rows"][0], "criterion": "voting, patience"}]}, "2 criteria are given"),
        ({"rows": [{**SMALLEST["rows"][0], "speedup": 0.5}]}, "the speed-up is 0.5"),
        ({"split": "dev"}, "the split is 'dev'"),
        ({"published": "glue"}, "'glue' is not a value of published"),
        ({"compare": ["Ours"]}, "are not two rows"),
        ({"compare": ["Ours", "PABEE"]}, "there is no row 'PABEE'"),
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


@pytest.mark.parametrize("content", ["title: [", "- a list", ""])
def test_a_file_that_is_no_suite_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(OptionError, match=r"mine\.yaml"):
        load_suite(file)


def test_an_unknown_suite_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"there is no suite 'glue'[\s\S]*paper_glue, [\s\S]*smoke"):
        load_suite("glue")
    with pytest.raises(OptionError, match=r"there is no suite 'glue\.yaml'"):
        load_suite("glue.yaml")


def test_the_shipped_suites_are_these() -> None:
    assert SUITES == ["paper_glue", "paper_multiclass", "paper_oracle", "small", "smoke"]


@pytest.mark.parametrize("name", SUITES)
def test_a_shipped_suite_holds_out_rows_to_choose_thresholds_on(name: str) -> None:
    suite = load_suite(name)
    assert len(trainings(suite)) == len(suite.tasks) * len(suite.trainings) * len(suite.seeds)
    assert all(training.fit.options["data.calibration"] >= 200 for training in trainings(suite))
