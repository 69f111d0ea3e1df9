"""Words what a parser says of options as one mistake with a hint; it loads no Lightning."""

import re
from argparse import ArgumentError, ArgumentParser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from inspect import isclass, signature
from itertools import pairwise
from operator import or_
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, get_args

from ee_lightning.errors import OptionError, did_you_mean
from ee_lightning.files import read_yaml
from ee_lightning.packaged import find_config

if TYPE_CHECKING:
    from lightning.pytorch.cli import LightningArgumentParser

_UNKNOWN = re.compile(r"(?:option|Option) '([\w.]+)'|unrecognized arguments: -+([\w.-]+)")
_MISSING = re.compile(r'Parser key "([\w.]+)":\s+Expected .* Got value: None', re.DOTALL)
_REQUIRED = re.compile(r"^the following arguments are required: (?:fit|validate|test)\.([\w.]+)")
_LINKED = re.compile(r'Linked "([\w.]+)" must be given via "([\w.]+)"')
_OWN_UNKNOWN = re.compile(r"""Parser key "data\.own":.*Option '(\w+)' is not accepted""", re.DOTALL)
_OWN_WRONG = re.compile(
    r'Parser key "data\.own":.*?Parser key "(\w+)":.*?Expected an? (\w+).*?(?:Got|Given) value: ([^\n]*)', re.DOTALL
)
_DATA_MODULE = re.compile(r"""Parser key "data":.*Problem with given class_path '([\w.]+)':\s*([^\n]+)""", re.DOTALL)
_NOT_OF_CLASS = re.compile(
    r"""Parser key "([\w.]+)":.*?given class_path '([\w.]+)':\s+Option '([\w.]+)' is not accepted""", re.DOTALL
)
_OWN_MISSING = re.compile(r'Parser key "data\.own":.*arguments are required: (\w+)', re.DOTALL)
_OWN_NO_MAPPING = re.compile(r'Parser key "data\.own":(?!.*Parser key).*Expected a dot import path', re.DOTALL)
_LACKS_OPTIONS = re.compile(
    r"""Parser key "([\w.]+)":.*?given class_path '([\w.]+)':\s+the following arguments are required: ([\w, ]+)""",
    re.DOTALL,
)
_ABSTRACT = re.compile(r"but ([\w.]+)\.(\w+) is abstract")
_KEY = re.compile(r'Parser key "([\w.]+)":')
_NO_CLASS = re.compile(
    r"given class_path '([\w.]+)\.(\w+)':\s+module '[\w.]+' has no attribute"
    r"|No ([\w.]+) attribute (\w+)|Expected a dot import path string: (\w+)"
)
_NO_MODULE = re.compile(r"given class_path '([\w.]+)\.(\w+)':\s+(No module named [^\n]*)")
_OTHER_CLASS = re.compile(r"Import path ([\w.]+) does not correspond to a subclass of (\w+)")
_NO_LIST = re.compile(r'Parser key "([\w.]+)":.*Expected a list\. (?:Got|Given) value: ([\w., ]+)', re.DOTALL)
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "NoneType": "null"}
_KINDS |= {"list": "a list", "tuple": "a list", "dict": "a mapping"}
_ENTRIES = {"int": " of whole numbers", "float": " of numbers", "str": " of texts"}
_KIND = rf"(?:(?:typing\.Literal|list|tuple)\[[^\]]*\]|{'|'.join(_KINDS)})"
"""A kind of values as Python writes it."""
_WRONG_VALUE = re.compile(
    rf'Parser key "([\w.]+)":\s+(?:Does not [^\n]*\s+Subtypes: \[({_KIND}(?:, {_KIND})*)\].*?\n\s*Given value: '
    rf"|Expected an? ({_KIND})\. (?:Got|Given) value: )([^\n]*)",
    re.DOTALL,
)
_NESTED = re.compile(r"NestedArg\(key='([\w.]+)'")
_CLASSES = {
    "model.objective": ("ee_lightning.training", "Objective"),
    "sweep.criteria": ("ee_lightning.exits", "Criterion"),
    "trainer.callbacks": ("lightning.pytorch.callbacks", "Callback"),
    "trainer.logger": ("lightning.pytorch.loggers", "Logger"),
}
"""The options that name classes, where these are, and what their base class is called."""
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
    more = f"'ee-lightning {arguments[0]} --help' lists the options"
    message = re.sub(r"<class '([\w.]+)'>", r"\1", message)
    worded = _of_own_data(message, more) or _of_value(message, more, arguments[0]) or _of_class(message, more)
    if worded is None:
        unknown = _UNKNOWN.search(message)
        asked = _asked(_closest(unknown[1] or unknown[2], known), "--" if unknown[2] else "") if unknown else ""
        worded = message.replace("\n\n", "\n").strip(), asked + more
    files = [value for flag, value in pairwise(arguments) if flag in {"--config", "-c"}]
    files += [argument.removeprefix("--config=") for argument in arguments if argument.startswith("--config=")]
    if message.startswith("Unexpected config") and (without := [file for file in files if _holds_no_options(file)]):
        hint = f"write options into it, such as 'run: {{name: mine}}', or leave it out; {more}"
        return OptionError("this configuration file holds no options", where=without[0], hint=hint)
    return OptionError(worded[0], where=" or ".join(["the command line", *files]), hint=worded[1])


