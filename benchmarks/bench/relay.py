"""A relay between pytest and the engine that forwards every byte and notes each request.

It is a socket of its own: whoever's DOCKER_HOST names it is seen, and nobody else.
"""

from __future__ import annotations

import contextlib
import re
import socket
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_VERSION = re.compile(r"^/v\d+\.\d+(?=/)")

#: How a BuildKit client asks for a build: the path `/moby.buildkit.v1.Control/Solve` in HPACK's Huffman code, as it
#: stands in the first request for it on a connection. Source: RFC 7541, appendix B; seen from buildx 0.29.1.
SOLVE = bytes.fromhex("6293c7e978ed3512753257ee15ef1ea4d87a18dc7a3b97")


@dataclass
class Request:
    """One request. Times are seconds of the system's monotonic clock, which all processes share."""

    verb: str
    path: str
    connection: int
    began: float
    ended: float | None = None
    status: int = 0

    @property
    def plain_path(self) -> str:
        """The path without the version of the API and without the query."""
        return _VERSION.sub("", self.path).partition("?")[0]

    def is_a(self, verb: str, path: str) -> bool:
        """Tell whether it is a request of this kind."""
        return self.verb == verb and self.plain_path == path


class _Messages:
    """Finds where HTTP messages begin and end in one direction of a connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0  # bytes of the body that are still to come
        self._chunked = False
        self.opaque = False  # until the connection ends, nothing more is understood

    def feed(self, data: bytes, heads: list[bytes], bodiless: deque[bool] | None = None) -> int:
        """Take bytes in: add the heads that are complete, and give how many messages have ended.

        `bodiless` says for each answer whether its request was a HEAD.
        """
        ended = 0
        self._buffer += data
        while not self.opaque and self._buffer:
            if self._left:
                taken = min(self._left, len(self._buffer))
                self._buffer, self._left = self._buffer[taken:], self._left - taken
                ended += not self._left and not self._chunked
            elif self._chunked:
                line, found, rest = self._buffer.partition(b"\r\n")
                if not found:
                    break
                size = int(line.split(b";")[0] or b"0", 16)
                if size == 0:
                    if len(rest) < 2:
                        break
                    self._buffer, self._chunked = rest[2:], False
                    ended += 1
                else:
                    self._buffer, self._left = rest, size + 2
            else:
                head, found, rest = self._buffer.partition(b"\r\n\r\n")
                if not found:
                    break
                self._buffer = rest
                ended += self._head(head, bodiless)
                heads.append(head)
        if self.opaque:
            self._buffer = b""
        return ended

    def _head(self, head: bytes, bodiless: deque[bool] | None) -> bool:
        """Read a head: whether its message has no body and so has ended."""
        lower = head.lower()
        if bodiless is not None:
            status = int(head.split(None, 2)[1])
            none = bodiless.popleft() if bodiless else False
            if status == 101 or b"\r\nupgrade:" in lower:
                self.opaque = True
                return False
            if none or status in (204, 304) or status < 200:
                return True
        elif b"\r\nupgrade:" in lower:
            # What follows a request for an upgrade is no longer HTTP.
            self.opaque = True
            return False
        if b"\r\ntransfer-encoding: chunked" in lower:
            self._chunked = True
            return False
        length = re.search(rb"\r\ncontent-length: *(\d+)", lower)
        if length is not None:
            self._left = int(length[1])
            return self._left == 0
        if bodiless is None:
            return True
        self.opaque = True  # the answer's body ends with the connection
        return False


class Relay:
    """A context manager: `host` is what DOCKER_HOST has to be, `requests` what was seen."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._directory = tempfile.TemporaryDirectory(prefix="bench-relay-")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lock = threading.Lock()
        self._connections = 0
        self.requests: list[Request] = []
        self.solves = 0

    @property
    def host(self) -> str:
        """The address of the relay."""
        return f"unix://{self._directory.name}/engine.sock"

    @property
    def builds(self) -> int:
        """How many builds were asked for, of the engine's builder or through BuildKit's own interface."""
        return self.solves + sum(each.is_a("POST", "/build") for each in self.requests)

    def __enter__(self) -> Relay:
        self._listener.bind(str(Path(self._directory.name, "engine.sock")))
        self._listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A thread in accept() wakes up only by this.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._directory.cleanup()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            engine.connect(self._engine)
            self._connections += 1
            Connection(self, self._connections, client, engine).start()


class Connection:
    """One connection: a thread for each direction."""

    def __init__(self, relay: Relay, number: int, client: socket.socket, engine: socket.socket) -> None:
        self._relay = relay
        self._number = number
        self._client = client
        self._engine = engine
        self._open: deque[Request] = deque()
        self._heads: deque[bool] = deque()

    def start(self) -> None:
        """Begin to forward."""
        for source, target, note in (
            (self._client, self._engine, self._asked()),
            (self._engine, self._client, self._answered()),
        ):
            threading.Thread(target=_forward, args=(source, target, note), daemon=True).start()

    def _asked(self) -> Callable[[bytes], None]:
        messages = _Messages()
        tail = b""

        def note(data: bytes) -> None:
            nonlocal tail
            if messages.opaque:
                # What stands across two reads is found, too, and nothing twice.
                self._relay.solves += (tail + data).count(SOLVE)
                tail = (tail + data)[-len(SOLVE) + 1 :]
            heads: list[bytes] = []
            messages.feed(data, heads)
            for head in heads:
                verb, path, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ", 2)
                request = Request(verb, path, self._number, time.monotonic())
                self._open.append(request)
                self._heads.append(verb == "HEAD")
                self._relay.requests.append(request)

        return note

    def _answered(self) -> Callable[[bytes], None]:
        messages = _Messages()

        def note(data: bytes) -> None:
            heads: list[bytes] = []
            ended = messages.feed(data, heads, self._heads)
            statuses = deque(int(head.split(None, 2)[1]) for head in heads)
            for request in self._open:
                if not request.status and statuses:
                    request.status = statuses.popleft()
            for _ in range(ended):
                if self._open:
                    self._open.popleft().ended = time.monotonic()
            if not data:
                while self._open:
                    self._open.popleft().ended = time.monotonic()

        return note


def _forward(source: socket.socket, target: socket.socket, note: Callable[[bytes], None]) -> None:
    while True:
        try:
            data = source.recv(1 << 16)
        except OSError:
            data = b""
        # What is not HTTP is forwarded like the rest.
        with contextlib.suppress(ValueError, IndexError):
            note(data)
        try:
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)
        except OSError:
            return
