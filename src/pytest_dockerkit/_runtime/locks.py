"""One at a time: locks between all processes of a user on a machine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

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
        LockError: another process has held it for too long.
    """
    path = settings.directory("locks") / f"{name}.lock"
    try:
        # The file stays: unlinking a held lock splits those who wait across two files.
        with FileLock(path, timeout=LOCK_TIMEOUT_S):
            yield
    except Timeout:
        raise LockError(
            f"another process has been making the image for {LOCK_TIMEOUT_S} s",
            saw=f"lock {path}",
            mend="find who holds it (`fuser` on the file), and end it",
        ) from None
