"""What is being built or pulled at this moment, for whoever shows it."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pytest_dockerkit._engine.base import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from pytest_dockerkit._runtime.images import Image
    from pytest_dockerkit._runtime.session import Session

#: From when on something is shown, in seconds: what is done sooner needs no explanation.
SHOWN_AFTER_S = 2.0

#: How often it is looked at again, in seconds.
LOOKED_AT_EACH_S = 0.2

#: The note of a context that is large.
LARGE_CONTEXT = "large context"


class State(NamedTuple):
    """How far something has come.

    Attributes:
        key: tells it from all others of the run.
        what: what is done: "building", "pulling", "waiting for another process to build".
        title: with what.
        seconds: since when.
        progress: what is being done of it.
        ended: "done" or "failed"; empty while it goes on.
    """

    key: str
    what: str
    title: str
    seconds: float
    progress: Progress = Progress("")
    ended: str = ""

    @property
    def waits(self) -> bool:
        """Whether nothing is done but to wait for another process."""
        return self.what.startswith("waiting")


class Screen(Protocol):
    """Whatever shows it."""

    def show(self, states: Sequence[State]) -> None:
        """Show these in place of those before; one that has ended is given once."""

    def close(self) -> None:
        """Show nothing more."""


class Task:
    """Something that takes its time."""

    def __init__(self, key: str, what: str, title: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._took: float | None = None
        self._progress = Progress("")
        self._names = (key, what, title)
        self.shown = False

    @property
    def seconds(self) -> float:
        """How long it has taken, or took in all."""
        return self._clock() - self._began if self._took is None else self._took

    def tell(self, progress: Progress) -> None:
        """Take what has become of it; costs nothing, and may be called from any thread."""
        self._progress = progress

    def stop(self) -> None:
        """Let its time stand still."""
        self._took = self.seconds

    def state(self, ended: str = "") -> State:
        """Say how far it has come."""
        return State(*self._names, self.seconds, self._progress, ended)


class Tasks:
    """What one process builds and pulls.

    Nothing runs beside the tests until a task begins, nor after the last has ended.
    """

    def __init__(
        self,
        screen: Screen | None = None,
        process: str = "main",
        *,
        after_s: float = SHOWN_AFTER_S,
        each_s: float = LOOKED_AT_EACH_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._screen = screen
        self._process = process
        self._after_s = after_s
        self._each_s = each_s
        self._clock = clock
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._tasks: list[Task] = []
        self._thread: threading.Thread | None = None

    @contextmanager
    def task(self, what: str, title: str) -> Iterator[Task]:
        """Give a task, which is shown from when on it takes long until the end of the block.

        Args:
            what: what is done, such as "building"; what begins with "waiting" is left out where it can be seen for
                what is waited.
            title: with what, as people call it.
        """
        task = Task(f"{self._process}-{next(self._numbers)}", what, title, self._clock)
        self._begin(task)
        ended = "failed"
        try:
            yield task
            ended = "done"
        finally:
            task.stop()
            self._end(task, ended)

    def close(self) -> None:
        """Show nothing more."""
        with self._changed:
            self._screen = None
            self._changed.notify_all()

    def _begin(self, task: Task) -> None:
        if self._screen is None:
            return
        with self._changed:
            self._tasks.append(task)
            # One that a fork has left behind is not alive.
            if self._thread is None or not self._thread.is_alive():
                # It must not keep the process alive where a test's own thread never ends its build.
                self._thread = threading.Thread(target=self._watch, name="dockerkit-progress", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:
                    # No more threads are to be had.
                    self._screen = None

    def _end(self, task: Task, ended: str) -> None:
        with self._changed:
            if task not in self._tasks:
                return
            self._tasks.remove(task)
            if task.shown:
                # At once and not by the watcher: whoever has asked for it goes on to print.
                self._show(task.state(ended))
            self._changed.notify_all()

    def _watch(self) -> None:
        with self._changed:
            while self._tasks and self._screen is not None:
                self._show()
                self._changed.wait(min(map(self._pause_s, self._tasks)))
            self._thread = None

    def _pause_s(self, task: Task) -> float:
        return self._each_s if task.shown else max(0.0, self._after_s - task.seconds)

    def _show(self, *ended: State) -> None:
        for task in self._tasks:
            task.shown = task.shown or task.seconds >= self._after_s
        states = [task.state() for task in self._tasks if task.shown]
        if self._screen is None or not (states or ended):
            return
        try:
            self._screen.show([*states, *ended])
        except Exception:  # noqa: BLE001  - a terminal that is gone is no reason for a test to fail
            self._screen = None


def note_image(session: Session, what: str, image: Image, seconds: float | None = None) -> None:
    """Note what became of an image, with what is told of it at the end of the run.

    Args:
        session: whose run it is.
        what: "built", "pulled", "copied" or "cached"; "present" is one that was pulled before the run.
        image: the image.
        seconds: how long it took, where anything was done for it.
    """
    session.note(what, image.reference, title=image.title, seconds=seconds, bytes=image.size_bytes)


def note_context(session: Session, root: Path, members: Iterable[tuple[str, int]], ignore_file: str) -> None:
    """Note a context that is large; it is told once in a run.

    Args:
        session: whose run it is.
        root: the context directory.
        members: the path of each file that goes to the engine, and its size in bytes.
        ignore_file: the name of the file that keeps others out.
    """
    # 2 ms, and many runs build nothing.
    from pytest_dockerkit._engine.context_size import large_context

    large = large_context(members)
    if large is not None:
        session.note(LARGE_CONTEXT, str(root), told=large.told(root.name or str(root), ignore_file))
