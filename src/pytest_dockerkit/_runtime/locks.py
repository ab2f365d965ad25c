"""One at a time: locks between all processes of a user on a machine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_dockerkit.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_dockerkit._runtime.settings import Settings

#: How long another process may build or pull one image, in seconds.
LOCK_TIMEOUT_S = 1800


@contextmanager
def image_lock(settings: Settings, name: str) -> Iterator[None]:
    """Hold the lock of one image while it is built or pulled.

    Raises:
        LockError: another process has held it for too long, or there can be no lock.
        DockerkitError: the directory for locks cannot be made.
    """
    # 6 ms, and not needed by a run whose images are all there.
    from filelock import FileLock, Timeout

    path = settings.directory("locks") / f"{name}.lock"
    # The file stays: unlinking a held lock splits those who wait across two files.
    lock = FileLock(path, timeout=LOCK_TIMEOUT_S)
    try:
        lock.acquire()
    except Timeout:
        raise LockError(
            f"another process has been making the image for {LOCK_TIMEOUT_S} s",
            saw=f"lock {path}",
            mend="find who holds it (`fuser` on the file), and end it",
        ) from None
    except (OSError, NotImplementedError) as failure:
        # The latter where a file system knows no locks.
        raise LockError(
            "the lock of an image cannot be taken",
            saw=f"lock {path}: {failure}",
            mend="name a directory in XDG_CACHE_HOME that can be written to, on a file system with locks",
        ) from None
    try:
        yield
    finally:
        lock.release()
