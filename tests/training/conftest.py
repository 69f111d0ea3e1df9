"""An encoder that draws nothing at random."""

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def steady_backbone(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the small encoder without dropout."""
    folder = tmp_path_factory.mktemp("steady") / "tiny-bert"
    shutil.copytree(tiny_backbone, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder
