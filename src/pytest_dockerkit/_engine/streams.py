"""Exec sessions: a raw connection that carries the output of a command, and its input."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

#: Output comes in frames: one byte for the stream, three of padding, four for the length.
#: Source: Engine API, ContainerAttach, "Stream format".
HEADER = struct.Struct(">BxxxL")
_STDERR = 2
_CUT = "the connection ended within a frame"


def converse(
    connection: Any, stdin: bytes | None, timeout_s: float | None, receive: Callable[[int], bytes] | None = None
) -> tuple[bytes, bytes]:
    """Send the input, and gather the output until the command ends.

    Args:
        connection: a socket, or what docker-py gives for `socket=True`.
        stdin: what the command reads, or None if it has no input.
        timeout_s: how long it may take, in seconds; None for as long as it likes.
        receive: what reads from it, where that is known.

    Raises:
        TimeoutError: it took longer.
        ConnectionError: the connection was cut.
    """
    wire = getattr(connection, "_sock", connection)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    if stdin is not None:
        # Beside the reading: a command that answers before it has read all would block both sides.
        threading.Thread(target=_send, args=(wire, stdin), daemon=True).start()
    gathered = {False: bytearray(), True: bytearray()}
    receive = receive or _buffered(connection)
    while (header := _receive(wire, receive, HEADER.size, deadline)) is not None:
        stream, length = HEADER.unpack(header)
        piece = _receive(wire, receive, length, deadline)
        if piece is None:
            raise ConnectionResetError(_CUT)
        gathered[stream == _STDERR] += piece
    return bytes(gathered[False]), bytes(gathered[True])


def payloads(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Take what was printed out of its frames, which may begin and end anywhere in the pieces.

    Raises:
        ConnectionError: the connection was cut within a frame.
    """
    held = bytearray()
    for piece in pieces:
        held += piece
        at = 0
        while len(held) - at >= HEADER.size:
            end = at + HEADER.size + HEADER.unpack_from(held, at)[1]
            if end > len(held):
                break
            yield bytes(held[at + HEADER.size : end])
            at = end
        del held[:at]
    if held:
        raise ConnectionResetError(_CUT)


@contextmanager
def closing(connection: Any) -> Iterator[None]:
    """Hang up at the end of the block; docker-py leaves the socket below to the garbage collector."""
    wire = getattr(connection, "_sock", connection)
    try:
        yield
    finally:
        # From the top: a response whose socket is closed below it fails when it is collected.
        if (response := getattr(connection, "_response", None)) is not None:
            response.close()
        connection.close()
        wire.close()


def _send(wire: Any, stdin: bytes) -> None:
    try:
        wire.sendall(stdin)
        wire.shutdown(socket.SHUT_WR)
    except OSError:
        # The command has ended without reading all of it, as `head` does.
        return


def _buffered(connection: Any) -> Callable[[int], bytes]:
    """Find what reads the connection from where its HTTP header has ended.

    docker-py gives the socket below the buffer that the header was read through. Output that has arrived together
    with the header is in that buffer, and lost to whoever reads the socket.
    """
    response = getattr(connection, "_response", None)
    reader = None if response is None else response.raw._fp.fp  # noqa: SLF001  - docker-py takes the same way to it
    receive: Callable[[int], bytes] = getattr(reader, "read1", None) or getattr(connection, "_sock", connection).recv
    return receive


def _receive(wire: Any, receive: Callable[[int], bytes], length: int, deadline: float | None) -> bytes | None:
    """Read exactly so many bytes; None when there are no more."""
    got = bytearray()
    while len(got) < length:
        if deadline is not None:
            wire.settimeout(max(0.001, deadline - time.monotonic()))
        else:
            wire.settimeout(None)
        piece = receive(length - len(got))
        if not piece:
            if got:
                raise ConnectionResetError(_CUT)
            return None
        got += piece
    return bytes(got)
