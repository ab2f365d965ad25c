"""A light way to the engine: one request, one answer, over connections that stay open."""

from __future__ import annotations

import json
import os
import socket
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import quote, urlencode

from pytest_dockerkit._engine.answers import Answer, read_answer

if TYPE_CHECKING:
    from io import BufferedReader

#: How long one call may be silent, in seconds; a pull or a build streams, so that this bounds its pauses.
CALL_TIMEOUT_S = 120

Query = Mapping[str, str | int | None]


class SilenceError(Exception):
    """The engine has not answered in time."""


class AnswerError(Exception):
    """The engine's answer is a refusal.

    Attributes:
        status: its HTTP status.
        said: the engine's own words.
    """

    def __init__(self, status: int | None, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


class Wire(Protocol):
    """Makes calls whose answer is read to its end.

    Attributes:
        prefix: what stands before every path: the version of the API that is spoken, such as "/v1.41".
    """

    prefix: str

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Answer:
        """Ask, and give the answer, whatever it is; see `ask`.

        Raises:
            ConnectionError: the engine does not answer, or hangs up.
            SilenceError: it is silent for longer than `timeout_s` seconds.
        """

    def close(self) -> None:
        """Hang up."""


def path_of(kind: str, name: str, *verb: str) -> str:
    """Write the path of one thing: `/containers/web/start`."""
    # As docker-py does it; the names of images have both.
    return "/".join(("", kind, quote(name, safe="/:"), *verb))


def ask(
    wire: Wire,
    method: str,
    path: str,
    *,
    query: Query | None = None,
    body: Any = None,
    timeout_s: float = CALL_TIMEOUT_S,
) -> Any:
    """Ask, and give what the engine answers; None if it has no more to say than that it is done.

    Args:
        wire: the way to it.
        method: GET, POST, DELETE.
        path: without the version of the API.
        query: what follows the path; what is None is left out.
        body: what is sent: bytes as an archive, all else as JSON, None not at all.
        timeout_s: how long it may be silent, in seconds.

    Raises:
        AnswerError: it refuses.
        ConnectionError: it does not answer, or hangs up.
        SilenceError: it is silent for too long.
    """
    answer = wire.call(method, path, query=query, body=body, timeout_s=timeout_s)
    # 304 is "started already", "stopped already".
    if not (200 <= answer.status < 300 or answer.status == 304):
        raise AnswerError(answer.status, answer.message)
    return answer.json


class Request(NamedTuple):
    """A call as it is sent."""

    target: str
    headers: Mapping[str, str]
    body: bytes | None


def written(prefix: str, path: str, query: Query | None, body: Any, headers: Mapping[str, str]) -> Request:
    """Write a call."""
    pairs = {key: value for key, value in (query or {}).items() if value is not None}
    target = f"{prefix}{path}?{urlencode(pairs)}" if pairs else f"{prefix}{path}"
    if body is None:
        return Request(target, headers, None)
    if isinstance(body, bytes):
        return Request(target, {**headers, "Content-Type": "application/x-tar"}, body)
    return Request(target, {**headers, "Content-Type": "application/json"}, json.dumps(body).encode())


def head_of(method: str, request: Request) -> bytes:
    """Write what is sent before the body of a request."""
    lines = [
        f"{method} {request.target} HTTP/1.1",
        *(f"{key}: {value}" for key, value in request.headers.items()),
    ]
    if request.body is not None or method not in ("GET", "HEAD"):
        lines.append(f"Content-Length: {len(request.body or b'')}")
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1")


class SocketWire:
    """A local socket, spoken to without docker-py.

    Any thread may call. Each call has a connection for itself, and the next one takes it again. One that the engine
    has closed meanwhile is seen before it is used, so that an engine may be restarted between two calls; and nothing
    but a question is ever sent twice.
    """

    def __init__(self, path: str, headers: Mapping[str, str] | None = None, prefix: str = "") -> None:
        """Nothing is connected yet.

        Args:
            path: the socket's.
            headers: what goes with every request.
            prefix: what stands before every path.
        """
        self.prefix = prefix
        self._path = path
        self._headers = {"Host": "localhost", "User-Agent": "pytest-dockerkit", **(headers or {})}
        #: The last one that was used is taken first: those that were needed only once stay at the other end. Both of
        #: its ends are safe for threads without a lock, which a fork could leave held.
        self._idle: deque[_Connection] = deque()
        self._process = os.getpid()
        weakref.finalize(self, _close_all, self._idle)

    @property
    def directions(self) -> dict[str, Any]:
        """What another wire to the same engine is made from, as JSON has it; the headers may have secrets."""
        return {"path": self._path, "headers": self._headers, "prefix": self.prefix}

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Answer:
        """Ask, and give the answer, whatever it is."""
        request = written(self.prefix, path, query, body, self._headers)
        try:
            if (connection := self._taken()) is not None:
                try:
                    return self._answer(connection, method, request, timeout_s)
                except ConnectionError:
                    # Closed between the look and the question; what changes something may have been done.
                    if method not in ("GET", "HEAD"):
                        raise
            return self._answer(_Connection(self._path, timeout_s), method, request, timeout_s)
        except TimeoutError:
            raise SilenceError(f"no answer for {timeout_s:g} s") from None
        except ConnectionError:
            raise
        except OSError as failure:
            # Such as a socket that is not there any more.
            raise ConnectionError(str(failure)) from failure

    def ask_without_end(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[socket.socket, BufferedReader]:
        """Ask for what is read as it comes: give the connection, which is the caller's, and what reads it.

        Raises:
            ConnectionError: the engine does not answer.
        """
        request = written(self.prefix, path, query, body, {**self._headers, **(headers or {})})
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self._path)
            connection.sendall(head_of(method, request) + (request.body or b""))
        except BaseException as failure:
            connection.close()
            if isinstance(failure, OSError) and not isinstance(failure, ConnectionError):
                raise ConnectionError(str(failure)) from failure
            raise
        return connection, connection.makefile("rb")

    def _answer(self, connection: _Connection, method: str, request: Request, timeout_s: float) -> Answer:
        answer = connection.answer_to(method, request, timeout_s)
        if answer.keeps:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Hang up."""
        _close_all(self._idle)

    def _taken(self) -> _Connection | None:
        """Take an idle connection that still stands."""
        if self._process != os.getpid():
            # Those of the process that this one was forked from: both would read each other's answers.
            _close_all(self._idle)
            self._process = os.getpid()
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.stands():
                return connection
            connection.close()
        return None


class _Connection:
    """One connection, for one call at a time; one that has failed closes itself."""

    def __init__(self, path: str, timeout_s: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(timeout_s)
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise
        self._reader: BufferedReader = self._socket.makefile("rb")

    def answer_to(self, method: str, request: Request, timeout_s: float) -> Answer:
        """Send a request, and read the answer."""
        head = head_of(method, request)
        try:
            self._socket.settimeout(timeout_s)
            # It may answer before it has all, and hang up: that there is no such path, say.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(head)
                self._socket.sendall(request.body or b"")
            return read_answer(self._reader, method)
        except BaseException:
            # Also an interruption: what comes of the answer later would be taken for that to the next request.
            self.close()
            raise

    def stands(self) -> bool:
        """Tell whether the other end has neither hung up nor said what nobody has asked for; waits for nothing."""
        try:
            self._socket.settimeout(0)
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            # Nothing is on its way; it may have come together with the last answer.
            return not self._reader.peek(1)
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Hang up."""
        self._reader.close()
        self._socket.close()


def _close_all(idle: deque[_Connection]) -> None:
    while idle:
        try:
            idle.pop().close()
        except IndexError:
            return
