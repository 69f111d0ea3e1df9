"""Run folders to show on a page, without a training: rows in a file, and exits that say something of them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
import yaml
from factories import exits_of
from torch import Tensor

from ee_lightning.analysis.sweep import sweep_exits
from ee_lightning.exits import Confidence, StoredExits, Voting
from ee_lightning.reporting import write_sweep
from ee_lightning.runs.folder import RunFolder

NASTY = "</script><script>alert('text')</script><img src=x onerror=alert(1)> & “quotes” <!-- 日本語"
NAMES = ("<b>good</b>", 'bad & "worse"')


def run_folder(
    path: Path,
    exits: StoredExits | None = None,
    *,
    backbone: object,
    texts: Sequence[str] = (),
    names: Sequence[str] = NAMES,
    seed: int = 0,
    name: str = "shown",
) -> RunFolder:
    """Write one whose classes have names, with a nasty text among its rows, swept by voting and confidence."""
    exits = exits_of(60, num_exits=3, seed=seed) if exits is None else exits
    numbers = exits.class_numbers().tolist()
    said = [NASTY, *texts, *(f"row {number} of many" for number in range(exits.num_samples))][: exits.num_samples]
    data = path / "data"
    data.mkdir(parents=True)
    rows = pd.DataFrame({"text": said, "label": [names[number] for number in numbers]})
    for split in ("train", "validation"):
        rows.to_csv(data / f"{split}.csv", index=False)
    options = {
        "run": {"root": str(path), "name": name},
        "seed_everything": seed,
        "model": {"backbone": str(backbone), "heads": {}},
        "data": {
            "task": "mine",
            "root": str(data),
            "max_length": 32,
            "own": {"text_columns": ["text"], "label_column": "label", "label_names": list(names)},
        },
    }
    (path / "checkpoints").mkdir()
    (path / "config.yaml").write_text(yaml.safe_dump(options))
    folder = RunFolder(path)
    folder.write_exits("validation", exits)
    criteria = [Voting(), Confidence()]
    write_sweep(folder, sweep_exits(criteria, exits, None, split="validation", task="mine", metrics=["accuracy"]))
    return folder


def exits_saying(probabilities: Sequence[Sequence[float]], labels: Sequence[int]) -> StoredExits:
    """Make those of two classes, from the probability of the second one, by exit and row."""
    second = torch.tensor(probabilities)  # [exits, samples]
    logits: Tensor = torch.stack([1 - second, second], dim=-1).log()  # [exits, samples, classes]
    return StoredExits(logits, torch.tensor(labels), torch.arange(len(labels)))
