"""Commands made of functions: jsonargparse takes their options and help from signatures and docstrings."""

import inspect
import re
from argparse import SUPPRESS, Action, ArgumentError, _StoreTrueAction
from argparse import ArgumentParser as PlainParser
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from jsonargparse import ArgumentParser
from pydantic import BeforeValidator, Field
from typing_extensions import override

from ee_lightning.cli import MODULES
from ee_lightning.errors import OptionError, require_one_of
from ee_lightning.files import named_by_user
from ee_lightning.fit.help import Help
from ee_lightning.fit.parsing import parsing_error


def _parts(value: object) -> list[str]:
    """Return the different parts of a text, or of a list in a configuration file."""
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    return list(dict.fromkeys(str(part).strip() for part in parts))


AtCommas = BeforeValidator(_parts)
"""Reads a text as a list, split at commas."""
Number = Annotated[float, Field(), "NUMBER"]
"""A number as Python reads it, ``inf`` and ``nan`` too."""
Seed = Annotated[int, Field(), "NUMBER"]
Threads = Annotated[int, Field(ge=1, le=1024), "NUMBER"]
Repeats = Annotated[int, Field(ge=1, le=10_000), "NUMBER"]
BatchSize = Annotated[int, Field(ge=1, le=1_000_000), "NUMBER"]
Samples = Annotated[int, Field(ge=1, le=1_000_000_000), "NUMBER"]
BatchSizes = Annotated[Sequence[BatchSize], AtCommas, "NUMBERS"]
Numbers = Annotated[list[int], AtCommas, "NUMBERS"]
LayersOfExits = Annotated[list[int], BeforeValidator(lambda value: str(value).strip("[]").split(",")), "LAYERS"]
"""All of them are kept, so that one given twice is an error."""
Words = Annotated[list[str], AtCommas, "WORDS"]
File = Annotated[Path, "FILE"]
OutputFile = Annotated[Path, BeforeValidator(lambda value: named_by_user(str(value))), "FILE"]
Device = Literal["auto", "cpu", "cuda"]
Adapter = Annotated[str, Field(), "CLASS"]


