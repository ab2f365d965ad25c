"""What stands before the real engine: may hold removals back, or refuse some of them."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_REFUSAL = b'{"message": "not now"}'


class EngineRelay:
    """A way to the engine that looks at each request's first line.

    Attributes:
        address: what the plugin is told.
        refusals: how many requests to remove are still to be refused.
        removals: the requests to remove that came, refused or not.
        open: cleared, it holds requests to remove back.
    """

    def __init__(self, engine: str, *, tcp: bool = False) -> None:
        """Begin.

        Args:
            engine: the path of the engine's socket.
            tcp: whether this listens on a port, and not on a socket of its own.
        """
        self._engine = engine
        self.refusals = 0
        self.removals: list[str] = []
        self.open = threading.Event()
        self.open.set()
        self._lock = threading.Lock()
        # The paths of sockets are short, and those of pytest's directories need not be.
        self._path = None if tcp else Path("/tmp") / f"{uuid.uuid4().hex[:12]}.sock"
        self._listening = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        self._listening.bind(("127.0.0.1", 0) if self._path is None else str(self._path))
        self._listening.listen()
        self.address = f"unix://{self._path}" if self._path else f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self.open.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for each in (self._listening, *self._sockets):
            each.close()
        if self._path is not None:
            self._path.unlink()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self._engine)
                self._sockets += [client, engine]
                for target in (self._ask, self._answer):
                    thread = threading.Thread(target=target, args=(client, engine))
                    self._threads.append(thread)
                    thread.start()

    def _ask(self, client: socket.socket, engine: socket.socket) -> None:
        with client.makefile("rb") as reader, contextlib.suppress(OSError):
            while head := _head(reader):
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                request = head + reader.read(int(length[1]) if length else 0)
                if head.startswith(b"DELETE ") and self._is_refused(head):
                    client.sendall(b"HTTP/1.1 500 No\r\nContent-Length: %d\r\n\r\n%s" % (len(_REFUSAL), _REFUSAL))
                else:
                    engine.sendall(request)
        _end(engine)

    def _is_refused(self, head: bytes) -> bool:
        with self._lock:
            self.removals.append(head.split(b" ")[1].decode())
            self.refusals -= 1
            refused = self.refusals >= 0
        self.open.wait()
        return refused

    @staticmethod
    def _answer(client: socket.socket, engine: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := engine.recv(65536):
                client.sendall(piece)
        _end(client)


def _head(reader: BinaryIO) -> bytes:
    lines = []
    while (line := reader.readline()).strip():
        lines.append(line)
    return b"".join([*lines, line]) if lines and line else b""


def _end(side: socket.socket) -> None:
    with contextlib.suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relayed(engine: str, *, tcp: bool = False) -> Iterator[EngineRelay]:
    """Stand before the engine for the block."""
    relay = EngineRelay(engine, tcp=tcp)
    try:
        yield relay
    finally:
        relay.close()
