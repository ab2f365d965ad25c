"""What a container's handle knows while it is waited for."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from pytest_dockerkit import probes
from pytest_dockerkit._poll import Bell, Look, until_ready
from pytest_dockerkit._runtime.health import AWAITED
from pytest_dockerkit._runtime.known import KnownContainer, by_alias
from pytest_dockerkit._runtime.log_watch import LogWatches, count_in
from pytest_dockerkit.errors import ContainerRemovedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

#: What it is when it runs no more.
ENDED = ("exited", "dead", "removing")


class AwaitedContainer(KnownContainer):
    """What probes ask of a container, and what is kept for them while it is waited for."""

    @property
    def time_left_s(self) -> float | None:
        """How long it is still waited for, in seconds; None if it is not."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    @property
    def looks_by_itself(self) -> bool:
        """Whether it is found out whether it is ready without any code of the user's."""
        return self.spec.wait is None or type(self.spec.wait).__module__ == probes.__name__

    def is_alive(self) -> bool:
        """Tell whether it is as it was when it was ready: running, or at its end where that was waited for."""
        try:
            return self.state()["Status"] == "running" or bool(getattr(self.spec.wait, "allows_exit", False))
        except ContainerRemovedError:
            return False

    def check_health(self) -> Look:
        """Look at its health once, sooner than Docker does.

        Raises:
            SpecError: it has no health check.
        """
        return self._watch.look(self.seen)

    @by_alias
    def count_in_log(self, pattern: str, times: int) -> int:
        """Say how often a pattern is in what it has printed since it was last started.

        The engine keeps the log over a restart. While it is waited for, the log is read as it comes; what is known
        is given at once.

        Args:
            pattern: a regular expression.
            times: how often is enough; beyond that nothing is counted.
        """
        if self.log_watches is None:
            return count_in(self._engine.containers.said(self.id, since_s=self._log_since), pattern)
        return self.log_watches.count(pattern, times, runs=self.seen["State"]["Status"] not in ENDED)

    def beside(self, do: Callable[[], T]) -> T:
        """Do what may take long; when the wait is to end, that goes on alone, to the container's removal at most."""
        go_on = self.go_on
        # There, an interruption ends it by itself.
        if go_on is None or threading.current_thread() is threading.main_thread():
            return do()
        bell, outcome = Bell(), Future[T]()

        def carry_out() -> None:
            try:
                outcome.set_result(do())
            except BaseException as failure:  # noqa: BLE001  - raised below, in the thread that waits
                outcome.set_exception(failure)
            bell.ring()

        def look() -> Look:
            go_on()
            return Look(outcome.done())

        threading.Thread(target=carry_out, name="pytest-dockerkit runs a command", daemon=True).start()
        until_ready(look, timeout_s=math.inf, sleep=bell.pause)
        return outcome.result()

    @contextmanager
    def being_awaited(self, timeout_s: float, bell: Bell, go_on: Callable[[], object] | None) -> Iterator[None]:
        """Keep what a wait needs, for the block.

        Args:
            timeout_s: how long the wait may take.
            bell: rung when there is something to see.
            go_on: what it raises ends the wait.
        """
        watches = LogWatches(self._engine.containers, self.id, self._log_since, bell.ring)
        # A probe of the user's own may wait as well.
        before = self.deadline, self.log_watches, self.go_on
        self.deadline, self.log_watches, self.go_on = time.monotonic() + timeout_s, watches, go_on
        try:
            with AWAITED.one_more():
                yield
        finally:
            self.deadline, self.log_watches, self.go_on = before
            watches.close()
