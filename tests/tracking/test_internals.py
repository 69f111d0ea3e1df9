"""What is taken of wandb that it keeps to itself."""

from types import SimpleNamespace

import pytest
import wandb

from ee_lightning.tracking.start import ask_no_more, process_of_service


def test_the_names_are_those_of_the_installed_version() -> None:
    assert callable(wandb.Run._assert_can_log_artifact)
    assert callable(wandb.Run._public_api)
    wandb.setup()
    process = process_of_service()
    assert process is not None
    assert process.poll() is None
    wandb.teardown()
    assert process.poll() is not None


def test_names_that_are_gone_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_no_more(SimpleNamespace(offline=False, disabled=False))  # type: ignore[arg-type]
    monkeypatch.setattr(wandb, "setup", SimpleNamespace)
    assert process_of_service() is None
