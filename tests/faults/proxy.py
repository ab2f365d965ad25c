"""What stands before the real engine, and fails calls as engines, networks and proxies do."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Union

from pytest_dockerkit._poll import pause

#: How the engine's answer comes to grief. `late`: a moment later; `silent`: not at all, on a connection that stays
#: open; `cut`: with its first half alone; `dropped`: the call never reaches the engine; `done and dropped`: it does,
#: and its answer is lost. A number is a refusal with that status, and the engine is not asked.
Fault = Union[str, int, "Refusal"]
FAULTS: tuple[Fault, ...] = ("dropped", 409, 500, 503, "silent", "cut", "done and dropped", "late")
#: Those where the engine does what it was asked for.
DONE = ("silent", "cut", "done and dropped", "late")

#: How late a late answer is, in seconds.
_LATE_S = 0.05


class Refusal(NamedTuple):
    """A refusal in an engine's own words.

    Attributes:
        status: its HTTP status.
        said: the words.
        done: whether the engine does all the same what it was asked for.
    """

    status: int
    said: str
    done: bool = False


@dataclass
class Rule:
    """Which calls meet a fault.

    Attributes:
        call: a regular expression of the method, the path without the API's version, and what is sent: `POST
            /containers/create`, `POST /networks/create .*"Subnet"`.
        fault: which.
        times: how many of them; None is all.
        skip: how many are let through before.
    """

    call: str
    fault: Fault
    times: int | None = 1
    skip: int = 0
    met: int = 0

    def meets(self, call: str) -> bool:
        """Tell whether a call meets the fault, and count it."""
        if not re.match(self.call, call):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.met += 1
        return self.times is None or self.met <= self.times


class FaultyEngine:
    """A way to the engine on which calls fail as they are told.

    Attributes:
        calls: all that came, by method and path.
    """

    def __init__(self, engine: str, *, tcp: bool = False) -> None:
        """Begin.

        Args:
            engine: the path of the engine's socket.
            tcp: whether this listens on a port, so that the plugin speaks to it by docker-py.
        """
        self._engine = engine
        # The paths of sockets are short, and those of pytest's directories need not be.
        self._path = None if tcp else Path("/tmp") / f"{uuid.uuid4().hex[:12]}.sock"
        self._port = 0
        self.calls: list[str] = []
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._listening: socket.socket | None = None
        self.come()

    @property
    def address(self) -> str:
        """What the plugin is told."""
        return f"tcp://127.0.0.1:{self._port}" if self._path is None else f"unix://{self._path}"

    def fail(self, call: str, fault: Fault, *, times: int | None = 1, skip: int = 0) -> Rule:
        """Let calls meet a fault from now on; see `Rule`."""
        rule = Rule(call, fault, times, skip)
        self._rules.append(rule)
        return rule

    def lift(self) -> None:
        """Let all calls pass again."""
        self._rules.clear()

    def come(self) -> None:
        """Listen, as an engine that was started."""
        self._listening = socket.socket(socket.AF_INET if self._path is None else socket.AF_UNIX)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind(("127.0.0.1", self._port) if self._path is None else str(self._path))
        self._listening.listen(64)
        if self._path is None:
            self._port = self._listening.getsockname()[1]
        self._begin(self._accept, self._listening)

    def go(self) -> None:
        """Hang up on everybody, and listen no more, as an engine that was stopped."""
        listening, self._listening = self._listening, None
        if listening is not None:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
            if self._path is not None:
                self._path.unlink()
        with self._lock:
            still = [*self._open]
        for each in still:
            _hang_up(each)

    def close(self) -> None:
        """Go, and wait for all threads."""
        self.go()
        while self._threads:
            self._threads.pop().join()

    def _begin(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                self._begin(self._serve, client)

    def _fault(self, call: str, body: bytes) -> Fault | None:
        said = f"{call} {body.decode(errors='replace')}" if body.startswith(b"{") else call
        with self._lock:
            self.calls.append(call)
            return next((rule.fault for rule in self._rules if rule.meets(said)), None)

    @contextlib.contextmanager
    def _known(self, connection: socket.socket) -> Iterator[BinaryIO]:
        """Keep a connection among those that `go` ends, and close it after the block."""
        with self._lock:
            self._open.add(connection)
        with connection, connection.makefile("rb") as reader:
            try:
                yield reader
            finally:
                with self._lock:
                    self._open.discard(connection)

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, _EndedError), self._known(client) as reader:
            while request := _request(reader):
                method, target, sent = request
                fault = self._fault(f"{method} {re.sub(r'^/v[0-9.]+', '', target)}", sent.partition(b"\r\n\r\n")[2])
                if fault == "dropped":
                    return
                if isinstance(fault, int):
                    fault = Refusal(fault, f"the proxy says {fault}")
                if isinstance(fault, Refusal) and not fault.done:
                    client.sendall(_refusal(fault, method))
                else:
                    self._pass_on(client, reader, method, sent, fault)

    def _pass_on(
        self, client: socket.socket, reader: BinaryIO, method: str, sent: bytes, fault: Fault | None
    ) -> None:
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(self._engine)
        with self._known(engine) as answer:
            engine.sendall(sent)
            head, pieces, is_upgraded = _answer(answer, method)
            if isinstance(fault, Refusal):
                for _ in pieces:
                    pass
                client.sendall(_refusal(fault, method))
                return
            if fault == "late":
                pause(_LATE_S)
            elif fault == "silent":
                # Until the other end has had enough of it.
                reader.read(1)
                raise _EndedError
            elif fault == "done and dropped":
                # Of what both talk on as they like, the end may never come.
                _ = None if is_upgraded else [*pieces]
                raise _EndedError
            elif fault == "cut":
                client.sendall(_half(head, pieces))
                raise _EndedError
            client.sendall(head)
            if is_upgraded:
                self._begin(_pump, reader, engine)
            for piece in pieces:
                client.sendall(piece)
            if is_upgraded:
                # What pumps reads from it, and would not let go of the reader.
                _hang_up(client)
                raise _EndedError


class _EndedError(Exception):
    """The connection is not used any more."""


def _request(reader: BinaryIO) -> tuple[str, str, bytes] | None:
    """Read a request: its method, its target, and all of it; None at the end of the connection."""
    head = _head(reader)
    if not head:
        return None
    method, target, _ = head.split(b" ", 2)
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return method.decode(), target.decode(), head + reader.read(int(length[1]) if length else 0)


def _head(reader: BinaryIO) -> bytes:
    lines = []
    while (line := reader.readline()).strip():
        lines.append(line)
    return b"".join([*lines, line])


def _answer(reader: BinaryIO, method: str) -> tuple[bytes, Iterable[bytes], bool]:
    """Read the head of an answer; give it, what follows as it comes, and whether that has no end of its own."""
    head = _head(reader)
    if not head:
        raise _EndedError
    status = int(head.split(b" ")[1])
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if method == "HEAD" or status in (204, 304):
        return head, [], False
    if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        return head, _chunks(reader), False
    if length and status != 101:
        return head, [reader.read(int(length[1]))], False
    return head, iter(lambda: reader.read1(65536), b""), True  # type: ignore[attr-defined]


def _chunks(reader: BinaryIO) -> Iterator[bytes]:
    while line := reader.readline():
        length = int(line, 16)
        yield line + reader.read(length + 2)
        if not length:
            return


def _half(head: bytes, pieces: Iterable[bytes]) -> bytes:
    """Give the head with half of what follows; half of the head where nothing does."""
    first = next(iter(pieces), b"")
    return head + first[: len(first) // 2] if len(first) > 1 else head[: len(head) // 2]


def _pump(reader: BinaryIO, engine: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while piece := reader.read1(65536):  # type: ignore[attr-defined]
            engine.sendall(piece)
        engine.shutdown(socket.SHUT_WR)


def _refusal(fault: Refusal, method: str) -> bytes:
    said = json.dumps({"message": fault.said}).encode()
    head = f"HTTP/1.1 {fault.status} No\r\nContent-Type: application/json\r\nContent-Length: {len(said)}\r\n\r\n"
    return head.encode() + (b"" if method == "HEAD" else said)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
