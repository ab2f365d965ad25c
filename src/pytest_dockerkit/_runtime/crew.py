"""Threads that work beside the tests, and keep no process alive."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Crew:
    """A few threads that carry out what they are given, in the order in which it came.

    Those of the standard library are waited for when Python ends, so that a run that is broken off would wait for a
    pull that nobody wants any more.
    """

    def __init__(self, name: str, width: int) -> None:
        self._name = name
        self._width = width
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Let something be carried out as soon as a thread is free."""
        future: Future[T] = Future()
        with self._lock:
            self._jobs.put((future, job))
            if self._idle > 0:
                self._idle -= 1
            elif len(self._threads) < self._width:
                name = f"dockerkit-{self._name}-{len(self._threads) + 1}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def close(self) -> None:
        """Let the threads end once they have nothing left to do."""
        with self._lock:
            for _ in self._threads:
                self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            _carry_out(*job)
            # What the job held is not to be held until the next one comes.
            del job
            with self._lock:
                self._idle += 1


def _carry_out(future: Future[Any], job: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = job()
    except BaseException as failure:  # noqa: BLE001  - handed to whoever asks for the result
        future.set_exception(failure)
    else:
        future.set_result(result)
