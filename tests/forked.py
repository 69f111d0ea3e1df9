"""Commands in processes that can be interrupted and killed, forked from one that has imported what they need."""

import atexit
import multiprocessing
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "ee_lightning.cli.predict",
        "ee_lightning.cli.tables",
        "ee_lightning.fit.command",
        "ee_lightning.tracking.logger",
        "matplotlib.pyplot",
        "transformers.models.bert.modeling_bert",
        "pytest",
    ]
)


class Command(_CONTEXT.Process):  # type: ignore[name-defined, misc]
    """A command at work, in the folder and the environment of this process.

    Args:
        arguments: The command and its options.
        script: The Python file that runs; None stands for ``python -m ee_lightning``.
        before: Called in the new process, before the command.
        stdin: What it reads from.
        stdout: What it prints to; None stands for the file that it writes its errors to.
        folder: Where it works; None stands for the working folder.
        environment: Further variables.
    """

    def __init__(
        self,
        *arguments: object,
        script: Path | None = None,
        before: Callable[[], None] | None = None,
        stdin: str = os.devnull,
        stdout: str | None = None,
        folder: Path | None = None,
        **environment: str,
    ) -> None:
        super().__init__()
        self.arguments, self.script, self.before = [*map(str, arguments)], script, before
        self.folder, self.environment = folder or Path.cwd(), {**os.environ, **environment}
        self.log = self.folder / "printed.log"
        self.stdin, self.stdout = stdin, stdout or self.log
        self.log.unlink(missing_ok=True)
        self.start()

    def run(self) -> None:
        """Run the command as a Python of its own does, and end as that does."""
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environment)
        for stream, file in enumerate((self.stdin, self.stdout, self.log)):
            os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND), stream)
        sys.stdin = os.fdopen(0)
        sys.argv = ["ee-lightning", *self.arguments]
        sys.path.insert(0, str(self.folder))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        multiprocessing.set_start_method(None, force=True)  # not the one that began this process
        if self.before is not None:
            self.before()
        status: object = 0
        try:
            if self.script is None:
                runpy.run_module("ee_lightning", run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(str(self.script), run_name="__main__")
        except SystemExit as ended:
            status = ended.code
        except Exception:
            sys.excepthook(*sys.exc_info())
            status = 1
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.exit(status)

    @property
    def printed(self) -> str:
        """All that it printed until now."""
        return self.log.read_text()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.pid is not None
        os.kill(self.pid, number)

    def ends(self) -> int:
        """Wait until it has ended, many times as long as it should take, and return its status."""
        self.join(timeout=300)
        try:
            assert self.exitcode is not None, self.printed
            return self.exitcode
        finally:
            self.kill()
