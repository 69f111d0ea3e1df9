"""What ``wandb sync`` uploads of a run that was kept offline, by the real program to a service on this machine."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wandb_service import ServedRun, WandbService

WANDB = Path(__file__).parents[2] / "configs" / "trainer" / "wandb.yaml"
OF_THIS_TIME = {"_timestamp", "_runtime", "_wandb"}


def test_an_offline_run_that_is_uploaded_is_what_an_online_run_would_be(
    service: WandbService, monkeypatch: pytest.MonkeyPatch, run: Callable[..., int], small: dict[str, object]
) -> None:
    options = {**small, "trainer.max_epochs": 2}
    assert run("fit", WANDB, **options, **{"run.name": "online"}) == 0
    with monkeypatch.context() as context:
        context.setenv("WANDB_MODE", "offline")
        assert run("fit", WANDB, **options, **{"run.name": "offline"}) == 0
    (online,) = service.runs.values()
    assert not [version for version in service.artifacts.versions if version.type == "run_folder"]  # not asked for
    (folder,) = Path("runs/wandb").glob("offline-run-*")
    subprocess.run(["wandb", "sync", str(folder)], timeout=120, check=True, capture_output=True)
    (offline,) = (found for found in service.runs.values() if found is not online)
    assert folder.name.endswith(offline.name)
    assert (offline.exit_code, online.exit_code) == (0, 0)
    for config in (offline.config, online.config):
        config["resolved_config"]["run"].pop("name")
    assert offline.config == online.config
    assert offline.charts == online.charts
    assert "val/accuracy_by_speedup" in offline.charts
    assert len(offline.history) == len(online.history) > 2
    assert [_told(row) for row in offline.history] == [_told(row) for row in online.history]
    assert _told(offline.summary) == _told(online.summary)
    assert {"val/curves", "val/accuracy_by_speedup_table", "val/voting/area"} <= offline.summary.keys()
    assert _tables(offline) == _tables(online)
    assert any("curves" in name for name in _tables(offline))


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a row says, of a file its kind and size alone: its name and address are of its run and step."""
    return {
        name: {key: value[key] for key in ("_type", "size", "sha256") if key in value} if _is_file(value) else value
        for name, value in row.items()
        if name not in OF_THIS_TIME
    }


def _is_file(value: object) -> bool:
    return isinstance(value, dict) and "_type" in value


def _tables(run: ServedRun) -> dict[str, bytes]:
    return {name: content for name, content in run.files.items() if name.endswith(".table.json")}