def _holds_no_options(file: str) -> bool:
    try:
        read_yaml(Path(file))
    except ValueError:
        return True
    return False


def _of_own_data(message: str, more: str) -> tuple[str, str] | None:
    """Word what is wrong with ``data.own``, and what to do."""
    if unknown := _OWN_UNKNOWN.search(message):
        from ee_lightning.data import CustomTask  # which takes seconds to import

        names = [each.name for each in fields(CustomTask)]
        return (
            f"data.own has no option {unknown[1]!r}",
            f"{_asked(_closest(unknown[1], names))}it has {', '.join(names)}",
        )
    if wrong := _OWN_WRONG.search(message):
        kind = wrong[2].replace("tuple", "list")  # as it is written
        return f"data.own.{wrong[1]} holds {wrong[3]}, where a {kind} is needed", _CUSTOM_HINTS.get(kind, more)
    if missing := _OWN_MISSING.search(message):
        return f"data.own lacks {missing[1]}", f"give it as --data.own.{missing[1]}; {more}"
    if _OWN_NO_MAPPING.search(message):
        hint = f"give them one by one, as in --data.own.label_column label, or in a file; {more}"
        return "data.own is no mapping of options", hint
    return None


def _of_value(message: str, more: str, command: str) -> tuple[str, str] | None:
    """Word which option has a wrong value, or none, and what to do."""
    outer = _KEY.search(message)

    def full(name: str) -> str:
        return name if outer is None or name == outer[1] else f"{name} of {outer[1]}"

    if linked := _LINKED.search(message):
        way = ": the task decides" if linked[2].startswith("data.") else f", and give --{linked[2]}"
        return f"{linked[1]} is taken from {linked[2]}", f"leave {linked[1]} out{way}"
    if missing := _MISSING.search(message) or _REQUIRED.search(message):
        hint = f"give it as --{missing[1]}, or start from a configuration: --config demo; {more}"
        if command != "fit":
            hint = f"name a checkpoint that lies in its run folder, whose config.yaml has all options; or {hint}"
        return f"the option {missing[1]} is needed", hint
    if listed := _NO_LIST.search(message):
        words = listed[2].split(",")
        meant = [_closest_class(listed[1], None, word.strip()) for word in words]
        written = ", ".join(class_path or word.strip() for class_path, word in zip(meant, words, strict=True))
        asked = _asked(", ".join(filter(None, meant)))
        return f"{listed[1]} is {listed[2]}, where a list is needed", f"{asked}give --{listed[1]} '[{written}]'; {more}"
    if wrong := _WRONG_VALUE.search(message):
        name, kinds, value = wrong[1], wrong[2] or wrong[3], wrong[4]
        if nested := _NESTED.match(value):
            return f"{full(name)} is a single value and has no options, so {nested[1]!r} can't be set", more
        return _of_kinds(full(name), kinds, value, more)
    return None


def _of_kinds(name: str, kinds: str, value: str, more: str) -> tuple[str, str]:
    """Word that an option has a value of none of its kinds, given as Python writes them, and what to do.

    Example:
        >>> _of_kinds("data.metrics", "list[str], NoneType", "macro_f1", "see --help")[0]
        'data.metrics is macro_f1, where a list of texts or null is needed'
    """
    needed, words = list[str](), list[str]()
    for kind in re.findall(_KIND, kinds):
        outer, _, inner = kind.partition("[")
        if outer == "typing.Literal":
            words += [word or number for word, number in re.findall(r"'([^']*)'|(\d+)", inner)]
        else:
            needed.append(_KINDS[outer] + _ENTRIES.get(inner.rstrip("]").partition(",")[0], ""))
    *others, last = dict.fromkeys([*words, *needed])
    either = f"{', '.join(others)} or " if others else ""
    hint = did_you_mean(value, words)
    if not hint and "a list" in " ".join(needed) and not value.startswith("["):
        hint = f"write a list as '[{value}]'; "
    return f"{name} is {value}, where {either}{last} is needed", hint + more


