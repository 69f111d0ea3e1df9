"""The errors a user can cause, each saying what is wrong, where it was found and how to fix it.

The command line prints them without a traceback. A mistake of a programmer raises the built-in exceptions instead.
"""

import errno
import signal
from collections.abc import Collection
from difflib import get_close_matches

ERROR = "error: "
"""The prefix of the last message of a command that fails."""
_LONGEST_WHAT, _LONGEST_WHERE, _LONGEST_HINT = 850, 400, 550
_MOST_LISTED = 10
_PERMISSION = "get the permission (chmod, chown), or run the command as a user who has it"
_DISK = "free space on the disk, or name a folder on another disk"
_NETWORK = "check the network, and repeat the command"
_HINTS = {
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EROFS: "name a folder that can be written: this disk is read-only",
    errno.ENAMETOOLONG: "use a shorter name: most file systems allow 255 bytes in a name",
    errno.ENOSPC: _DISK,
    errno.EDQUOT: _DISK,
    errno.ELOOP: "remove the link, or name the file that it should lead to",
    errno.ESTALE: "mount the network disk again, and repeat the command",
    errno.EIO: "check the disk",
    errno.EMFILE: "raise the limit of open files: ulimit -n 4096",
    errno.ENOMEM: "close other programs, or use a machine with more memory",
    errno.ECONNREFUSED: _NETWORK,
    errno.ECONNRESET: _NETWORK,
    errno.ENETUNREACH: _NETWORK,
    errno.ETIMEDOUT: _NETWORK,
}


def shown(text: object, longest: int = 200, *, lines: bool = False) -> str:
    r"""Return a text of any origin as it may be printed: cut to a length, control characters as escapes.

    Example:
        >>> print(shown("red: \x1b[31m"))
        red: \x1b[31m
        >>> shown("a" * 12 + "b" * 1000, 15)
        'aaaaaaaaaa … (997 characters left out) … bbbbb'
    """
    visible = "".join(
        each if each.isprintable() or (lines and each == "\n") else each.encode("unicode_escape").decode()
        for each in str(text)
    )
    if len(visible) <= longest:
        return visible
    end = longest // 3
    return f"{visible[: longest - end]} … ({len(visible) - longest} characters left out) … {visible[-end:]}"


def hint_for(error: OSError, otherwise: str) -> str:
    """Return what to do about an error of the operating system: the caller's hint where its number says nothing."""
    return _HINTS.get(error.errno or 0, otherwise)


class EarlyExitError(Exception):
    """A mistake that its user can fix.

    The message shows control characters as escapes and stays below 2,000 characters, whatever it quotes.

    Args:
        what: What is wrong, with the offending value.
        where: The file, folder, option or place that was looked at.
        hint: What to do about it.
    """

    def __init__(self, what: str, *, where: object = None, hint: str | None = None) -> None:
        self.what, self.where, self.hint = shown(what, _LONGEST_WHAT, lines=True), where, hint
        lines = [self.what]
        if where is not None:
            lines.append(f"  where: {shown(where, _LONGEST_WHERE)}")
        if hint is not None:
            lines.append(f"  hint:  {shown(hint, _LONGEST_HINT, lines=True)}")
        super().__init__("\n".join(lines))


class OptionError(EarlyExitError, ValueError):
    """An option has a value that makes no sense."""


USER_MISTAKES = (EarlyExitError, OSError, MemoryError, RecursionError, UnicodeError)
"""What a command may raise because of its user, their files or their machine."""


def as_mistake(error: Exception) -> EarlyExitError:
    """Return one of `USER_MISTAKES` as an error that says what to do about it."""
    match error:
        case EarlyExitError():
            return error
        case OSError():
            where = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None) or None
            hint = hint_for(error, "check that the file or folder is there and whole, and repeat the command")
            return EarlyExitError(error.strerror or str(error) or type(error).__name__, where=where, hint=hint)
        case MemoryError():
            hint = "use smaller batches or less data, close other programs, or use a machine with more memory"
            return EarlyExitError(f"there is not enough memory {error}".strip(), hint=hint)
        case RecursionError():
            hint = "check the configuration file and the rows"
            return EarlyExitError("lists or mappings are nested too deeply", hint=hint)
        case _:
            hint = "rename the file, save the text as UTF-8, or set PYTHONUTF8=1 if the terminal's language is C"
            return EarlyExitError(f"a name or a text can't be read as Unicode: {error}", hint=hint)


