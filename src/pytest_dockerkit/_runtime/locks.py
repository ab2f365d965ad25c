"""One at a time: locks between all processes of a user on a machine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_dockerkit.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from filelock import BaseFileLock

    from pytest_dockerkit._runtime.settings import Settings

#: How long another process may build or pull one image, in seconds.
LOCK_TIMEOUT_S = 1800


def acquired(lock: BaseFileLock, whose: str, timeout_s: float = 0) -> bool:
    """Acquire a lock; tell whether that was possible in time.

    Args:
        lock: the lock.
        whose: what it is the lock of, for the error.
        timeout_s: how long to wait for who holds it, in seconds.

    Raises:
        LockError: there can be no lock.
    """
    # 6 ms, and not needed by a run whose images are all there.
    from filelock import Timeout

    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        return False
    except (OSError, NotImplementedError) as failure:
        # The latter where a file system knows no locks.
        raise LockError(
            f"the lock of {whose} cannot be taken",
            saw=f"lock {lock.lock_file}: {failure}",
            mend="name a directory in XDG_CACHE_HOME that can be written to, on a file system with locks",
        ) from None
    return True


@contextmanager
def image_lock(settings: Settings, name: str) -> Iterator[None]:
    """Hold the lock of one image while it is built or pulled.

    Raises:
        LockError: another process has held it for too long, or there can be no lock.
        DockerkitError: the directory for locks cannot be made.
    """
    from filelock import FileLock

    path = settings.directory("locks") / f"{name}.lock"
    # The file stays: unlinking a held lock splits those who wait across two files.
    lock = FileLock(path)
    if not acquired(lock, "an image", LOCK_TIMEOUT_S):
        raise LockError(
            f"another process has been making the image for {LOCK_TIMEOUT_S} s",
            saw=f"lock {path}",
            mend="find who holds it (`fuser` on the file), and end it",
        )
    try:
        yield
    finally:
        lock.release()
