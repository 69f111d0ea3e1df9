"""How a checkpoint that does not fit is worded."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from packaging.version import InvalidVersion
from torch import nn

from ee_lightning.errors import RunFolderError
from ee_lightning.fit.checkpoints import WholeCheckpointIO, loading_checkpoints

TRAINER = SimpleNamespace(ckpt_path="runs/x/version_0/checkpoints/last.ckpt")


def test_the_weights_that_differ_are_named_and_counted() -> None:
    model, other = (nn.Sequential(nn.Linear(2, size), nn.LayerNorm(size), nn.PReLU()) for size in (2, 3))
    weights = {name.replace("2.weight", "2.slope"): weight for name, weight in other.state_dict().items()}
    with pytest.raises(RunFolderError) as raised, loading_checkpoints(TRAINER):  # type: ignore[arg-type]
        model.load_state_dict(weights | {"3.weight": torch.zeros(1)})
    what, where, _ = str(raised.value).splitlines()
    assert what == (
        "the checkpoint can't be loaded into this model: it lacks 2.weight; "
        "it has 3.weight and 1 more, which the model lacks; it has another shape of 0.weight and 3 more"
    )
    assert where == "  where: --ckpt_path runs/x/version_0/checkpoints/last.ckpt"


def test_weights_that_differ_otherwise_are_told_in_torch_s_words() -> None:
    weights = {"weight": torch.zeros(2, 2), "bias": 0.5}
    with pytest.raises(RunFolderError, match=r"into this model: .*\"bias\"") as raised, loading_checkpoints(TRAINER):  # type: ignore[arg-type]
        nn.Linear(2, 2).load_state_dict(weights)  # type: ignore[arg-type]
    assert not raised.value.what.endswith(": ")


@pytest.mark.parametrize("error", [RuntimeError("CUDA"), ValueError("no"), KeyError("loss")])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, loading_checkpoints(TRAINER):  # type: ignore[arg-type]
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    "held",
    [[1], {"state_dict": None}, {"state_dict": {}, "callbacks": 5}, {"state_dict": {}, "lr_schedulers": {}}],
)
def test_what_is_no_checkpoint_is_blamed(held: object, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "last.ckpt")
    with pytest.raises(RunFolderError, match=r"can't be loaded: it holds no checkpoint[\s\S]*last.ckpt[\s\S]*hint:"):
        WholeCheckpointIO().load_checkpoint(tmp_path / "last.ckpt", weights_only=True)


@pytest.mark.parametrize(
    ("error", "reason"), [(KeyError("loops"), "it lacks loops"), (InvalidVersion("Invalid version: 'x'"), "Lightning")]
)
def test_parts_that_lack_are_named(error: Exception, reason: str) -> None:
    with pytest.raises(RunFolderError, match=reason), loading_checkpoints(TRAINER):  # type: ignore[arg-type]
        raise error
