"""The file of what room is taken, between the processes of a run, and which of these live.

A process lives as long as it holds the lock of a file of its own. No process ids are compared: other namespaces have
the same ones, and so have later processes.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pytest_dockerkit._runtime.room import Book
from pytest_dockerkit._units import show_seconds
from pytest_dockerkit.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from filelock import FileLock

#: When the file is written anew, in bytes: till then each change is a line after the others.
_LONG_BYTES = 64 * 1024

#: How long another may hold the file, in seconds: it is read and written under the lock, and nothing else is done.
LOCK_S = 60.0

#: How often a lock is tried that another has, in seconds: it is held for about a millisecond.
_TRIED_S = 0.005

_MEND = "name a directory in XDG_CACHE_HOME that can be written to, on a file system with locks"


class RoomFile:
    """The file, as one process sees it.

    Args:
        run: the run's directory; made if it is not there.
        process: what this process is called; no two that live are called alike.
    """

    def __init__(self, run: Path, process: str) -> None:
        self._directory = run / "room"
        self._path = self._directory / "taken.jsonl"
        self._process = process
        self._lock: FileLock | None = None
        self._alive: FileLock | None = None

    def is_there(self) -> bool:
        """Tell whether anybody has taken anything yet."""
        return self._path.exists()

    @contextlib.contextmanager
    def book(self) -> Iterator[Book]:
        """Hold the file: give what is in it, and write what has become of that, if the block ends well.

        Raises:
            LockError: it cannot be locked.
        """
        with self._locked():
            self._be_alive()
            said = self._path.read_bytes() if self._path.exists() else b""
            before = _last(said)
            book = Book.read(before) if before else Book()
            yield book
            after = book.written()
            if after != before:
                self._write(json.dumps(after).encode(), said)

    def lives(self, process: str) -> bool:
        """Tell whether a process lives; within the block of `book`."""
        from filelock import FileLock, Timeout

        path = self._alive_path(process)
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                return False
        except Timeout:
            return True

    def close(self) -> None:
        """Count as dead from now on."""
        if self._alive is not None:
            self._alive.release()
            self._alive = None

    def _write(self, line: bytes, said: bytes) -> None:
        if len(said) > _LONG_BYTES:
            # In one step: whoever dies meanwhile leaves the old one.
            new = self._path.with_suffix(".new")
            new.write_bytes(line + b"\n")
            new.replace(self._path)
            return
        # Added, since replacing a file takes longer than all else here: a millisecond and more, on ext4. Whoever died
        # while it was writing has left half a line.
        start = b"" if not said or said.endswith(b"\n") else b"\n"
        with self._path.open("ab", buffering=0) as file:
            file.write(start + line + b"\n")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        path = self._directory / "taken.lock"
        try:
            if self._lock is None:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                # The file stays: unlinking a held lock splits those who wait across two files.
                self._lock = FileLock(path, timeout=LOCK_S)
            lock = self._lock
            lock.acquire(poll_interval=_TRIED_S)
        except Timeout:
            raise LockError(
                f"another process has held the list of containers for {show_seconds(LOCK_S)}",
                saw=f"lock {path}",
                mend="find who holds it (`fuser` on the file), and end it",
            ) from None
        except (OSError, NotImplementedError) as failure:
            # The latter where a file system knows no locks.
            raise LockError(
                "the list of containers cannot be locked", saw=f"lock {path}: {failure}", mend=_MEND
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _be_alive(self) -> None:
        """Hold the lock of this process's own file from now on. Others try it with the list's lock alone."""
        from filelock import FileLock, Timeout

        if self._alive is not None:
            return
        # Whichever thread comes first: it is the process's.
        alive = FileLock(self._alive_path(self._process), timeout=0, thread_local=False)
        try:
            alive.acquire()
        except Timeout:
            raise LockError(
                f"two processes of a run are called {self._process!r}",
                saw=f"lock {alive.lock_file}",
                mend="end the one that is left over",
            ) from None
        self._alive = alive

    def _alive_path(self, process: str) -> Path:
        return self._directory / f"{quote(process, safe='')}.alive"


def _last(said: bytes) -> dict[str, Any]:
    """Give what the last line says that was written to its end; of nothing, nothing."""
    *lines, _ = said.split(b"\n")
    for each in reversed(lines):
        with contextlib.suppress(ValueError):
            found: dict[str, Any] = json.loads(each)
            return found
    return {}
