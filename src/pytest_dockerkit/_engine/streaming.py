"""Answers that are read as they come, over whichever wire there is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_dockerkit._engine.answers import message_of, read_head, read_rest
from pytest_dockerkit._engine.wire import CALL_TIMEOUT_S, AnswerError, SilenceError, SocketWire

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator

    from pytest_dockerkit._engine.client import Client
    from pytest_dockerkit._engine.tls import TlsConnection, TlsWire
    from pytest_dockerkit._engine.wire import Query, Wire

#: How much is read at a time where docker-py reads, in bytes.
_PIECE_BYTES = 64 * 1024


class Stream(NamedTuple):
    """An answer that has begun.

    Attributes:
        status: its HTTP status.
        pieces: what follows, as it comes.
    """

    status: int
    pieces: Iterable[bytes]

    def message(self) -> str:
        """Read to the end what the engine says of its refusal."""
        return message_of(b"".join(self.pieces), self.status)

    def check(self) -> None:
        """Go on if it is no refusal.

        Raises:
            AnswerError: it is one.
        """
        if self.status >= 400:
            raise AnswerError(self.status, self.message())


@contextmanager
def streamed(
    wire: Wire,
    client: Client,
    path: str,
    query: Query,
    *,
    timeout_s: float | None = CALL_TIMEOUT_S,
    carried_by: Callable[[Any], object] | None = None,
) -> Iterator[Stream]:
    """Ask, and give the answer for the block, in which it need not be read to its end.

    Args:
        wire: the way to the engine.
        client: docker-py's, for engines that are not reached by a local socket.
        path: without the version of the API.
        query: what follows the path; what is None is left out.
        timeout_s: how long the engine may be silent, in seconds; None for as long as it likes.
        carried_by: is given what carries the answer, which another thread may shut.

    Raises:
        ConnectionError: the engine does not answer, or hangs up.
        SilenceError: it is silent for too long.
    """
    if not isinstance(wire, SocketWire):
        with _by_client(wire, client, path, query, timeout_s, carried_by) as stream:
            yield stream
        return
    connection, reader = wire.ask_without_end("GET", path, query=query)
    with connection, reader:
        if carried_by is not None:
            carried_by(connection)
        connection.settimeout(timeout_s)
        status, headers = begun(reader, timeout_s)
        yield Stream(status, _heard(read_rest(reader, headers), timeout_s))


def _heard(pieces: Iterable[bytes], timeout_s: float | None) -> Iterator[bytes]:
    try:
        yield from pieces
    except TimeoutError:
        raise SilenceError(f"nothing for {timeout_s:g} s") from None


@contextmanager
def _by_client(
    wire: Wire,
    client: Client,
    path: str,
    query: Query,
    timeout_s: float | None,
    carried_by: Callable[[Any], object] | None,
) -> Iterator[Stream]:
    api: Any = client.api
    wanted = {key: value for key, value in query.items() if value is not None}
    # docker-py's own verbs give no way to hang up before the end.
    with api.get(f"{api.base_url}{wire.prefix}{path}", params=wanted, stream=True, timeout=timeout_s) as response:
        if carried_by is not None and response.status_code < 400:
            carrier = api._get_raw_response_socket(response)  # noqa: SLF001  - there is no other way to it
            # Over plain TCP that is a file; closing one does not wake whoever reads it, as shutting its socket does.
            carried_by(getattr(carrier, "_sock", carrier))
        # requests asks for gzip, and engines pack archives with it then.
        yield Stream(response.status_code, response.raw.stream(_PIECE_BYTES, decode_content=True))


@contextmanager
def upgraded(
    wire: SocketWire | TlsWire, path: str, body: Any
) -> Iterator[tuple[socket.socket | TlsConnection, Callable[[int], bytes]]]:
    """Ask for a connection that both sides talk on as they like: give it for the block, and what reads from it.

    What has come together with the head of the answer is in what reads, and lost to whoever reads the connection.

    Raises:
        AnswerError: the engine refuses.
        ConnectionError: it does not answer, or hangs up.
        SilenceError: it is silent for too long.
    """
    # Source: Engine API, ExecStart and ContainerAttach, "Hijacking".
    headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
    connection, reader = wire.ask_without_end("POST", path, body=body, headers=headers)
    with connection, reader:
        connection.settimeout(CALL_TIMEOUT_S)
        status, answer = begun(reader, CALL_TIMEOUT_S)
        if status >= 400:
            Stream(status, read_rest(reader, answer)).check()
        yield connection, reader.read1


def begun(reader: Any, timeout_s: float | None) -> tuple[int, dict[str, str]]:
    """Read the head of an answer: its status and its headers.

    Raises:
        SilenceError: it does not come.
    """
    try:
        status, _, headers = read_head(reader)
    except TimeoutError:
        raise SilenceError(f"no answer for {timeout_s:g} s") from None
    return status, headers
