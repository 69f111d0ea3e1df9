"""The names that wandb keeps to itself and for which it has no public ones; where one is gone, things take longer."""

from contextlib import suppress
from operator import attrgetter
from subprocess import Popen

import wandb
from wandb.errors import CommError


def ask_no_more(run: wandb.Run) -> None:
    """Ask now what W&B would ask its service later, while the run logs, and keep it from asking more.

    Before it takes a table or another artifact, wandb 0.31 asks the service whether it knows one of that name and of
    another type, and before the first one who is asking. Both can take 20 seconds where no answer comes, in which
    nothing is written to the disk. Ours have names of their own, and who is asking is asked while the service answers.

    Args:
        run: A run that has just begun.
    """
    with suppress(AttributeError):
        run._assert_can_log_artifact = lambda artifact: None  # type: ignore[method-assign] # noqa: ARG005
    if not run.offline and not run.disabled:
        with suppress(AttributeError, CommError):
            run._public_api()


def has_account() -> bool:
    """Tell whether there is an account to ask W&B by, without a question at the terminal, as `wandb.Api` would ask.

    Returns:
        True also where it can't be told any more.
    """
    try:
        authenticate = attrgetter("sdk.lib.wbauth.authenticate_session")(wandb)
        host = wandb.setup().settings.base_url
        return authenticate(host=host, source="ee-lightning", prompt=False, update_session=False) is not None
    except (AttributeError, TypeError):
        return True


def process_of_service() -> Popen[bytes] | None:
    """Give W&B's own process, if this one started it; wandb 0.31 waits for its end without a limit, and can't kill it.

    Returns:
        None also where it can't be told any more; it then ends by itself in its own time.
    """
    try:
        process = attrgetter("_connection._proc._process")(wandb.setup())
    except AttributeError:
        return None
    return process if isinstance(process, Popen) else None