class CommandParser(ArgumentParser):
    """The parser of a command: the parameters of its function, ``--config`` and ``--print_config``.

    Parameters before ``*`` are positional, and may be in a configuration file instead. A text in an annotation, as
    ``Annotated[Path, "FILE"]``, is what the help calls the value; in brackets, a positional one may be left out.

    Args:
        function: The command, or a dataclass of its options.
        name: Its name.
        config: Whether it has ``--config``.
        **options: Of ``argparse.ArgumentParser``.
    """

    def __init__(self, function: Callable[..., object], name: str, *, config: bool = True, **options: Any) -> None:
        super().__init__(
            prog=f"ee-lightning {name}",
            description=inspect.cleandoc(function.__doc__ or "").partition("\n\nArgs:")[0],
            formatter_class=Help,
            exit_on_error=False,
            **options,
        )
        self._name = name
        self._option_string_actions["--help"].help = "Show this help, and exit."
        if config:
            self.add_argument("--config", action="config", metavar="FILE", help="A YAML file with options.")
            printing = self._option_string_actions["--print_config"]
            printing.help, printing.metavar = "Print the options as such a file, and exit.", ""
        add = self.add_class_arguments if inspect.isclass(function) else self.add_function_arguments
        add(function, as_group=False, as_positional=True)
        parameters = inspect.signature(function).parameters
        needed, required = list[str](), list[str]()
        for action in self._actions:
            if (parameter := parameters.get(action.dest)) is not None:
                _adapt(action, parameter.annotation)
            if not action.option_strings:
                needed.append(f"{action.metavar}{' ...' if action.nargs == '+' else ''}")
            elif action.required:
                required.append(f"{action.option_strings[0]} {action.metavar or action.dest.upper()}")
        self.usage = " ".join([self.prog, *needed, *required, "[OPTIONS]"])

    @override
    def add_argument(self, *names: str, **options: Any) -> Action:
        """Add an option, with dashes for underscores; a truth value is a flag."""
        if options.get("type") is bool:
            options = {"action": "store_true", "default": False, "help": options.get("help")}
        if names[0].startswith("--") and not names[0].startswith("--print"):
            names = (names[0].replace("_", "-"),)
        added: Action = super().add_argument(*names, **options)
        return added

    @override
    def _get_option_tuples(self, option_string: str) -> list[Any]:
        found: list[Any] = PlainParser._get_option_tuples(self, option_string)
        return [each for each in found if each[1] != "--config" and not each[1].startswith("--print")]

    def read(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Return the arguments of the function, and by dotted names what else was added and is given.

        Negative numbers such as ``-1e-05`` and ``-inf`` are values. What can't be parsed is an `OptionError`.
        """
        try:
            parsed = self.parse_args(_with_dashed_values(arguments))
        except ArgumentError as error:
            message = str(error.message if error.argument_name is None else error)
            known = [each.dest for each in self._actions]
            if message.startswith("unrecognized"):
                known = [name.replace("_", "-") for name in known]
            raise parsing_error(self._reworded(message), [self._name, *arguments], known) from error
        for action in self._actions:
            if isinstance(action, _StoreTrueAction) and not isinstance(value := parsed[action.dest], bool):
                where = f"{action.dest} in the configuration"
                raise OptionError(f"{value!r} is neither true nor false", where=where, hint="write true or false")
        return {name: value for name, value in vars(parsed.as_flat()).items() if name != "config"}

    def split(self, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the arguments that are this parser's, and those from options that it lacks to the next that it has.

        A misspelt option of this parser is its own too, so that it says what was meant.
        """
        own, others = list[str](), list[str]()
        target = own
        for argument in arguments:
            if argument.startswith("-") and not _is_negative_number(argument):
                option = argument.partition("=")[0]
                is_own = "." not in option and get_close_matches(option, self._option_string_actions, cutoff=0.8)
                target = own if is_own else others
            target.append(argument)
        return own, others

    def _reworded(self, message: str) -> str:
        """Return what jsonargparse and pydantic say of a value or of a missing option as argparse would."""
        if missing := re.match(r"the following arguments are required: ([\w, ]+)", message):
            return f"the following arguments are required: {', '.join(map(self._shown, missing[1].split(', ')))}"
        if unknown := re.match(r"Option '(\w+)' is not accepted", message):
            called = [each for each in self._actions if str(each.metavar).strip("[]. ").lower() == unknown[1]]
            meant = next((each for each in called if not each.option_strings), None)
            return message if meant is None else f"{message}: in a file {meant.metavar} is called {meant.dest}"
        if (found := re.match(r'Parser key "([\w.]+)":\s*(.*)', message, re.DOTALL)) is None:
            return message
        name, reason = self._shown(found[1]), found[2]
        if validated := re.search(r"\S+ (should [^\n]*) \[type=.*?, input_value=(.*?), input_type=", reason):
            return f"argument {name}: {validated[2]}, which {validated[1]}"
        if of_union := re.search(r"Errors:\s+- ([^\n]*)", reason):
            reason = of_union[1]
        if choices := re.search(r"typing.Literal\[(.*?)\]\..*value: (.*)", reason):
            return f"argument {name}: invalid choice: {choices[2]!r} (choose from {choices[1]})"
        return f"argument {name}: {reason}"

    def _shown(self, name: str) -> str:
        for action in self._actions:
            if action.dest == name:
                return action.option_strings[0] if action.option_strings else str(action.metavar)
        return name


def _adapt(action: Action, annotation: object) -> None:
    """Show a value by its name in the annotation, and take several values of a positional list."""
    action.metavar = _value_name(annotation) or action.metavar
    if not action.option_strings:
        action.metavar = action.metavar or action.dest.upper()
        if get_origin(kind := next(iter(get_args(annotation)), None)) is list:
            action.nargs, action._typehint = "+", get_args(kind)[0]  # type: ignore[attr-defined]
        if str(action.metavar).startswith("["):
            action.required, action.default = False, []


def _value_name(kind: object) -> str | None:
    """Return the text in an annotation, or in a part of it, and the words that may stand there instead."""
    parts = get_args(kind)
    names = [part for part in parts if isinstance(part, str)] if get_origin(kind) is Annotated else []
    name = next((name for name in [*names, *map(_value_name, parts)] if name is not None), None)
    words = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
    return None if name is None else "|".join([name, *words])


def parser_of(command: str) -> CommandParser:
    """Return the parser of a command: what its module's ``parser`` makes, or one of its function."""
    module = _module_of(command)
    make = getattr(module, "parser", None)
    parser: CommandParser = CommandParser(_function_of(command), command) if make is None else make()
    return parser


def run_command(command: str, arguments: Sequence[str]) -> None:
    """Run a command with what follows its name: the ``main`` of its module, or its function."""
    if (main := getattr(_module_of(command), "main", None)) is not None:
        main(arguments)
    else:
        _function_of(command)(**parser_of(command).read(arguments))


def print_completion(shell: str, commands: Mapping[str, str]) -> None:
    """Print the script by which a shell completes commands, given with what they do, and options."""
    import shtab

    from ee_lightning.fit.command import FitOptionsParser  # which takes seconds

    require_one_of(shell, shtab.SUPPORTED_SHELLS, "--print_completion")
    whole = ArgumentParser(prog="ee-lightning")
    parsers = whole.add_subcommands()
    of_fit = FitOptionsParser()._subcommand_parsers if "fit" in commands else {}
    for action in (each for parser in of_fit.values() for each in parser._actions):
        if any(" " in name for name in action.option_strings):  # a link from one option to another, which nobody gives
            action.help = SUPPRESS
    for name, what in commands.items():
        parsers.add_subcommand(name, of_fit.get(name) or parser_of(name), help=what)
    print(whole.get_completion_script(f"shtab-{shell}"))


def _module_of(command: str) -> Any:
    return import_module(f"ee_lightning.cli.{MODULES[command]}")


def _function_of(command: str) -> Callable[..., object]:
    function: Callable[..., object] = getattr(_module_of(command), command.replace("-", "_"))
    return function


def _with_dashed_values(arguments: Sequence[str]) -> list[str]:
    """Put values with a dash, which would be taken for options, together with the options before them."""
    together: list[str] = []
    for argument in arguments:
        option = together[-1] if together and together[-1].startswith("--") else ""
        is_value = _is_negative_number(argument) or argument.startswith("-.")  # as of --input -.jsonl
        if option and "=" not in option and is_value:
            together[-1] = f"{option}={argument}"
        else:
            together.append(argument)
    return together


def _is_negative_number(text: str) -> bool:
    return re.fullmatch(r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|-inf(inity)?|-nan", text, re.IGNORECASE) is not None
