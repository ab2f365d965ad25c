"""Connections with TLS that either side may end for itself, as `ssl`'s own sockets cannot.

What a command reads from its standard input ends when its connection does, while its output goes on. Over TLS that is
a message of its own, "close_notify". An `SSLSocket` sends it and then waits for the other side's; what the other side
says meanwhile is lost. Source: RFC 8446, section 6.1; Python's documentation of `SSLSocket.unwrap`.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_dockerkit._engine.wire import CALL_TIMEOUT_S, head_of, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker.api import APIClient

_PIECE_BYTES = 64 * 1024


class TlsConnection:
    """A connection to an engine; one thread may write while another reads."""

    def __init__(self, wire: socket.socket, context: ssl.SSLContext, host: str) -> None:
        """Greet the other side.

        Args:
            wire: a connection to it; it is this one's from now on.
            context: what is shown, and whom is trusted.
            host: what the other side has to be called in its certificate.

        Raises:
            OSError: it is not trusted, does not trust us, or hangs up.
        """
        self._wire = wire
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        #: Held while the state of TLS changes, and never while the network is waited for.
        self._state = threading.Lock()
        #: Held while something is sent: what is encrypted first goes out first.
        self._sending = threading.Lock()
        self._held = bytearray()
        self._greet()

    def _greet(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._wire.sendall(self._outgoing.read())
                self._take(self._wire.recv(_PIECE_BYTES))
            else:
                self._wire.sendall(self._outgoing.read())
                return

    def _take(self, piece: bytes) -> None:
        if piece:
            self._incoming.write(piece)
        else:
            self._incoming.write_eof()

    def sendall(self, content: bytes) -> None:
        """Send all of it."""
        view = memoryview(content)
        for start in range(0, len(view), _PIECE_BYTES):
            with self._sending:
                with self._state:
                    self._tls.write(view[start : start + _PIECE_BYTES])
                    encrypted = self._outgoing.read()
                self._wire.sendall(encrypted)

    def recv(self, length: int) -> bytes:
        """Read what has come, at most so many bytes, or wait for it; nothing at the end."""
        while True:
            with self._state:
                if self._held:
                    piece = bytes(self._held[:length])
                    del self._held[:length]
                    return piece
                if (read := self._read(length)) is not None:
                    return read
            came = self._wire.recv(_PIECE_BYTES)
            with self._state:
                self._take(came)

    def _read(self, length: int) -> bytes | None:
        """Decrypt what is there; nothing at the end, None where more has to come."""
        try:
            return self._tls.read(length)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # Engines hang up without a farewell too.
            return b""

    def shutdown(self, how: int) -> None:
        """End what is sent (`SHUT_WR`), and go on reading."""
        if how != socket.SHUT_WR:
            self._wire.shutdown(how)
            return
        with self._sending:
            with self._state:
                # What has come must be out of the way: to end takes a look at what comes, and fails with it.
                while piece := self._read(_PIECE_BYTES):
                    self._held += piece
                # It would wait for the other side's end, which comes later.
                with suppress(ssl.SSLError):
                    self._tls.unwrap()
                encrypted = self._outgoing.read()
            self._wire.sendall(encrypted)

    def settimeout(self, timeout_s: float | None) -> None:
        """Bound how long one of the methods waits, in seconds."""
        self._wire.settimeout(timeout_s)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Give what reads it; the mode is `rb`."""
        assert mode == "rb"  # noqa: S101  - as those of sockets have it
        return io.BufferedReader(_Raw(self))

    def close(self) -> None:
        """Hang up."""
        self._wire.close()

    def __enter__(self) -> TlsConnection:
        """Give it for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up at its end."""
        self.close()


class _Raw(io.RawIOBase):
    def __init__(self, connection: TlsConnection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._connection.recv(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class TlsWire:
    """An engine that docker-py reaches with TLS, for what both sides talk on."""

    def __init__(self, api: APIClient, prefix: str) -> None:
        """Nothing is connected yet.

        Args:
            api: docker-py's client.
            prefix: what stands before every path.
        """
        self._api = api
        self._prefix = prefix

    def ask_without_end(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[TlsConnection, io.BufferedReader]:
        """Ask for what both sides talk on: give the connection, which is the caller's, and what reads it.

        Raises:
            ConnectionError: the engine does not answer.
        """
        place = urlsplit(self._api.base_url)
        host, port = place.hostname or "", place.port or 443
        common = {"Host": place.netloc, **{key: str(value) for key, value in self._api.headers.items()}}
        request = written(self._prefix, path, None, body, {**common, **(headers or {})})
        try:
            wire = socket.create_connection((host, port), timeout=CALL_TIMEOUT_S)
            try:
                connection = TlsConnection(wire, self._context(), host)
                connection.sendall(head_of(method, request) + (request.body or b""))
            except BaseException:
                wire.close()
                raise
        except OSError as failure:
            raise ConnectionError(str(failure)) from failure
        return connection, connection.makefile("rb")

    def _context(self) -> ssl.SSLContext:
        trusted, shown = self._api.verify, self._api.cert
        context = ssl.create_default_context(cafile=trusted if isinstance(trusted, str) else None)
        if trusted is False:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if shown:
            context.load_cert_chain(*([shown] if isinstance(shown, str) else shown))
        return context
