"""Two processes give what one gives."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file


def test_sweep_on_two_processes_gives_the_same_curves(run: Callable[..., int], small: dict[str, object]) -> None:
    assert run("fit", **small) == 0
    checkpoint = Path("runs/run/version_0/checkpoints/last.ckpt").resolve()
    for processes in (1, 2):
        options = {
            **small,
            "ckpt_path": checkpoint,
            "data.eval_batch_size": 1,  # a batch of its own for each sample: the same arithmetic on both sides
            "trainer.devices": processes,
            "trainer.strategy": "ddp" if processes == 2 else "auto",
            "run.name": f"on{processes}",
        }
        flags = [f"--{name}={value}" for name, value in options.items()]
        command = [sys.executable, "-m", "ee_lightning", "validate", *flags]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    one, two = (Path(f"runs/on{processes}/version_0") for processes in (1, 2))
    pd.testing.assert_frame_equal(pd.read_csv(one / "curves.csv"), pd.read_csv(two / "curves.csv"), check_exact=True)
    assert (one / "summary.json").read_text() == (two / "summary.json").read_text()
    exits = [load_file(folder / "exits" / "validation.safetensors") for folder in (one, two)]
    assert exits[0]["ids"].tolist() == list(range(47))  # an odd number: one sample is repeated, and counts once
    for name, tensor in exits[0].items():
        assert torch.equal(tensor, exits[1][name])
