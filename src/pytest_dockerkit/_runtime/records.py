"""What is made once in a run, whichever of its processes asks first: a record and a lock for each such thing."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import BaseFileLock, FileLock

from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime.locks import LOCK_TIMEOUT_S, acquired
from pytest_dockerkit._units import show_seconds
from pytest_dockerkit.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

T = TypeVar("T")

#: How long the pauses are between two looks at what another process makes, in seconds. A look costs two system calls.
_PAUSE_S = 0.02

#: What the locks are those of, in errors.
_WHOSE = "what the workers share"

Record = dict[str, Any]


class Records:
    """The records of one run, in a directory that its processes share.

    Args:
        directory: gives it, made if need be.
    """

    def __init__(self, directory: Callable[[], Path]) -> None:
        self._directory = directory

    def once(
        self,
        key: str,
        *,
        adopt: Callable[[Record], T | None],
        make: Callable[[], T],
        go_on: Callable[[], object] = lambda: None,
        waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> T:
        """Give what is made once: what another process has made, or what is made now.

        A process that dies while it makes it frees the lock, and the next one makes it.

        Args:
            key: what it is known by in every process.
            adopt: gives it by what is recorded of it; None if it is not there any more.
            make: makes it, and records it.
            go_on: called before each look; what it raises ends the wait.
            waiting: entered while another process is waited for.

        Raises:
            LockError: another process has been making it for half an hour.
        """
        #: Of what is not there any more.
        stale: list[Record | None] = [None]

        def is_missing() -> bool:
            return self.read(key) in stale

        while True:
            if (record := self.read(key)) is not None and record not in stale:
                if (found := adopt(record)) is not None:
                    return found
                stale.append(record)
            with self._lock(key, is_missing, go_on, waiting) as held:
                # Whoever held the lock may have made it while we waited.
                if held and is_missing():
                    return make()

    @contextmanager
    def lock(
        self,
        key: str,
        go_on: Callable[[], object] = lambda: None,
        waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Iterator[None]:
        """Hold the lock of a key for the block.

        Args:
            key: which.
            go_on: called before each look; what it raises ends the wait.
            waiting: entered while another process has it.

        Raises:
            LockError: another process has held it for half an hour, or there can be no lock.
        """
        with self._lock(key, lambda: True, go_on, waiting):
            yield

    @contextmanager
    def lock_if_free(self, key: str) -> Iterator[bool]:
        """Hold the lock of a key for the block, if nobody has it: gives whether it is held.

        Raises:
            LockError: there can be no lock.
        """
        lock = FileLock(self._path(key, "lock"))
        free = acquired(lock, _WHOSE)
        try:
            yield free
        finally:
            lock.release()

    @contextmanager
    def _lock(
        self,
        key: str,
        is_wanted: Callable[[], bool],
        go_on: Callable[[], object],
        waiting: Callable[[], AbstractContextManager[object]],
    ) -> Iterator[bool]:
        """Hold the lock of a key for the block, or none if it is not wanted any more: gives whether it is held."""
        # The file stays: unlinking a held lock splits those who wait across two files.
        lock = FileLock(self._path(key, "lock"))

        def look() -> Look:
            go_on()
            return Look(ready=acquired(lock, _WHOSE) or not is_wanted())

        if not look().ready:
            with waiting():
                self._await(look, lock)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    @staticmethod
    def _await(look: Callable[[], Look], lock: BaseFileLock) -> None:
        if not until_ready(look, timeout_s=LOCK_TIMEOUT_S, longest_s=_PAUSE_S).ready:
            raise LockError(
                f"another worker has been making what is shared for {show_seconds(LOCK_TIMEOUT_S)}",
                saw=f"lock {lock.lock_file}",
                mend="find who holds it (`fuser` on the file), and end it",
            )

    def read(self, key: str) -> Record | None:
        """Give what is recorded; None if nothing is."""
        try:
            record: Record = json.loads(self._path(key, "json").read_bytes())
        except (FileNotFoundError, ValueError):
            # The latter as a crash of the machine leaves it.
            return None
        return record

    def write(self, key: str, record: Record) -> None:
        """Record something, in place of what was: others read the one or the other, and no mixture."""
        path = self._path(key, f"{os.getpid()}-{secrets.token_hex(4)}")
        path.write_text(json.dumps(record), encoding="utf-8")
        path.replace(self._path(key, "json"))

    def all(self) -> Iterator[Record]:
        """Give all that is recorded."""
        yield from (record for _, record in self.items())

    def items(self) -> Iterator[tuple[str, Record]]:
        """Give all that is recorded, with its keys."""
        for path in self._directory().glob("*.json"):
            if (record := self.read(path.stem)) is not None:
                yield path.stem, record

    def delete(self, key: str) -> None:
        """Forget what is recorded."""
        self._path(key, "json").unlink(missing_ok=True)

    def mark(self, name: str, text: str = "") -> None:
        """Mark a name for all processes, with a text: others read all of it or nothing."""
        if not text:
            self._path(name, "mark").touch()
            return
        path = self._path(name, f"{os.getpid()}-{secrets.token_hex(4)}")
        path.write_text(text, encoding="utf-8")
        path.replace(self._path(name, "mark"))

    def unmark(self, name: str) -> None:
        """Take a mark away."""
        self._path(name, "mark").unlink(missing_ok=True)

    def marked(self, name: str) -> str:
        """Give the text that a name was marked with; empty if it was not."""
        try:
            return self._path(name, "mark").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def is_marked(self, name: str) -> bool:
        """Tell whether any process has marked a name."""
        return self._path(name, "mark").exists()

    def _path(self, key: str, suffix: str) -> Path:
        return self._directory() / f"{key}.{suffix}"
