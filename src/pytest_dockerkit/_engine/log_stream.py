"""The log of a container, read as it comes; whoever has had enough hangs up, from any thread."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine import streams
from pytest_dockerkit._engine.answers import chunks, message_of, read_head
from pytest_dockerkit._engine.translate import translated
from pytest_dockerkit._engine.wire import CALL_TIMEOUT_S, AnswerError, SilenceError, SocketWire, path_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from pytest_dockerkit._engine.client import Client
    from pytest_dockerkit._engine.wire import Query, Wire

#: How much is read at a time where docker-py reads, in bytes.
_PIECE_BYTES = 64 * 1024


class LogStream:
    """What one container prints, for one reader."""

    def __init__(
        self, wire: Wire, client: Client, container: str, *, follow: bool = True, since_s: float | None = None
    ) -> None:
        """Nothing is asked for yet.

        Args:
            wire: the way to the engine.
            client: docker-py's, for engines that are not reached by a local socket.
            container: which.
            follow: whether to go on until the container ends, or until the end of what is there now.
            since_s: from this time on, in seconds since the epoch by the engine's clock.
        """
        self._wire = wire
        self._client = client
        self._container = container
        since = None if since_s is None else f"{since_s:.9f}"
        self._query: Query = {"follow": int(follow), "stdout": 1, "stderr": 1, "since": since}
        #: One that is followed may be silent for as long as it likes.
        self._timeout_s = None if follow else CALL_TIMEOUT_S
        self._lock = threading.Lock()
        self._over = False
        #: What carries it, from the moment on that it is asked for.
        self._carrier: Any = None

    def __iter__(self) -> Iterator[bytes]:
        """Give what it has printed and prints, message by message, until the end or until someone hangs up.

        Raises:
            EngineError: the engine does not give it, or hangs up within it.
        """
        with translated(f"follow the log of {self._container}"):
            pieces = self._by_socket(self._wire) if isinstance(self._wire, SocketWire) else self._by_client()
            try:
                yield from streams.payloads(pieces)
            except Exception as failure:
                # What is read from when it is shut down fails in many ways.
                if not self._over:
                    if isinstance(failure, TimeoutError):
                        raise SilenceError(f"nothing for {CALL_TIMEOUT_S} s") from None
                    raise
            finally:
                self.hang_up()
                with suppress(Exception):
                    pieces.close()

    def hang_up(self) -> None:
        """End it; whoever is reading has come to its end. May be called often, and from any thread."""
        with self._lock:
            self._over = True
            if self._carrier is not None:
                _shut(self._carrier)

    def _carried_by(self, carrier: Any) -> None:
        with self._lock:
            self._carrier = carrier
            if self._over:
                _shut(carrier)

    def _by_socket(self, wire: SocketWire) -> Generator[bytes]:
        connection, reader = wire.ask_without_end(path_of("containers", self._container, "logs"), self._query)
        with connection, reader:
            self._carried_by(connection)
            connection.settimeout(self._timeout_s)
            status, _, headers = read_head(reader)
            if status >= 400:
                said = b"".join(_rest(reader, headers))
                raise AnswerError(status, message_of(said, status))
            yield from _rest(reader, headers)

    def _by_client(self) -> Generator[bytes]:
        api: Any = self._client.api
        url = f"{api.base_url}{self._wire.prefix}{path_of('containers', self._container, 'logs')}"
        wanted = {key: value for key, value in self._query.items() if value is not None}
        # docker-py's own way to follow a log gives no way to hang up before the end.
        with api.get(url, params=wanted, stream=True, timeout=self._timeout_s) as response:
            if response.status_code >= 400:
                raise AnswerError(response.status_code, message_of(response.content, response.status_code))
            self._carried_by(api._get_raw_response_socket(response))  # noqa: SLF001  - there is no other way to it
            yield from response.raw.stream(_PIECE_BYTES)


def _rest(reader: Any, headers: dict[str, str]) -> Iterable[bytes]:
    """Read what follows the head, as it comes."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return chunks(reader)
    if (length := headers.get("content-length")) is not None:
        return iter([reader.read(int(length))])
    return iter(lambda: reader.read1(_PIECE_BYTES), b"")


def _shut(carrier: Any) -> None:
    """Make whoever reads it come to its end."""
    with suppress(Exception):
        if isinstance(carrier, socket.socket):
            # TLS's own way to shut down is not for a second thread.
            socket.socket.shutdown(carrier, socket.SHUT_RDWR)
        else:
            # What docker-py has for ssh, and for Windows' pipes.
            carrier.close()
