"""The one place that waits. A probe looks once; only this module looks again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Look(NamedTuple):
    """What one look at a container has shown.

    Attributes:
        ready: whether it is as was hoped.
        seen: what was seen, for the error that is raised when it never becomes ready.
    """

    ready: bool
    seen: str = ""


#: Pauses grow up to this part of what was waited already: who waits a minute does not mind a tenth of a second.
_PART = 0.05


def until_ready(
    look: Callable[[], Look],
    *,
    timeout_s: float,
    shortest_s: float = 0.01,
    longest_s: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Look:
    """Look again and again, with growing pauses, until a look is ready or the time is over.

    What `look` raises ends the wait at once. The last look comes at or after the deadline, so that
    something that became ready in the last pause counts.

    Args:
        look: looks once.
        timeout_s: how long to go on.
        shortest_s: the first pause. The next are half longer each, up to twice that or a twentieth of what was waited
            already, whichever is more; and as long as the looks take, which is longer where the machine is busy.
        longest_s: the longest pause.
        clock: gives the time in seconds.
        sleep: waits for so many seconds, or ends sooner when there is something to see.
    """
    start = clock()
    deadline = start + timeout_s
    pause_s = shortest_s
    took_s = 0.0
    while True:
        now = clock()
        seen = look()
        if seen.ready or now >= deadline:
            return seen
        # One long look among short ones does not count: it has begun something.
        took_s, took_before_s = clock() - now, took_s
        wanted_s = max(pause_s, min(took_s, took_before_s))
        sleep(min(wanted_s, longest_s, max(0.0, deadline - clock())))
        pause_s = min(pause_s * 1.5, max(2 * shortest_s, _PART * (clock() - start)))


class Bell:
    """Ends a pause early, from any thread."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """End the pause that goes on, else the next one."""
        self._rung.set()

    def pause(self, seconds: float) -> None:
        """Do nothing for so long, or until someone rings."""
        self._rung.wait(seconds)
        self._rung.clear()


def pause(seconds: float) -> None:
    """Do nothing for so long."""
    time.sleep(seconds)


def retried(
    action: Callable[[], T],
    *,
    passes: Callable[[Exception], bool],
    tries: int,
    first_s: float = 1.0,
    sleep: Callable[[float], None] = pause,
) -> T:
    """Do something that may fail for a while; each pause is twice as long as the one before, and up to half more.

    Args:
        action: what is done.
        passes: tells of what it has raised whether that may be otherwise in a moment.
        tries: how often it is done at most.
        first_s: the first pause, in seconds.
        sleep: waits for so many seconds.

    Raises:
        Exception: what the last try has raised.
    """
    for number in range(tries - 1):
        try:
            return action()
        except Exception as failure:
            if not passes(failure):
                raise
        # It takes longer to load than many an action takes that succeeds at once.
        import random

        # A fleet of machines that were turned away at once must not come back at once.
        sleep(first_s * 2**number * random.uniform(1, 1.5))  # noqa: S311  - nothing is kept secret by it
    return action()
