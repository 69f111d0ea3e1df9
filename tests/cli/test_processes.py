"""Two processes give what one gives, however they are started."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest
import torch
from forked import Command
from safetensors.torch import load_file

DDP = Path(__file__).parents[2] / "configs" / "trainer" / "ddp.yaml"
DDP_ON_TWO = ["--config", str(DDP), "--trainer.devices", "2"]
NO_ENVIRONMENT: Mapping[str, str] = {}


def _start(command: list[str], environment: Mapping[str, str] = NO_ENVIRONMENT) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
    )


def _succeeds(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output


def _flags(options: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def _validated_alike(run: Callable[..., int], options: dict[str, object]) -> dict[str, torch.Tensor]:
    """Validate the run's checkpoint on one process and on two, see the same of both, and give the exits."""
    checkpoint = Path("runs/run/version_0/checkpoints/last.ckpt").resolve()
    options = {**options, "ckpt_path": checkpoint}
    options["data.eval_batch_size"] = 1  # a batch of its own for each sample: no padding that the other side lacks
    torch.set_num_threads(1)  # as many as each of the two has, or sums would be rounded otherwise
    assert run("validate", **options, **{"run.name": "one"}) == 0
    together = Command("validate", *DDP_ON_TWO, *_flags({**options, "run.name": "two"}), OMP_NUM_THREADS="1")
    assert together.ends() == 0, together.printed
    one, two = (Path(f"runs/{name}/version_0") for name in ("one", "two"))
    pd.testing.assert_frame_equal(pd.read_csv(one / "curves.csv"), pd.read_csv(two / "curves.csv"), check_exact=True)
    assert (one / "summary.json").read_text() == (two / "summary.json").read_text()
    exits = [load_file(folder / "exits" / "validation.safetensors") for folder in (one, two)]
    for name, tensor in exits[0].items():
        assert torch.equal(tensor, exits[1][name])
    return exits[0]


def test_sweep_on_two_processes_gives_the_same_curves(
    finished: Path, run: Callable[..., int], small: dict[str, object]
) -> None:
    exits = _validated_alike(run, small)
    assert exits["ids"].tolist() == list(range(47))  # an odd number: one sample is repeated, and counts once


@pytest.mark.slow
def test_a_limited_evaluation_has_the_same_rows_on_two_processes(
    run: Callable[..., int], small: dict[str, object]
) -> None:
    assert run("fit", **small) == 0
    checkpoint = Path("runs/run/version_0/checkpoints/last.ckpt").resolve()
    limited = {**small, "ckpt_path": checkpoint, "trainer.limit_val_batches": 3}
    for name, batch_size, several in (("one", 4, []), ("two", 2, DDP_ON_TWO)):
        options = {**limited, "data.eval_batch_size": batch_size, "run.name": name}
        _succeeds(_start(["ee_lightning", "validate", *several, *_flags(options)]))
    one, two = (load_file(Path(f"runs/{name}/version_0/exits/validation.safetensors")) for name in ("one", "two"))
    assert len(one["ids"]) == 12
    assert torch.equal(one["ids"], two["ids"])
    torch.testing.assert_close(one["logits"], two["logits"])


@pytest.mark.slow
def test_several_labels_a_row_are_the_same_on_two_processes(run: Callable[..., int], small: dict[str, object]) -> None:
    rows = [{"text": f"the film {n}", "tags": [tag for k, tag in enumerate("abc") if n >> k & 1]} for n in range(90)]
    Path("tagged.jsonl").write_text("\n".join(map(json.dumps, rows)))
    own = {"text_columns": ["text"], "label_column": "tags", "multi_label": True, "validation_share": 0.5}
    options = {**small, "data.task": "tagged", "data.root": "tagged.jsonl", "data.own": json.dumps(own)}
    assert run("fit", **options) == 0
    exits = _validated_alike(run, options)
    assert exits["labels"].shape == (41, 3)  # hashed text by text, near the half, and odd
    assert exits["ids"].tolist() == sorted(exits["ids"].tolist())


def _trained_together(log: Path) -> bool:
    return len(pd.read_csv(log)["train/loss"].dropna()) == 96 // (2 * 8)  # batches of 8 rows on each of 2 processes


@pytest.mark.slow
def test_torchrun_starts_the_processes(small: dict[str, object]) -> None:
    fit = ["ee_lightning", "fit", *DDP_ON_TWO, *_flags({**small, "data.batch_size": 8})]
    _succeeds(_start(["torch.distributed.run", "--standalone", "--nproc_per_node=2", "--module", *fit]))
    assert _trained_together(Path("runs/run/version_0/metrics.csv"))
    assert Path("runs/run/version_0/summary.json").is_file()


@pytest.mark.slow
def test_slurm_starts_the_processes_on_two_nodes(small: dict[str, object]) -> None:
    fit = ["ee_lightning", "fit", "--config", str(DDP.parent / "multi_node.yaml")]
    fit += _flags({**small, "data.batch_size": 8, "trainer.num_nodes": 2, "trainer.devices": 1})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    as_srun_sets_it = {
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_JOB_NAME": "fit",
        "SLURM_JOB_ID": "1",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_LOCALID": "0",
        "MASTER_PORT": port,
    }
    nodes = [_start(fit, as_srun_sets_it | {"SLURM_PROCID": rank, "SLURM_NODEID": rank}) for rank in ("0", "1")]
    _succeeds(*nodes)
    assert _trained_together(Path("runs/run/version_0/metrics.csv"))
    assert Path("runs/run/version_0/summary.json").is_file()
