"""What shows builds and pulls beside pytest's own output: a line that changes, or lines that stay.

pytest leaves its line unfinished while a test runs, and what is written then is captured as the test's output. So all
is written through a file of our own, and pytest's line is left as it stands.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from pytest_dockerkit._runtime.progress_text import ending_of, line_of, telling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_dockerkit._runtime.progress import State

#: How many things that go on at once are shown in lines of their own.
_MOST_LINES = 4

#: A terminal that has fewer columns shows nothing.
_NARROWEST = 20

#: How long lines that stay may be, in characters; there is no terminal's width to go by.
_PLAIN_WIDTH = 120

#: After what time a line that stays is followed by another, in seconds: for another step, and for the same one still.
_NEXT_STEP_S = 10.0
_SAME_STEP_S = 60.0

# Control sequences. Source: ECMA-48, and xterm's ctlseqs for the first three.
_SAVE, _RESTORE = "\x1b7", "\x1b8"
_DOWN = "\x1bD"  # like a line feed, which a terminal driver would make to a return as well
_UP = "\x1bM"
_ERASE_LINE, _ERASE_BELOW = "\x1b[K", "\x1b[J"


#: What moves the cursor elsewhere: all sequences but those for colours and for the window's title.
_MOVES = re.compile(r"\x1b(?!\[[\d;]*m|\])")

#: How long nothing must have been written after such a one, in seconds: whoever moves the cursor brings it back.
_QUIET_S = 0.1


class Output(NamedTuple):
    """Where pytest writes to.

    Attributes:
        reporter: pytest's terminal reporter.
        file: the same place, also while pytest captures.
        capture: how pytest captures: fd, sys, tee-sys or no.
        workers: whether the tests run in other processes.
    """

    reporter: Any
    file: TextIO
    capture: str
    workers: bool

    @property
    def writer(self) -> Any:
        """What the reporter writes with."""
        return self.reporter._tw  # noqa: SLF001  - plugins are told to write through the reporter, which is captured


class Live:
    """Lines below pytest's own, gone without a trace when all is done.

    The cursor is left where pytest has put it. Whenever pytest writes meanwhile, the lines make way for it.
    """

    def __init__(self, output: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._lock = threading.RLock()
        self._lines: list[str] = []
        self._drawn = False
        #: When somebody was last seen to write elsewhere.
        self._away: float | None = None
        #: The cursor's column as far as pytest knows it; None where others write as well.
        self._column: int | None = None
        #: What brings back the cursor's state after the end of a full line.
        self._at_the_edge = ""
        self._watched: list[tuple[Any, str, Any, _Watched]] = []
        self._closed = False

    def show(self, states: Sequence[State]) -> None:
        """Show these in place of those before."""
        with self._lock:
            if self._closed:
                return
            lines = self._fit(telling(states))
            if lines and not self._lines:
                self._watch()
            changed, self._lines = lines != self._lines, lines
            if not lines:
                self._erase()
                self._unwatch()
                self._away = None
            elif self._away is None:
                # Though nothing has changed where others may have written into it.
                if changed or self._column is None:
                    self._draw()
            elif self._clock() - self._away >= _QUIET_S:
                self._away = None
                self._draw()

    def close(self) -> None:
        """Show nothing more."""
        with self._lock:
            with contextlib.suppress(OSError, ValueError):
                self.show([])
            self._closed = True

    @contextmanager
    def aside(self, text: str = "") -> Iterator[None]:
        """Make way for a text that is written in the block."""
        with self._lock:
            with contextlib.suppress(OSError, ValueError):
                self._erase()
            try:
                yield
            finally:
                if self._away is not None or _MOVES.search(text):
                    self._away = self._clock()
                elif self._lines:
                    with contextlib.suppress(OSError, ValueError):
                        self._draw()

    def _fit(self, states: Sequence[State]) -> list[str]:
        width, height = self._size()
        if width < _NARROWEST:
            return []
        cut = "…" if _has("…", self._output.file.encoding) else "..."
        most = max(1, min(_MOST_LINES, height - 2))
        shown = states if len(states) <= most else states[: most - 1]
        # The last column stays free: some terminals would begin a new line there.
        lines = [line_of(state, width - 1, cut) for state in shown]
        if more := len(states) - len(shown):
            lines.append(f"and {more} more"[: width - 1])
        return lines

    def _erase(self) -> None:
        if self._drawn:
            self._drawn = False
            self._write(_ERASE_BELOW + self._at_the_edge)

    def _draw(self) -> None:
        if not self._drawn:
            self._look()
        self._drawn = True
        lines = [self._output.writer.markup(line, cyan=True) + _ERASE_LINE for line in self._lines]
        if self._column != 0:
            # pytest's line is not finished.
            lines.insert(0, "")
        room = len(lines) - 1
        # In the bottom row of the terminal there is no room below until all has moved up.
        text = _DOWN * room + _UP * room + _SAVE + "\r\n".join(lines) + _ERASE_BELOW + _RESTORE + self._at_the_edge
        # What others have written reaches into our lines.
        self._write(text if self._column is not None else _ERASE_BELOW + text)

    def _look(self) -> None:
        """See where pytest's line ends; the writer's counter is right only while nothing is written."""
        writer = self._output.writer
        counted = writer.width_of_current_line
        # Not where a test prints past pytest; and it is negative after a return.
        self._column = counted if self._output.capture != "no" and counted >= 0 else None
        width = self._size()[0]
        full = bool(self._column and width and self._column % width == 0)
        # After the last column a terminal waits for the next character with the new line: so it has to again.
        self._at_the_edge = f"\x1b[{width}G{writer._current_line[-1:]}" if full else ""  # noqa: SLF001

    def _watch(self) -> None:
        """Be asked by whatever writes to the terminal."""
        places: list[tuple[Any, str]] = [(self._output.writer, "_file")]
        if self._output.capture == "no":
            places += [(sys, "stdout"), (sys, "stderr")]
        for owner, name in places:
            file = getattr(owner, name)
            if owner is not sys or (file is not None and file.isatty()):
                watched = _Watched(file, self)
                self._watched.append((owner, name, file, watched))
                setattr(owner, name, watched)

    def _unwatch(self) -> None:
        for owner, name, file, watched in reversed(self._watched):
            # Somebody else may have put another in its place; ours lets everything pass.
            if getattr(owner, name) is watched:
                setattr(owner, name, file)
        self._watched = []

    def _size(self) -> tuple[int, int]:
        try:
            width, height = os.get_terminal_size(self._output.file.fileno())
        except (OSError, ValueError):
            width = height = 0
        return (width, height) if width and height else shutil.get_terminal_size()

    def _write(self, text: str) -> None:
        self._output.file.write(text)
        self._output.file.flush()


class _Watched:
    """A file of pytest's, before which the live lines make way."""

    def __init__(self, file: Any, live: Live) -> None:
        self._file = file
        self._live = live

    def write(self, text: str) -> int:
        with self._live.aside(text):
            count: int = self._file.write(text)
            self._file.flush()
            return count

    def flush(self) -> None:
        with self._live.aside():
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Plain:
    """Lines that stay, each on a line of its own, and not too many of them."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lock = threading.Lock()
        #: When a task was told of at last, and with which step.
        self._told: dict[str, tuple[float, str]] = {}
        self._broken = False
        self._closed = False

    def show(self, states: Sequence[State]) -> None:
        """Write what is worth a line."""
        with self._lock:
            if self._closed:
                return
            for state in telling(states):
                if self._is_due(state):
                    self._told[state.key] = (state.seconds, state.progress.step)
                    self._write(line_of(state, _PLAIN_WIDTH, "..."))
            for state in states:
                if state.ended and state.key in self._told:
                    del self._told[state.key]
                    if text := ending_of(state):
                        self._write(text)
            if all(state.ended for state in states):
                self._told.clear()
                self._mend()

    def close(self) -> None:
        """Write nothing more."""
        with self._lock:
            self._closed = True

    def _is_due(self, state: State) -> bool:
        if state.key not in self._told:
            return True
        when, step = self._told[state.key]
        return state.seconds - when >= (_SAME_STEP_S if state.progress.step == step else _NEXT_STEP_S)

    def _write(self, text: str) -> None:
        with self._past_the_capture() as writer:
            if writer.width_of_current_line:
                self._broken = True
                text = f"\n{text}"
            writer.write(f"{text}\n", flush=True)
        if self._output.workers:
            # So that it begins no line where one has just begun; the next may come before all is done here.
            self._output.reporter.currentfspath = None

    def _mend(self) -> None:
        """Begin the line anew that pytest believes to be in."""
        if not self._broken:
            return
        self._broken = False
        reporter = self._output.reporter
        place = reporter.currentfspath
        if isinstance(place, Path):
            place = f"{os.path.relpath(place, reporter.startpath)} "
        if isinstance(place, str):
            with self._past_the_capture() as writer:
                writer.write(place, flush=True)
        else:
            reporter.currentfspath = None

    @contextmanager
    def _past_the_capture(self) -> Iterator[Any]:
        writer = self._output.writer
        theirs = writer._file  # noqa: SLF001
        if self._output.capture != "fd":
            # What tests have printed comes first.
            theirs.flush()
        writer._file = self._output.file  # noqa: SLF001
        try:
            yield writer
        finally:
            writer._file = theirs  # noqa: SLF001


def _has(character: str, encoding: str | None) -> bool:
    try:
        character.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
