"""Running a command that builds: what it prints line by line, and its end whatever happens."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from pytest_dockerkit.errors import EngineError

#: How long a command that is to end may take to clear up before it is killed, in seconds.
PATIENCE_S = 3.0

_PIECE_BYTES = 64 * 1024


class Commands:
    """Those that run, in whichever thread."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    @contextmanager
    def running(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        stdin: IO[bytes] | int,
        open_files: Sequence[int] = (),
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command; at the end of the block it and all that it has started have ended.

        Args:
            argv: the command.
            environment: all of its variables.
            stdin: what it reads.
            open_files: the numbers of further open files that it inherits.

        Raises:
            EngineError: it cannot be started, or all were told to end.
        """
        self.refuse_after_the_end()
        try:
            child = subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                pass_fds=open_files,
                # A group of its own: it is ended with its children, and a Ctrl-C at the terminal reaches us alone.
                start_new_session=True,
            )
        except OSError as failure:
            raise EngineError(
                f"{argv[0]} cannot be started", saw=str(failure), mend="look whether it runs by hand"
            ) from None
        self._running.add(child)
        try:
            # Whoever ended all others meanwhile has not seen it.
            self.refuse_after_the_end()
            yield child
        finally:
            self._running.discard(child)
            _end(child)

    def end(self) -> None:
        """Let all of them end, and none begin: whoever waits for one hears that it was ended by a signal."""
        self._ended = True
        running = tuple(self._running)
        for child in running:
            _tell(child, "SIGTERM")
        until = time.monotonic() + PATIENCE_S
        for child in running:
            try:
                child.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                # Docker's own waits for the engine, which does not always let go of a build.
                _tell(child, "SIGKILL")

    def refuse_after_the_end(self) -> None:
        """Let nothing begin once all were told to end.

        Raises:
            EngineError: they were.
        """
        if self._ended:
            raise EngineError(
                "no build begins any more",
                saw="the run has closed its connections to the engine",
                mend="build before the run ends",
            )


def lines(child: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Give what it prints, line by line, until it and all that it has started have closed their output."""
    assert child.stdout is not None  # noqa: S101  - it is a pipe
    for line in child.stdout:
        yield line.rstrip(b"\n")


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdout is not None  # noqa: S101  - it is a pipe
    try:
        if not _has_ended(child, 0):
            _tell(child, "SIGTERM")
            if not _has_ended(child, PATIENCE_S):
                _tell(child, "SIGKILL")
    except BaseException:
        # Also one who presses Ctrl-C twice leaves nothing behind.
        _tell(child, "SIGKILL")
        raise
    finally:
        child.stdout.close()
        child.wait()


def _tell(child: subprocess.Popen[bytes], name: str) -> None:
    if hasattr(os, "killpg"):
        # Its number is taken as long as nobody has waited for it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, getattr(signal, name))
    else:
        child.kill()


def _has_ended(child: subprocess.Popen[bytes], within_s: float) -> bool:
    """Tell whether nobody holds the other end of its output any more: neither it nor what it has started."""
    assert child.stdout is not None  # noqa: S101  - it is a pipe
    if os.name != "posix":
        try:
            child.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True
    end = time.monotonic() + within_s
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while selector.select(max(end - time.monotonic(), 0)):
            if not os.read(child.stdout.fileno(), _PIECE_BYTES):
                return True
            if time.monotonic() > end:
                break
    return False