def why_ended(status: int, output: str) -> str:
    """Return why a command of this program failed, by its exit status, negative for a signal, and what it printed.

    Example:
        >>> why_ended(1, "error: there is no task 'x'")
        "there is no task 'x'"
        >>> why_ended(-9, "")
        'it was killed by signal 9: the usual cause is too little memory'
    """
    if status < 0:
        why = ": the usual cause is too little memory" if -status == signal.SIGKILL else ""
        return f"it was killed by signal {-status}{why}"
    lines = [line for line in output.splitlines() if line.strip()] or ["it printed nothing"]
    starts = [number for number, line in enumerate(lines) if line.startswith(ERROR)]
    return "\n".join(lines[starts[-1] :]).removeprefix(ERROR) if starts else f"status {status}: {lines[-1]}"


def require_one_of(value: str, known: Collection[str], option: str) -> None:
    """Raise an `OptionError` for a value of an option that is not among the known ones."""
    if value not in known:
        raise OptionError(
            f"{shown(repr(value))} is not a value of {option}",
            where=option,
            hint=f"{did_you_mean(value, known)}use one of {', '.join(known)}",
        )


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return the beginning of a hint that names the known word closest to another, or nothing where none is close.

    Example:
        >>> did_you_mean("votin", ["voting", "patience"]), did_you_mean("x", ["voting"])
        ('did you mean voting? ', '')
    """
    by_lower = {each.lower(): each for each in reversed([*known])}
    closest = get_close_matches(word[:_LONGEST_WHERE].lower(), by_lower, n=1)
    return f"did you mean {by_lower[closest[0]]}? " if closest else ""


def require_at_least_one(**options: int) -> None:
    """Raise an `OptionError` for an option whose number is below 1."""
    for name, value in options.items():
        if value < 1:
            raise OptionError(f"{name} is {value}", where=name, hint="give 1 or more")


def require_within(value: float, interval: str, option: str, hint: str) -> None:
    """Raise an `OptionError` for a number of an option outside an interval such as ``[0, 1)`` or ``[0, inf)``."""
    least, most = (float(end) for end in interval[1:-1].split(","))
    above = value >= least if interval[0] == "[" else value > least
    below = value <= most if interval[-1] == "]" else value < most
    if not (above and below):
        name = option.rpartition(".")[2]
        raise OptionError(f"{name} must lie in {interval}, but is {value}", where=option, hint=hint)


class DataError(EarlyExitError):
    """A task, a file, a column or a label is missing or wrong."""


class BackboneError(EarlyExitError):
    """Pretrained weights are missing, damaged, or of a family that is not known."""


class TrainingDiverged(EarlyExitError):
    """The loss ran away."""


class RunFolderError(EarlyExitError):
    """A run folder lacks what was asked of it."""


def first_line(error: object) -> str:
    r"""Return the first line that an error of another library says, or the name of its class where it says nothing.

    Example:
        >>> first_line(ValueError("no such file\nmore")), first_line(KeyboardInterrupt())
        ('no such file', 'KeyboardInterrupt')
    """
    return str(error).strip().partition("\n")[0].strip() or type(error).__name__


def listed(words: Collection[str]) -> str:
    """List words in a message, the first ten of them if they are more.

    Example:
        >>> listed([*"abcdefghijklm"])
        'a, b, c, d, e, f, g, h, i, j and 3 more'
    """
    more = len(words) - _MOST_LISTED
    return ", ".join([*words][:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, what: str) -> str:
    """Return how many there are, in words.

    Example:
        >>> counted(1, "seed"), counted(3, "seed")
        ('1 seed', '3 seeds')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
