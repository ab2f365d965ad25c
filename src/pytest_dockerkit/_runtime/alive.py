"""Being alive: what a run's processes hold as long as they live, and what others can tell by it.

A process holds a lock on a file in the run's directory. The system frees it however the process ends, so that nobody
has to look at process ids, which others get in turn. Whoever undoes the run blocks on it; see `watching`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_dockerkit._poll import Look, until_ready

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from filelock import FileLock

#: What the run's owner holds: the only process, or the controller of xdist's workers.
OWNER = "alive.lock"
#: What any other process of the run holds.
_OTHER = ".alive.lock"
#: What the run's watcher holds: as long as it has something to undo, nobody else need do so.
WATCHER = "watcher.alive.lock"

_HAS_FLOCK = fcntl is not None
#: How long others may look at a lock at the same time, in seconds. A look takes some millionths of one.
_LOOKS_S = 1.0

#: The descriptors of the locks that this process holds. A child of a fork has them as well, and would keep the locks
#: when this process is gone. It closes them; to unlock them would unlock them here.
_held: set[int] = set()


def _close_in_child() -> None:
    while _held:
        with suppress(OSError):
            os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


class Alive:
    """What one process of a run holds as long as it lives."""

    def __init__(self, directory: Callable[[], Path], process: str | None = None) -> None:
        """Begin; nothing is held yet.

        Args:
            directory: gives the run's directory, made if need be.
            process: the name of this process in the run; None for the run's owner.
        """
        self._directory = directory
        self._process = process
        self._lock: int | FileLock | None = None

    @property
    def is_owner(self) -> bool:
        """Whether it is the run's owner that holds it."""
        return self._process is None

    @property
    def is_held(self) -> bool:
        """Whether it is held; it cannot be on a file system without locks, nor by a child of a fork."""
        return self._lock is not None and (not isinstance(self._lock, int) or self._lock in _held)

    def hold(self) -> None:
        """Hold it from now on; twice is no more than once.

        Where a file system knows no locks it is not held: nobody can tell that this process lives, and nobody may
        take it for dead.
        """
        if not self.is_held:
            path = self._directory() / (OWNER if self._process is None else f"{self._process}{_OTHER}")
            self._lock = _awaited(path) if _HAS_FLOCK else _locked_by_filelock(path)

    def release(self) -> None:
        """Hold it no more: what is left of the run may go."""
        lock, self._lock = self._lock, None
        if isinstance(lock, int):
            let_go(lock)
        elif lock is not None:
            lock.release()


def _awaited(path: Path) -> int | None:
    found: list[int | None] = [None]

    def look() -> Look:
        try:
            found[0] = lock(path)
        except BlockingIOError:
            # Somebody looks at it.
            return Look(ready=False)
        except OSError:
            return Look(ready=True)
        return Look(ready=True)

    until_ready(look, timeout_s=_LOOKS_S, shortest_s=0.001)
    return found[0]


def lock(path: Path) -> int:
    """Lock a file for this process alone, without waiting; no child of a fork keeps the lock.

    Raises:
        BlockingIOError: another has it.
        OSError: there can be no lock.
    """
    made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(made, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(made)
        raise
    _held.add(made)
    return made


def let_go(held: int) -> None:
    """Close the file of a lock; a process that was given it has the lock still."""
    # In a child of a fork the number may be that of another file by now.
    if held in _held:
        _held.discard(held)
        os.close(held)


def _locked_by_filelock(path: Path) -> FileLock | None:
    from filelock import FileLock, Timeout

    made = FileLock(path, thread_local=False)
    try:
        made.acquire(timeout=_LOOKS_S)
    except (OSError, NotImplementedError, Timeout):
        return None
    return made


def is_alive(directory: Path) -> bool:
    """Tell whether any process of a run lives, or its watcher, which undoes it; never waits.

    Args:
        directory: the run's.

    Returns:
        whether one does. Where that cannot be told, as on a file system without locks, it does: what lives must not
        be taken for dead.
    """
    return any(is_locked(path) for path in directory.glob(f"*{OWNER}"))


def is_owner_gone(directory: Path) -> bool:
    """Tell whether the process that owns a run has ended; False where that cannot be told."""
    path = directory / OWNER
    return path.exists() and not is_locked(path)


def others_alive(directory: Path) -> list[Path]:
    """Give the locks of those that live among the processes of a run which do not own it; the watcher is not one."""
    return [path for path in directory.glob(f"*{_OTHER}") if path.name not in (OWNER, WATCHER) and is_locked(path)]


def is_locked(path: Path) -> bool:
    """Tell whether anybody has a lock; True where that cannot be told, False where there is no such file."""
    if not _HAS_FLOCK:
        return _is_locked_by_filelock(path)
    try:
        looked_at = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as failure:
        return not isinstance(failure, FileNotFoundError)
    try:
        # Shared: two that look do not take each other for an owner.
        fcntl.flock(looked_at, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(looked_at)
    return False


def _is_locked_by_filelock(path: Path) -> bool:
    from filelock import FileLock, Timeout

    looked_at = FileLock(path, thread_local=False)
    try:
        looked_at.acquire(timeout=0)
    except (OSError, NotImplementedError, Timeout):
        return True
    looked_at.release()
    return False
