"""Logs that are read as they come while a container is waited for, so that a look at one costs nothing."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from pytest_dockerkit._runtime.matches import Matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_dockerkit._engine.containers import Containers
    from pytest_dockerkit._engine.log_stream import LogStream

#: How many times longer than the last count nothing is counted, so that a chatty container takes a sixth of a core.
_REST = 5.0

#: How long the reader of a log that was hung up is waited for, in seconds; it needs well under a millisecond.
_JOIN_S = 5.0


class LogWatch:
    """Reads one log until a pattern was found often enough in it."""

    def __init__(
        self,
        containers: Containers,
        container_id: str,
        pattern: str,
        times: int,
        *,
        since_s: float | None,
        ring: Callable[[], object],
    ) -> None:
        """Nothing is read yet.

        Args:
            containers: the engine's.
            container_id: whose log.
            pattern: a regular expression.
            times: how often it is wanted.
            since_s: from this time on, in seconds since the epoch by the engine's clock.
            ring: called in a thread of its own when it was found often enough, and when the log first ends.
        """
        self._containers = containers
        self._id = container_id
        self._times = times
        self._since_s = since_s
        self._ring = ring
        self._matches = Matches(pattern)
        self._lock = threading.Lock()
        self._passed = 0
        self._count_at = 0.0
        self._stream: LogStream | None = None
        self._reader: threading.Thread | None = None
        #: Whether all was read that there will be.
        self._complete = False
        self._failure: BaseException | None = None
        self._has_rung = False
        self.satisfied = False

    def look(self, *, runs: bool) -> int:
        """Say how often the pattern was found until now.

        Args:
            runs: whether the container may still print.

        Raises:
            EngineError: the log cannot be read.
        """
        if not self.satisfied and (self._reader is None or not self._reader.is_alive()):
            self._go_on(runs=runs)
        with self._lock:
            return self._judge()

    def close(self) -> None:
        """Hang up."""
        if self._stream is not None:
            self._stream.hang_up()
        if self._reader is not None:
            self._reader.join(_JOIN_S)

    def _go_on(self, *, runs: bool) -> None:
        """Read what is there; then follow it, as long as there may come more."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if not runs and self._complete:
            return
        # Here, so that what was said before the first look counts in it. And the engine may hang up on who follows
        # before it has passed the last lines on; 20.10.24 often does, `docker logs -f` too.
        self._feed_from(self._containers.said(self._id, since_s=self._since_s))
        self._complete = not runs
        if runs and not self.satisfied:
            self._stream = self._containers.follow(self._id, since_s=self._since_s)
            self._reader = threading.Thread(
                target=self._read, args=(self._stream,), name="pytest-dockerkit reads a log", daemon=True
            )
            self._reader.start()

    def _read(self, stream: LogStream) -> None:
        try:
            self._feed_from(stream)
        except Exception as failure:  # noqa: BLE001  - told by the next look, in the thread that waits
            self._failure = failure
        # That it has ended mostly means that the container has; it is told once, whatever the engine does.
        if self.satisfied or not self._has_rung:
            self._has_rung = True
            self._ring()

    def _feed_from(self, stream: Iterable[bytes]) -> None:
        # What was read already comes again.
        for piece in after(stream, self._passed):
            if self._feed(piece):
                return

    def _feed(self, piece: bytes) -> bool:
        with self._lock:
            self._passed += len(piece)
            self._matches.feed(piece)
            now = time.monotonic()
            if now < self._count_at:
                return self.satisfied
            self._judge()
            self._count_at = now + _REST * (time.monotonic() - now)
            return self.satisfied

    def _judge(self) -> int:
        count = self._matches.count
        if count >= self._times:
            self.satisfied = True
            if self._stream is not None:
                self._stream.hang_up()
        return count


class LogWatches:
    """The logs that are read for one wait."""

    def __init__(
        self, containers: Containers, container_id: str, since_s: float | None, ring: Callable[[], object]
    ) -> None:
        self._containers = containers
        self._id = container_id
        self._since_s = since_s
        self._watches: dict[tuple[str, int], LogWatch] = {}
        self._ring = ring

    def count(self, pattern: str, times: int, *, runs: bool) -> int:
        """Say how often a pattern was found until now; from the first question on the log is read.

        Raises:
            EngineError: the log cannot be read.
        """
        watch = self._watches.get((pattern, times))
        if watch is None:
            watch = self._watches[pattern, times] = LogWatch(
                self._containers, self._id, pattern, times, since_s=self._since_s, ring=self._ring
            )
        return watch.look(runs=runs)

    def close(self) -> None:
        """Hang up."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()


def after(stream: Iterable[bytes], passed: int) -> Iterator[bytes]:
    """Leave out what has passed already, in bytes."""
    for piece in stream:
        new = piece[passed:]
        passed -= len(piece) - len(new)
        if new:
            yield new


def count_in(stream: Iterable[bytes], pattern: str) -> int:
    """Say how often a pattern is in a log that is read once."""
    matches = Matches(pattern)
    for piece in stream:
        matches.feed(piece)
    return matches.count