def _of_class(message: str, more: str) -> tuple[str, str] | None:
    """Word what is wrong with a class that an option names, or with the options it is given, and what to do."""
    if module := _DATA_MODULE.search(message):
        hint = "name a class of a module in the working folder or on PYTHONPATH, as in --data own_data.OwnData, and "
        return (
            f"the data module {module[1]} can't be made: {module[2]}",
            f"{hint}give what its __init__ needs as --data.NAME",
        )
    if refused := _NOT_OF_CLASS.search(message):
        key, path, option = refused.groups()
        if option == "class_path":  # beside another key both are taken for options of the class
            what = f"{key} has other keys beside class_path and init_args"
            return what, "write options of the class under init_args: {class_path: CLASS, init_args: {NAME: VALUE}}"
        what = f"{path.rpartition('.')[2]}, the class of {key}, has no option {option!r}"
        return what, _where_option_is(option, key, path)
    if lacking := _LACKS_OPTIONS.search(message):
        key, path, names = lacking.groups()
        name, needed = path.rpartition(".")[2], ", ".join(f"{each}: VALUE" for each in names.split(", "))
        return f"{name}, the class of {key}, needs {names}", f"give it: {{class_path: {name}, init_args: {{{needed}}}}}"
    if abstract := _ABSTRACT.search(message):
        lacks = getattr(import_module(abstract[1]), abstract[2]).__abstractmethods__
        hint = f"see what it has to return: help({abstract[1]}.{abstract[2]}), and examples/ for whole classes"
        return f"{abstract[2]} lacks the method {' and '.join(sorted(lacks))}", hint
    if (named := _KEY.search(message)) is None:
        return None
    if other := _OTHER_CLASS.search(message):
        return f"{named[1]} is {other[1]}, which is no {other[2]}", more
    if lacking := _NO_MODULE.search(message):
        what = f"{named[1]} is {lacking[1]}.{lacking[2]}, which can't be imported: {lacking[3]}"
        asked = _asked(_closest_class(named[1], lacking[1], lacking[2]))
        return what, f"{asked}modules are looked for in the working folder and on PYTHONPATH"
    if absent := _NO_CLASS.search(message):
        place, name = absent[1] or absent[3], absent[2] or absent[4] or absent[5]
        what = f"{named[1]} is {name}, and there is no such class{f' in {place}' if place else ''}"
        return what, _asked(_method(named[1], name) or _closest_class(named[1], place, name)) + more
    return None


def _asked(meant: str | None, dashes: str = "") -> str:
    return f"did you mean {dashes}{meant}? " if meant else ""


def _closest_class(key: str, module: str | None, name: str) -> str | None:
    """Return the class that was meant, in its module or in that of the option's classes, if one has a similar name."""
    place = module if module and _can_be_imported(module) else _CLASSES.get(key, (None, None))[0]
    names = dir(import_module(place)) if place else []
    known = {each.lower(): f"{place}.{each}" for each in names if each[0].isupper()}  # others are modules
    closest = get_close_matches(name.lower(), known, n=1, cutoff=0.8)
    return known[closest[0]] if closest else None


def _method(key: str, name: str) -> str | None:
    """Return the configuration that an objective was named by, if it is one of the shipped methods."""
    with suppress(OptionError):
        if key == "model.objective" and Path(find_config(name)).parent.name == "methods":
            return f"--config {name}"
    return None


def _where_option_is(option: str, key: str, path: str) -> str:
    """Name the classes of the same kind that have an option; else the option that was meant, or all of the class."""
    own = resolve_name(path)
    for place, base in _CLASSES.values():
        shipped = vars(import_module(place))
        if isclass(own) and issubclass(own, shipped[base]):
            kinds = [each for each in shipped.values() if isclass(each) and issubclass(each, shipped[base])]
            if having := [each.__name__ for each in kinds if option in _options_of(each)]:
                has = "has" if len(having) == 1 else "have"
                return f"{' and '.join(having)} {has} it: name the class in {key}, before its options"
    known = _options_of(own)
    return f"{_asked(_closest(option, known))}it has {', '.join(known) or 'no options'}"


def _options_of(kind: Callable[..., object]) -> list[str]:
    """Return the names of the parameters of a class, and of those that it passes on to its bases, or of a function."""
    names = list[str]()
    for each in kind.__mro__ if isclass(kind) else (kind,):
        try:
            parameters = signature(each).parameters.values()
        except (TypeError, ValueError):  # it has none that can be read
            break
        names += [one.name for one in parameters if one.kind in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}]
        if all(one.kind is not one.VAR_KEYWORD for one in parameters):
            break
    return names


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
    last = get_close_matches(unknown.rpartition(".")[2], by_last, n=1)
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
