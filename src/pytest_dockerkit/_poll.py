"""The one place that waits. A probe looks once; only this module looks again."""

from __future__ import annotations

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


def until_ready(
    look: Callable[[], Look],
    *,
    timeout_s: float,
    shortest_s: float = 0.01,
    longest_s: float = 0.05,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Look:
    """Look again and again, with growing pauses, until a look is ready or the time is over.

    What `look` raises ends the wait at once. The last look comes at or after the deadline, so that
    something that became ready in the last pause counts.
    """
    deadline = clock() + timeout_s
    pause_s = shortest_s
    while True:
        now = clock()
        seen = look()
        if seen.ready or now >= deadline:
            return seen
        sleep(min(pause_s, max(0.0, deadline - clock())))
        pause_s = min(pause_s * 1.5, longest_s)


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
    # It takes longer to load than all the rest, and few wait like this.
    import random

    for number in range(tries - 1):
        try:
            return action()
        except Exception as failure:
            if not passes(failure):
                raise
        # A fleet of machines that were turned away at once must not come back at once.
        sleep(first_s * 2**number * random.uniform(1, 1.5))  # noqa: S311  - nothing is kept secret by it
    return action()
