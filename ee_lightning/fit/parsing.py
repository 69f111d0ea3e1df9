"""Words what a parser says of options as one mistake with a hint; it loads no Lightning."""

import re
from argparse import ArgumentError, ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from inspect import isclass, signature
from itertools import pairwise
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ee_lightning.errors import OptionError, did_you_mean
from ee_lightning.files import read_yaml

if TYPE_CHECKING:
    from lightning.pytorch.cli import LightningArgumentParser

_UNKNOWN = re.compile(r"(?:option|Option) '([\w.]+)'|unrecognized arguments: -+([\w.-]+)")
_MISSING = re.compile(r'Parser key "([\w.]+)":\s+Expected .* Got value: None', re.DOTALL)
_LINKED = re.compile(r'Linked "([\w.]+)" must be given via "([\w.]+)"')
_OWN_UNKNOWN = re.compile(r"""Parser key "data\.own":.*Option '(\w+)' is not accepted""", re.DOTALL)
_OWN_WRONG = re.compile(
    r'Parser key "data\.own":.*?Parser key "(\w+)":.*?Expected an? (\w+).*?(?:Got|Given) value: ([^\n]*)', re.DOTALL
)
_DATA_MODULE = re.compile(r"""Parser key "data":.*Problem with given class_path '([\w.]+)':\s*([^\n]+)""", re.DOTALL)
_NOT_OF_CLASS = re.compile(
    r"""Parser key "([\w.]+)":.*?given class_path '([\w.]+)\.(\w+)':\s+Option '([\w.]+)' is not accepted""", re.DOTALL
)
_OWN_MISSING = re.compile(r'Parser key "data\.own":.*arguments are required: (\w+)', re.DOTALL)
_ABSTRACT = re.compile(r"but ([\w.]+)\.(\w+) is abstract")
_CLASS = re.compile(
    r"given class_path '(?:([\w.]+)\.)?(\w+)':\s+(?:module '[\w.]+' has no attribute|No module named)"
    r"|No ([\w.]+) attribute (\w+)|Expected a dot import path string: (\w+)"
)
_NO_LIST = re.compile(r'Parser key "([\w.]+)":.*Expected a list\. (?:Got|Given) value: ([\w.]+)', re.DOTALL)
_CHOICE = re.compile(
    r'Parser key "([\w.]+)":\s+(?:Does not .*Subtypes: \[typing\.Literal\[[^\]]*\], NoneType\].*)?'
    r"Expected a typing\.Literal\[([^\]]*)\].*(?:Got|Given) value: ([^\n]*)",
    re.DOTALL,
)
_PLACES = ("ee_lightning.training", "ee_lightning.exits", "lightning.pytorch.callbacks", "lightning.pytorch.loggers")
_CUSTOM_HINTS = {
    "str": 'put words into quotes, as in ["no", "yes"] or ["0", "1"]: else they are truth values and numbers in YAML',
    "list": "write a list: [first, second], or [first]",
    "dict": "write a mapping: {train: FILE, validation: FILE}",
}


