"""The one place that waits. A probe looks once; only this module looks again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


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
