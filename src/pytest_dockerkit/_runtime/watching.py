"""The watcher: a small process that waits for the end of a run's owner, and undoes what the run has left.

It is run as a script, and loads next to nothing as long as it waits: the system wakes it when the lock of the owner
is free. It shares nothing with the run but the run's directory; see `watcher` for the other end.
"""

from __future__ import annotations

import os
import sys

#: What is in the watcher's own lock once it has understood what it is to do.
READY = b"watching\n"


def main() -> None:
    """Wait, and undo.

    Arguments are where the package is, the run's directory, and the descriptor of the watcher's own lock. How the
    engine is reached is a line on the standard input; if there is none, nothing is done.
    """
    package, directory, lock = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # Nobody's child from the first moment on, so that no process is left to be waited for.
    if os.fork():
        os._exit(0)
    job = _read_line(0)
    if not job:
        return
    os.write(lock, READY)
    _let_go_of_streams()
    if wait_until_free(os.path.join(directory, "alive.lock")) and os.path.isdir(directory):  # noqa: PTH112, PTH118
        sys.path.append(package)
        from pytest_dockerkit._runtime.undoing import undo

        undo(directory, job)


def wait_until_free(path: str) -> bool:
    """Wait until nobody has a lock; nothing is done meanwhile.

    Args:
        path: the lock's file.

    Returns:
        whether it is free; False where there is no such file, or where that cannot be told.
    """
    import fcntl

    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _read_line(descriptor: int) -> bytes:
    """Read a line; empty where it is not whole."""
    read = b""
    while piece := os.read(descriptor, 65536):
        read += piece
        if read.endswith(b"\n"):
            return read
    return b""


def _let_go_of_streams() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nothing, stream)
    os.close(nothing)


if __name__ == "__main__":
    main()
