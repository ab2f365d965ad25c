"""Connections to services under test: whether anybody is there, and how much of an answer is waited for."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from http.client import HTTPResponse

#: How long one connection attempt may take, in seconds. The host's own bridge answers within one.
_CONNECT_S = 0.25

#: How long a connection through a port proxy must last to count, in seconds. A proxy accepts before the
#: service listens, and hangs up as soon as it has found nobody behind it: on one machine well under 10 ms.
_HELD_S = 0.1

#: How long one HTTP answer may take, in seconds.
ANSWER_S = 2.0


def is_context(tls: object) -> bool:
    """Tell whether something is an `ssl.SSLContext`."""
    # Imported where it is needed: it takes 5 ms.
    import ssl

    return isinstance(tls, ssl.SSLContext)


def ssl_context(tls: bool | ssl.SSLContext) -> ssl.SSLContext:  # noqa: FBT001  - the user's own value
    """Give the user's context, or one that takes any certificate."""
    import ssl

    if isinstance(tls, ssl.SSLContext):
        return tls
    # The certificate of a service under test is its own; who wants it checked gives a context.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def hung_up(wire: socket.socket) -> Iterator[threading.Event]:
    """Hang up when the block takes too long: a socket's own timeout is for each piece, and they may have no end."""
    late = threading.Event()

    def hang_up() -> None:
        late.set()
        # TLS's own way to shut down is not for a second thread.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(wire, socket.SHUT_RDWR)

    timer = threading.Timer(ANSWER_S, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def beginning(answer: HTTPResponse, limit: int) -> bytes:
    """Read the body up to a limit, or as far as it comes."""
    import http.client

    got = bytearray()
    with contextlib.suppress(OSError, http.client.HTTPException):
        while len(got) < limit and (piece := answer.read1(limit - len(got))):
            got += piece
    return bytes(got)


def try_port(address: tuple[str, int], *, proxied: bool) -> str:
    """Connect once: `open`, `refused`, or what kept from knowing."""
    try:
        with socket.create_connection(address, timeout=_CONNECT_S) as connection:
            return _held(connection) if proxied else "open"
    except ConnectionRefusedError:
        return "refused"
    except OSError as failure:
        return f"not reached ({failure})"


def _held(connection: socket.socket) -> str:
    connection.settimeout(_HELD_S)
    try:
        return "open" if connection.recv(1) else "refused"
    except TimeoutError:
        return "open"
    except OSError:
        return "refused"
