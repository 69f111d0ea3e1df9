"""Does what may take long in a thread of its own."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Thread


class Background:
    """A thread that does one job after another, until one fails; it does not keep the process from ending.

    Args:
        on_failure: Called, in the thread, with the exception of a job that failed, after which only the last is done;
            no more when nobody waits for the end any longer.
    """

    def __init__(self, on_failure: Callable[[Exception], None]) -> None:
        self._on_failure = on_failure
        self._jobs: SimpleQueue[tuple[Callable[[], object], bool]] = SimpleQueue()
        self._has_ended = Event()
        self._is_given_up = False
        Thread(target=self._work, daemon=True).start()

    def do(self, job: Callable[[], object]) -> None:
        """Do something later, after all that was given before."""
        self._jobs.put((job, False))

    def end(self, last_job: Callable[[], object], seconds: float) -> bool:
        """Wait for a limited time until all is done, this last of all, and tell whether it came to that."""
        self._jobs.put((last_job, True))
        try:
            return self._has_ended.wait(seconds)
        finally:
            self._is_given_up = True

    def _work(self) -> None:
        has_failed = is_last = False
        while not is_last:
            job, is_last = self._jobs.get()
            if is_last or not has_failed:
                try:
                    job()
                except Exception as error:
                    has_failed = True
                    if not self._is_given_up:
                        self._on_failure(error)
        self._has_ended.set()
