"""Turns what the argument parser says into what its user should do."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise

from ee_lightning.errors import OptionError

_UNKNOWN = re.compile(r"(?:option|Option) '([\w.]+)'|unrecognized arguments: -+([\w.]+)")
_MISSING = re.compile(r'Parser key "([\w.]+)":\s+Expected .* Got value: None', re.DOTALL)


def parsing_mistake(message: str, arguments: Sequence[str], known: Sequence[str]) -> OptionError:
    """Word a mistake in the options.

    Args:
        message: What the parser said.
        arguments: The command and its options.
        known: The dotted names of the command's options.

    Example:
        >>> print(parsing_mistake("unrecognized arguments: --data.tsk x", ["fit", "--data.tsk", "x"], ["data.task"]))
        unrecognized arguments: --data.tsk x
          where: the command line
          mend:  did you mean data.task? 'ee-lightning fit --help' lists the options
    """
    mend = f"'ee-lightning {arguments[0]} --help' lists the options"
    if missing := _MISSING.search(message):
        what = f"the option {missing[1]} is needed"
        mend = f"give it as --{missing[1]}, or start from a configuration: --config configs/demo.yaml; {mend}"
    else:
        what = re.sub(r"<class '([\w.]+)'>", r"\1", message).replace("\n\n", "\n").strip()
        if unknown := _UNKNOWN.search(message):
            suggestion = _closest(unknown[1] or unknown[2], known)
            mend = f"did you mean {suggestion}? {mend}" if suggestion else mend
    files = [value for flag, value in pairwise(arguments) if flag in {"--config", "-c"}]
    return OptionError(what, where=" or ".join(["the command line", *files]), mend=mend)


def _closest(unknown: str, known: Sequence[str]) -> str | None:
    """Find the known dotted name that was meant, by all of it or by its last part."""
    if whole := get_close_matches(unknown, known, n=1, cutoff=0.8):
        return whole[0]
    by_last = {name.rpartition(".")[2]: name for name in reversed(known)}
    last = get_close_matches(unknown.rpartition(".")[2], by_last, n=1, cutoff=0.8)
    return by_last[last[0]] if last else None
