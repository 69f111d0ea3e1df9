"""Sweeps for W&B, read to run here."""

from pathlib import Path

import pytest

from ee_lightning.errors import EarlyExitError
from ee_lightning.tuning.sweep_file import SweepFile

SWEEPS = Path(__file__).parents[2] / "sweeps"
GRID = "method: grid\nmetric: {name: val/voting/area}\ncommand: [fit, '${args}', --x, '1']\nparameters:\n"


def test_the_packaged_sweeps_of_trainings_are_read_without_the_service() -> None:
    for name in ("lambda_grid", "objective_bayes", "reproduce_glue"):
        sweep = SweepFile.read(SWEEPS / f"{name}.yaml")
        values = {name: (each.choices or (each.min,))[0] for name, each in sweep.parameters.items()}
        arguments = sweep.arguments(values)
        assert arguments[0] == "fit"
        assert not any("wandb" in argument or "$" in argument for argument in arguments)
        assert [f"--{name}={value}" for name, value in values.items()] == [
            argument for argument in arguments if argument.partition("=")[0][2:] in values and "=" in argument
        ]


def test_arguments_stand_where_the_command_has_them(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{GRID}  a.b: {{values: [true, 2]}}\n")
    assert SweepFile.read(tmp_path / "a.yaml").arguments({"a.b": True}) == ["fit", "--a.b=true", "--x", "1"]


@pytest.mark.parametrize(
    "wandb",
    ["--config, wandb", "-c, trainer/wandb.yaml", "--config=wandb.yaml", "--config, configs/trainer/wandb.yaml"],
)
def test_the_service_is_left_out_however_it_is_named(wandb: str, tmp_path: Path) -> None:
    command = f"['${{env}}', python, -m, ee_lightning, fit, --config, demo, {wandb}, '${{args}}']"
    (tmp_path / "a.yaml").write_text(f"{GRID}  a: {{values: [1]}}\n".replace("[fit, '${args}', --x, '1']", command))
    assert SweepFile.read(tmp_path / "a.yaml").arguments({"a": 1}) == ["fit", "--config", "demo", "--a=1"]


def test_without_a_goal_less_is_better_as_in_wandb(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{GRID}  a: {{values: [1]}}\n")
    assert SweepFile.read(tmp_path / "a.yaml").metric.goal == "minimize"


@pytest.mark.parametrize(
    ("parameter", "what"),
    [
        ("{min: 0, max: 1}", "a grid needs values, and a has none"),
        ("{}", "give values, one value, or min and a greater max"),
        ("{min: 2, max: 1}", "a greater max"),
        ("{min: 0, max: 1, distribution: log_uniform_values}", "needs min above 0"),
        ("{values: [1], q: 2}", "q is not known"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameter: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{GRID}  a: {parameter}\n")
    with pytest.raises(EarlyExitError, match=what):
        SweepFile.read(tmp_path / "a.yaml")


def test_other_commands_are_refused() -> None:
    with pytest.raises(EarlyExitError, match="the command is"):
        SweepFile.read(SWEEPS / "voting.yaml")