def names_data_module(arguments: Sequence[str]) -> bool:
    """Return whether options name a data module by its class, as ``--data CLASS`` or in a file."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--data")
    parser.add_argument("-c", "--config", action="append", default=[])
    try:
        named = parser.parse_known_args(arguments)[0]
    except ArgumentError:  # which the parser of all options words
        return False
    for file in named.config:
        with suppress(OSError, ValueError):
            data = read_yaml(Path(file)).get("data")
            if isinstance(data, str) or (isinstance(data, dict) and "class_path" in data):
                return True
    return named.data is not None


def data_module_first(arguments: Sequence[str]) -> list[str]:
    """Put ``--data CLASS`` before the options of that class, as the parser reads them one after the other.

    Example:
        >>> data_module_first(["fit", "--data.file", "rows.csv", "--data", "own_data.OwnData", "--run.name", "x"])
        ['fit', '--data', 'own_data.OwnData', '--data.file', 'rows.csv', '--run.name', 'x']
    """
    options = list(arguments)
    first = next((at for at, option in enumerate(options) if option.startswith("--data.")), len(options))
    named = next((at for at, option in enumerate(options) if option.partition("=")[0] == "--data"), 0)
    if named > first:
        end = named + (1 if "=" in options[named] else 2)
        options[first:end] = options[named:end] + options[first:named]
    return options


def parsing_error(message: str, arguments: Sequence[str], known: Sequence[str]) -> OptionError:
    """Word what the parser said of a command and its options, whose known dotted names help with misspelt ones.

    Example:
        >>> print(parsing_error("unrecognized arguments: --data.tsk x", ["fit", "--data.tsk", "x"], ["data.task"]))
        unrecognized arguments: --data.tsk x
          where: the command line
          hint:  did you mean --data.task? 'ee-lightning fit --help' lists the options
    """
    hint = f"'ee-lightning {arguments[0]} --help' lists the options"
    message = re.sub(r"<class '([\w.]+)'>", r"\1", message)
    if unknown := _OWN_UNKNOWN.search(message):
        from ee_lightning.data import CustomTask  # which takes seconds to import

        names = [each.name for each in fields(CustomTask)]
        suggestion = _closest(unknown[1], names)
        what = f"data.own has no option {unknown[1]!r}"
        hint = f"{f'did you mean {suggestion}? ' if suggestion else ''}it has {', '.join(names)}"
    elif wrong := _OWN_WRONG.search(message):
        kind = wrong[2].replace("tuple", "list")  # as it is written
        what = f"data.own.{wrong[1]} holds {wrong[3]}, where a {kind} is needed"
        hint = _CUSTOM_HINTS.get(kind, hint)
    elif missing := _OWN_MISSING.search(message):
        what = f"data.own lacks {missing[1]}"
        hint = f"give it as --data.own.{missing[1]}; {hint}"
    elif abstract := _ABSTRACT.search(message):
        lacks = getattr(import_module(abstract[1]), abstract[2]).__abstractmethods__
        what = f"{abstract[2]} lacks the method {' and '.join(sorted(lacks))}"
        hint = f"see what it has to return: help({abstract[1]}.{abstract[2]}), and examples/ for whole classes"
    elif module := _DATA_MODULE.search(message):
        what = f"the data module {module[1]} can't be made: {module[2]}"
        hint = (
            "name a class of a module in the working folder or on PYTHONPATH, as in --data own_data.OwnData, and give "
        )
        hint += "what its __init__ needs as --data.NAME"
    elif refused := _NOT_OF_CLASS.search(message):
        key, module, name, option = refused.groups()
        what = f"{name}, the class of {key}, has no option {option!r}"
        hint = f"'ee-lightning {arguments[0]} --{key}.help {name}' lists its options"
        hint = f"{_where_option_is(option, module, name)} {hint}"
    elif linked := _LINKED.search(message):
        what = f"{linked[1]} is taken from {linked[2]}"
        way = ": the task decides" if linked[2].startswith("data.") else f", and give --{linked[2]}"
        hint = f"leave {linked[1]} out{way}"
    elif missing := _MISSING.search(message):
        what = f"the option {missing[1]} is needed"
        hint = f"give it as --{missing[1]}, or start from a configuration: --config configs/demo.yaml; {hint}"
        if arguments[0] != "fit":
            hint = f"name a checkpoint that lies in its run folder, whose config.yaml has all options; or {hint}"
    elif choice := _CHOICE.search(message):
        known = re.findall(r"'([^']*)'", choice[2])
        what = f"{choice[1]} is {choice[3]}"
        hint = f"{did_you_mean(choice[3], known)}give one of {', '.join(known)}"
    elif listed := _NO_LIST.search(message):
        what = f"{listed[1]} is {listed[2]}, where a list is needed"
        meant = _closest_class(None, listed[2])
        asked = f"did you mean {meant}? " if meant else ""
        hint = f"{asked}give --{listed[1]} '[{meant or listed[2]}]'; {hint}"
    else:
        what = message.replace("\n\n", "\n").strip()
        if found := _CLASS.search(message):
            meant = _closest_class(found[1] or found[3], found[2] or found[4] or found[5])
            hint = f"did you mean {meant}? {hint}" if meant else hint
        if unknown := _UNKNOWN.search(message):
            suggestion = _closest(unknown[1] or unknown[2], known)
            hint = f"did you mean {'--' if unknown[2] else ''}{suggestion}? {hint}" if suggestion else hint
    files = [value for flag, value in pairwise(arguments) if flag in {"--config", "-c"}]
    files += [argument.removeprefix("--config=") for argument in arguments if argument.startswith("--config=")]
    return OptionError(what, where=" or ".join(["the command line", *files]), hint=hint)


def _closest_class(module: str | None, name: str) -> str | None:
    """Return the class that was meant, in its module or in those of options, if there is one of a similar name."""
    places = [module] if module and _can_be_imported(module) else _PLACES
    known = {
        each.lower(): f"{place}.{each}"
        for place in places
        for each in dir(import_module(place))
        if each[0].isupper()  # else a module, such as ee_lightning.exits.voting
    }
    closest = get_close_matches(name.lower(), known, n=1, cutoff=0.8)
    return known[closest[0]] if closest else None


def _where_option_is(option: str, module: str, name: str) -> str:
    """Name the classes of the same kind that have an option, or else the option that was meant, or all of the class."""
    place = import_module(module)
    own = getattr(place, name)
    kinds = [kind for kind in vars(place).values() if isclass(kind) and set(kind.__mro__) & set(own.__mro__[1:-1])]
    if having := [kind.__name__ for kind in kinds if option in signature(kind).parameters]:
        return f"{' and '.join(having)} {'has' if len(having) == 1 else 'have'} it;"
    known = [each for each in signature(own).parameters if each != "kwargs"]
    if meant := _closest(option, known):
        return f"did you mean {meant}?"
    return f"it has {', '.join(known)};"


def _can_be_imported(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def _closest(unknown: str, known: Sequence[str]) -> str | None:
    """Find the known dotted name that was meant, by all of it or by its last part."""
    if whole := get_close_matches(unknown, known, n=1, cutoff=0.8):
        return whole[0]
    by_last = {name.rpartition(".")[2]: name for name in reversed(known)}
    last = get_close_matches(unknown.rpartition(".")[2], by_last, n=1, cutoff=0.7)
    return by_last[last[0]] if last else None


def whole_numbers_first(parser: "LightningArgumentParser") -> "LightningArgumentParser":
    """Let options that take whole numbers and others read 1 as the whole number: one batch, and not all of them.

    Python takes Union[int, float] and Union[float, int] for equal, and keeps whichever was written first anywhere.
    """
    for action in parser._actions:
        kinds = get_args(getattr(action, "_typehint", None))
        if {int, float} <= set(kinds):
            vars(action)["_typehint"] = reduce(or_, sorted(kinds, key=(int, float, *kinds).index))
    return parser
