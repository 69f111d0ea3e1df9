"""The commands beside fit: their options on the command line, in files, in the help and in the shell's completion."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ee_lightning.cli import COMMANDS, main
from ee_lightning.cli.command import parser_of, print_completion
from ee_lightning.fit.command import FitOptionsParser
from ee_lightning.runs.folder import RunFolder

BY_FUNCTION = [name for name in COMMANDS if name not in ("fit", "validate", "test")]
RUN = Path("RUN")
REPOSITORY = Path(__file__).parents[2]
LINES: dict[str, dict[str, Any]] = {
    "curves RUN --criteria voting(k=0.5),beem --wandb": {"run": RUN, "criteria": "voting(k=0.5),beem", "wandb": True},
    "curves RUN --voting.k 0.5 --voting.fallb last": {"run": RUN, "voting.k": "0.5", "voting.fallback": "last"},
    "choose RUN --criterion voting --min-speedup 2": {"run": RUN, "criterion": "voting", "min_speedup": 2.0},
    "choose --max-loss=5 --guarantee 0.95 --crit pcee RUN": {
        "run": RUN,
        "criterion": "pcee",
        "max_loss": 5.0,
        "guarantee": 0.95,
    },
    "speed RUN --speedups 1.5,2 --batch-sizes 1,32,1 --p bf16": {
        "run": RUN,
        "speedups": [1.5, 2.0],
        "batch_sizes": [1, 32],
        "precision": "bf16",
    },
    "predict RUN --threshold -1e-05 --input a.csv --output b.csv": {
        "model": "RUN",
        "threshold": -1e-05,
        "input": Path("a.csv"),
        "output": Path("b.csv"),
    },
    "predict RUN --threshold 1 --thresh -inf --text-columns a,b --trail --skip": {
        "model": "RUN",
        "threshold": float("-inf"),
        "text_columns": ("a", "b"),
        "trail": True,
        "skip_bad_rows": True,
    },
    "predict RUN --text -.5 --pair x --probab": {"model": "RUN", "text": "-.5", "pair": "x", "probabilities": True},
    "explain RUN --row 3 --split test": {"model": "RUN", "row": 3, "split": "test"},
    "save 1 2": {"model": "1", "folder": "2"},
    "tables --output t.csv RUN runs": {"folders": [RUN, Path("runs")], "output": Path("t.csv")},
    "tables --wandb me/mine": {"wandb": "me/mine"},
    "fetch-run E/P/R:v0 --root there": {"run": "E/P/R:v0", "root": Path("there")},
    "submit RUN --output there": {"runs": [RUN], "output": Path("there")},
}


def _given(line: str) -> dict[str, Any]:
    command, *arguments = line.split()
    parser = parser_of(command)
    return {name: value for name, value in parser.read(arguments).items() if value != parser.get_default(name)}


@pytest.mark.parametrize("line", LINES)
def test_options_are_read_as_typed_in_any_order_and_shortened(line: str) -> None:
    assert _given(line) == LINES[line]


@pytest.mark.parametrize("line", LINES)
def test_what_is_printed_as_a_configuration_can_be_given_as_one(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, *arguments = line.split()
    with pytest.raises(SystemExit, match="0"):
        parser_of(command).read([*arguments, "--print_config"])
    Path("printed.yaml").write_text(capsys.readouterr().out)
    assert _given(f"{command} --config printed.yaml") == LINES[line]


def test_the_command_line_wins_over_files_and_the_last_file_over_the_first() -> None:
    Path("one.yaml").write_text("run: ONE\ncriterion: voting\nmin_speedup: 2\nseed: 1\n")
    Path("two.yaml").write_text("seed: 2\nwandb: true\n")
    read = _given("choose --config one.yaml --config two.yaml --criterion pcee RUN")
    assert read == {"run": RUN, "criterion": "pcee", "min_speedup": 2.0, "seed": 2, "wandb": True}


IN_FILES = {
    "runn: x": r"'runn' is not accepted[\s\S]*where: .*c.yaml[\s\S]*did you mean run\?",
    "seed: 1.5": r"--seed: 1.5, which should be a valid integer[\s\S]*where: .*c.yaml",
    "min_speedup: fast": r"--min-speedup: 'fast', which should be a valid number",
    "wandb: 3": r"3 is neither true nor false[\s\S]*where: wandb",
    "run: [x": r"where: .*c.yaml",
    "[run, x]": r"c.yaml",
}


@pytest.mark.parametrize(("command", "key"), [("predict", "model"), ("submit", "runs"), ("tables", "folders")])
def test_a_positional_argument_called_as_in_the_help_is_answered(
    command: str, key: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shown = next(each.metavar for each in parser_of(command)._actions if each.dest == key)
    Path("c.yaml").write_text(f"{shown.strip('[]. ').lower()}: x")
    assert main([command, "--config", "c.yaml"]) == 1
    assert f"is not accepted: in a file {shown} is called {key}" in capfd.readouterr().err


@pytest.mark.parametrize("text", IN_FILES)
def test_mistakes_in_a_file_are_named_with_the_file(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text(text)
    assert main(["choose", "RUN", "--criterion", "voting", "--config", "c.yaml"]) == 1
    printed = capfd.readouterr().err
    assert printed.count("error: ") == 1
    assert re.search(IN_FILES[text], printed), printed


def test_a_file_that_is_not_there_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "--config", "nowhere.yaml"]) == 1
    assert re.search(r"--config: File does not exist: .*nowhere.yaml", capfd.readouterr().err)


@pytest.mark.parametrize("command", BY_FUNCTION)
def test_the_help_names_every_option_in_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "type:" not in shown
    for action in parser_of(command)._actions:
        name = action.option_strings[-1] if action.option_strings else str(action.metavar)
        if "." not in name and not name.startswith("--print_shtab"):
            assert name in shown.split()
            assert action.help


def test_the_help_names_words_that_stand_in_place_of_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["choose", "--help"])
    shown = capsys.readouterr().out
    assert "--exits LAYERS|auto" in shown
    assert "--guarantee NUMBER|mean" in shown


def _examples(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    main(["--help"])
    shown = capsys.readouterr().out.replace("\\\n", "")
    return [shlex.split(line) for line in re.findall(r"^  ee-lightning (.+)$", shown, re.MULTILINE)]


def test_the_examples_of_the_help_are_read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    examples = [line for line in _examples(capsys) if line[0] in COMMANDS]
    assert len(examples) > 10
    for command, *arguments in examples:
        if command == "fit":
            assert FitOptionsParser().resolve(arguments)["data"]["task"] == "rotten_tomatoes"
        elif command != "validate":
            parser_of(command).read(arguments)


@pytest.mark.slow
def test_the_second_example_of_the_help_trains(capsys: pytest.CaptureFixture[str]) -> None:
    Path("configs").symlink_to(REPOSITORY / "configs")
    fit = [line for line in _examples(capsys) if line[0] == "fit"][1]
    small = ["--data.limit_train=64", "--trainer.limit_val_batches=2", "--trainer.log_every_n_steps=1"]
    assert main([*fit, *small]) == 0
    (folder,) = Path("runs").glob("*/version_0")
    assert "patience" in RunFolder(folder).read_summary()["validation"]["criteria"]


def test_modules_of_ones_own_are_found_in_the_working_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my_rule.py").write_text("print('imported')\n")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(Path.cwd()))])
    monkeypatch.setattr(sys, "argv", ["ee-lightning", "curves", "nowhere", "--criteria", "my_rule.Mine"])
    assert main() == 1
    assert "imported" in capsys.readouterr().out


def test_the_shell_completes_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    print_completion("bash", {name: COMMANDS[name] for name in ("predict", "choose")})
    assert _completed(capsys.readouterr().out, "ee-lightning pre") == ["predict"]


@pytest.mark.slow
def test_the_shell_completes_what_fit_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print_completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert _completed(script, "ee-lightning predict RUN --sch") == ["--schedule"]
    assert _completed(script, "ee-lightning predict RUN --schedule d") == ["depth_first"]
    for command in COMMANDS:
        assert "--help" in _completed(script, f"ee-lightning {command} --h")
    assert "--sweep.criteria" in _completed(script, "ee-lightning fit --sweep.crit")
    assert "-->" not in script  # a link between options is no option, and zsh stops at one
    assert main(["predict", "--print_completion=ksh"]) == 1
    assert "bash, zsh" in capsys.readouterr().err


def _completed(script: str, line: str) -> list[str]:
    """Return what bash offers at the end of a line, after it has read a script."""
    words = f'COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); _shtab_ee_lightning; echo "${{COMPREPLY[@]}}"'
    read = subprocess.run(["bash"], input=f"{script}\n{words}\n", capture_output=True, text=True, check=True)
    return read.stdout.split()
