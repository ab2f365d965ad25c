"""A terminal that a program runs in, and the screen that a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from typing import TYPE_CHECKING

import pyte

from pytest_dockerkit._poll import Look, until_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

#: How long anything may take to be seen, in seconds; a machine that is busy with other tests is slow.
PATIENCE_S = 120.0


class Terminal:
    """A program in a terminal of its own.

    Args:
        argv: the program.
        cwd: where it runs.
        environ: its environment.
        columns: the terminal's width.
        lines: its height.
    """

    def __init__(
        self, argv: Sequence[str], *, cwd: Path, environ: Mapping[str, str], columns: int = 80, lines: int = 24
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=1000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            argv, cwd=cwd, env=dict(environ), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.raw = b""
        self._open = True
        #: What was on the screen since something was last looked for.
        self._seen: list[list[str]] = []

    @property
    def rows(self) -> list[str]:
        """What is on the screen, without the empty rows below."""
        return "\n".join(row.rstrip() for row in self.screen.display).rstrip("\n").split("\n")

    @property
    def text(self) -> str:
        """All that has been on the screen and is still to be seen, when one scrolls back."""
        above = ["".join(row[x].data for x in range(self.screen.columns)) for row in self.screen.history.top]
        return "\n".join([*(row.rstrip() for row in above), *self.rows])

    def sees(self, wanted: str | Callable[[list[str]], bool]) -> None:
        """Wait until a text is on the screen, or the screen is as wanted, if only for a moment."""
        is_there = wanted if callable(wanted) else lambda rows: any(wanted in row for row in rows)

        def look() -> Look:
            self.read()
            while self._seen:
                if is_there(self._seen.pop(0)):
                    return Look(ready=True)
            return Look(ready=not self._open, seen="the end")

        seen = until_ready(look, timeout_s=PATIENCE_S)
        assert seen == Look(ready=True), f"{wanted} is not on the screen:\n{self.text}"

    def ends(self) -> int:
        """Wait until the program ends, and give its exit code."""

        def look() -> Look:
            self.read()
            return Look(not self._open)

        until_ready(look, timeout_s=PATIENCE_S)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """End the program, if it runs, and close the terminal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._ours)

    def read(self) -> None:
        """Take in what was written."""
        while self._open and select.select([self._ours], [], [], 0)[0]:
            try:
                some = os.read(self._ours, 65536)
            except OSError:
                # The last program that had it open is gone.
                some = b""
            self._open = bool(some)
            self.raw += some
            # Looked at after each drawing, which ends with the cursor's return: a busy machine shows several at once.
            for piece in re.split(rb"(?<=\x1b8)", some):
                self._stream.feed(piece)
                self._seen.append(self.rows)
