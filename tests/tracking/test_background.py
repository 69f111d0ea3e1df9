"""What is done in a thread of its own."""

from collections.abc import Callable
from threading import Event

from ee_lightning.tracking.logger import Background


def _raise(error: Exception) -> Callable[[], None]:
    def job() -> None:
        raise error

    return job


def test_jobs_are_done_in_order_and_the_end_waits_for_them() -> None:
    done: list[int] = []
    background = Background(on_failure=lambda error: done.append(-1))
    for number in range(3):
        background.do(lambda number=number: done.append(number))
    assert background.end(lambda: done.append(3), seconds=60)
    assert done == [0, 1, 2, 3]


def test_after_a_failure_only_the_last_job_is_done() -> None:
    done, error = [], OSError("no space left")
    background = Background(on_failure=done.append)
    background.do(_raise(error))
    background.do(lambda: done.append("next"))
    assert background.end(lambda: done.append("last"), seconds=60)
    assert done == [error, "last"]


def test_what_fails_after_the_end_was_waited_for_in_vain_is_not_told() -> None:
    failures: list[Exception] = []
    may_go_on, has_gone_on = Event(), Event()
    background = Background(on_failure=failures.append)
    background.do(may_go_on.wait)
    background.do(_raise(OSError()))
    assert not background.end(has_gone_on.set, seconds=0.01)
    may_go_on.set()
    assert has_gone_on.wait(60)
    assert not failures
