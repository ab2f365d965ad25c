"""From the workers of a run to the one process that has a terminal.

A worker sends, in one datagram, all that it builds and pulls at that moment, and sends it again and again: one that
is lost is made good by the next, and a worker that was killed falls silent.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.base import Progress
from pytest_dockerkit._runtime.progress import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_dockerkit._runtime.progress import Screen

#: After how long without a word a worker is taken for gone, in seconds: ten times of what it keeps silent for.
_SILENT_S = 2.0

#: How long a worker waits to hand a datagram over, in seconds; it sends the next soon enough.
_PATIENCE_S = 0.1

#: How much of a text is sent, in characters; hardly a terminal is as wide.
_LONGEST = 200

#: The longest datagram that every system takes, in bytes. Source: macOS, net.local.dgram.maxdgram.
_LONGEST_BYTES = 2048


def can_relay() -> bool:
    """Tell whether this system has what it takes; Windows does not."""
    return hasattr(socket, "AF_UNIX")


class Sender:
    """The screen of a worker: its words go to the controller.

    Args:
        path: where the controller listens.
        process: this worker's name.
    """

    def __init__(self, path: str, process: str) -> None:
        self._path = path
        self._process = process
        self._socket: socket.socket | None = None

    def show(self, states: Sequence[State]) -> None:
        """Send what is going on.

        Raises:
            OSError: nobody listens any more.
        """
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(_PATIENCE_S)
            self._socket.connect(self._path)
        with contextlib.suppress(TimeoutError):
            self._socket.send(self._message([_short(state) for state in states]))

    def _message(self, states: list[list[Any]]) -> bytes:
        message = json.dumps([self._process, states], ensure_ascii=False).encode(errors="replace")
        # Those that began last are left out; a worker that does so many things at once is rare.
        return message if len(message) <= _LONGEST_BYTES else self._message(states[:-1])

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()


class Receiver:
    """Listens to the workers, in a thread that waits for them, and shows what they tell.

    Attributes:
        path: where they reach it.

    Raises:
        OSError: there is no place to listen at.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._heard: dict[str, tuple[float, list[State]]] = {}
        # In a directory of this user's alone, and with a short name: the path of a socket has at most 107 bytes, on
        # macOS 103. Source: unix(7); sys/un.h.
        self._directory = Path(tempfile.mkdtemp(prefix="dockerkit-"))
        self.path = str(self._directory / "progress")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.bind(self.path)
        except OSError:
            self._leave()
            raise
        self._thread = threading.Thread(target=self._listen, name="dockerkit-progress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Show what has been sent so far, and listen no more."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.settimeout(_SILENT_S)
            # Comes after all that was sent before.
            last.sendto(b"", self.path)
            self._thread.join(_SILENT_S)
        self._leave()

    def _leave(self) -> None:
        self._socket.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _listen(self) -> None:
        # Closed at its end, however it comes, so that no worker waits for one who does not listen. What ends it is a
        # terminal that is gone, or that the socket was closed; neither is a reason to fail.
        with contextlib.suppress(Exception), self._socket:
            while True:
                self._socket.settimeout(_SILENT_S if self._heard else None)
                try:
                    message = self._socket.recv(65536)
                except TimeoutError:
                    message = b"[]"
                if not message:
                    return
                self._hear(json.loads(message))

    def _hear(self, message: list[Any]) -> None:
        now = time.monotonic()
        if message:
            process, states = message
            self._heard[process] = (now, [_state(*fields) for fields in states])
        self._heard = {key: each for key, each in self._heard.items() if now - each[0] < _SILENT_S}
        # Shown when it is heard that nothing is going on any more as well.
        self._screen.show([state for _, states in self._heard.values() for state in states])
        for process, (when, states) in [*self._heard.items()]:
            if left := [state for state in states if not state.ended]:
                self._heard[process] = (when, left)
            else:
                del self._heard[process]


def _short(state: State) -> list[Any]:
    progress = state.progress._replace(step=state.progress.step[:_LONGEST])
    return [*state._replace(title=state.title[:_LONGEST], progress=progress)]


def _state(key: str, what: str, title: str, seconds: float, progress: list[Any], ended: str) -> State:
    return State(key, what, title, seconds, Progress(*progress), ended)
