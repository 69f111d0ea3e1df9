"""The help of commands: theirs at full length, and of ``fit``, ``validate`` and ``test`` Lightning's options folded."""

from argparse import SUPPRESS, Action, HelpFormatter
from collections.abc import Sequence
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING

from jsonargparse import DefaultHelpFormatter
from typing_extensions import override

from ee_lightning.errors import OptionError

if TYPE_CHECKING:
    from lightning.pytorch.cli import LightningArgumentParser

_WIDEST, _COLUMN = 120, 34
_SECTIONS = {
    "": "options",
    "run": "the run",
    "data": "the data",
    "model": "the model",
    "sweep": "the evaluation",
    "last_checkpoint": "the checkpoint to go on from",
}
_FOLDED = {
    "trainer": "Lightning's Trainer: epochs, devices, precision, loggers, callbacks",
    "checkpoint": "Lightning's ModelCheckpoint: which checkpoints are kept, by which figure",
}
_REWORDED = {
    "help": "Show this help, and exit.",
    "config": "A YAML file with options, or the name of one that is shipped; several are laid over each other.",
    "print_config": "Print the options as such a file, and exit.",
    "seed_everything": "The seed of everything that is random.",
    "ckpt_path": "A checkpoint to start from; last goes on with an interrupted run in its folder.",
}
_LEFT_OUT = {"weights_only", "verbose"}


class Help(DefaultHelpFormatter):
    """Shows a default in parentheses after the help, and no types."""

    @override
    def _get_help_string(self, action: Action) -> str:
        return _with_default(action)

    @override
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(super(Help, self)._fill_text(part, width, indent) for part in text.split("\n\n"))


class _Plain(HelpFormatter):
    """Of argparse alone, for options of several parsers."""

    @override
    def _get_help_string(self, action: Action) -> str:
        return _with_default(action).replace("``", "").replace("%", "%%")


def _with_default(action: Action) -> str:
    text, default = action.help or "", action.default
    if not action.option_strings or default is None or default is False or default == SUPPRESS:
        return text
    if isinstance(default, list | tuple) and any(isinstance(each, dict) for each in default):
        return text
    default = getattr(default, "class_path", default)
    shown = ",".join(map(str, default)) if isinstance(default, list | tuple) else default
    return f"{text.removesuffix('.')} ({shown})."


def asked_help(options: Sequence[str]) -> str | None:
    """Return what help of a command is asked for: empty for its own, a name such as ``trainer``; None for none.

    Example:
        >>> asked_help(["--help"]), asked_help(["--help.trainer"]), asked_help(["--data.task", "rte"])
        ('', 'trainer', None)
    """
    for option in options:
        if option in {"-h", "--help"}:
            return ""
        if option.startswith("--help."):
            return option.removeprefix("--help.")
    return None


def help_of(command: str, what: str, parser: "LightningArgumentParser", topic: str) -> str:
    """Return the help of a command of LightningCLI.

    Args:
        command: Its name.
        what: What it does.
        parser: Its parser.
        topic: Empty, or the first part of the names of the options to show alone.

    Raises:
        OptionError: No option begins so.
    """
    formatter = _Plain(f"ee-lightning {command}", max_help_position=_COLUMN, width=_width())
    shown = [topic] if topic else [*_SECTIONS]
    groups = {name: [each for each in parser._actions if _is_shown(each) and _first(each) == name] for name in shown}
    if not groups[shown[0]]:
        known = ", ".join(f"--help.{name}" for name in (*_FOLDED, *_SECTIONS) if name)
        raise OptionError(f"no option begins with {topic}", where=f"--help.{topic}", hint=f"give {known}")
    formatter.add_text(f"usage: ee-lightning {command} [--config FILE ...] [--OPTION VALUE ...]")
    formatter.add_text(f"{what[:1].upper()}{what[1:]}.")
    for name, actions in groups.items():
        formatter.start_section(_SECTIONS.get(name) or _FOLDED.get(name, name))
        formatter.add_arguments([_short(each) for each in actions])
        formatter.end_section()
    text: str = formatter.format_help()
    if topic:
        return text
    others = {
        **{f"--help.{name}": about for name, about in _FOLDED.items()},
        "--data.own.help": "the options of your own task; --model.lora.help those of adapters",
        "--model.objective.help CLASS": "the options of an objective; so of criteria, callbacks and loggers",
    }
    lines = [_beside(option, about) for option, about in others.items()]
    used = (
        "Of the Trainer most used: --trainer.max_epochs, --trainer.accelerator, --trainer.devices, --trainer.precision"
    )
    return "\n".join([text.rstrip(), "", "more options:", *lines, "", fill(used, _width()), ""])


def _width() -> int:
    return min(_WIDEST, get_terminal_size((_WIDEST, 24)).columns)


def _beside(option: str, about: str) -> str:
    """Write what an option is beside it, or below it where it is long."""
    name, indent = f"  {option}", " " * _COLUMN
    lines = fill(about, _width(), initial_indent=indent, subsequent_indent=indent)
    return f"{name:<{_COLUMN}}{lines.lstrip()}" if len(name) < _COLUMN else f"{name}\n{lines}"


def _first(action: Action) -> str:
    head, dot, _ = action.dest.partition(".")
    return head if dot else ""


def _is_shown(action: Action) -> bool:
    option = next(iter(action.option_strings), "")
    is_of_class = option.endswith(".help") or type(action).__name__ == "_ActionConfigLoad"
    return option.startswith("-") and " " not in option and not is_of_class and action.dest not in _LEFT_OUT


def _short(action: Action) -> Action:
    """Return an option as it is shown: by one name and a short one of its value."""
    action.help = _REWORDED.get(action.dest, action.help)
    action.option_strings = [each for each in action.option_strings if not each.endswith("+")]
    if action.metavar is None and action.choices is None and action.nargs != 0:
        action.metavar = "FILE" if action.dest == "config" else "VALUE"
    return action
