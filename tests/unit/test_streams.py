"""Reading the output of a command from a connection that was upgraded."""

from __future__ import annotations

import http.client
import socket
from types import SimpleNamespace

import pytest

from pytest_dockerkit._engine.streams import HEADER, converse

UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


def frame(stream: int, said: bytes) -> bytes:
    return HEADER.pack(stream, len(said)) + said


@pytest.mark.parametrize("early", [0, 3, 1000])
def test_output_that_comes_together_with_the_header_is_not_lost(early: int) -> None:
    """Whether all of it, a part of a frame or none of it has come when the header is read."""
    ours, theirs = socket.socketpair()
    said = frame(1, b"out") + frame(2, b"err") + frame(1, b"put")
    with ours, theirs:
        theirs.sendall(UPGRADED + said[:early])
        response = http.client.HTTPResponse(ours, method="POST")
        response.begin()
        theirs.sendall(said[early:])
        theirs.shutdown(socket.SHUT_WR)
        connection = SimpleNamespace(_sock=ours, _response=SimpleNamespace(raw=SimpleNamespace(_fp=response)))
        assert converse(connection, None, timeout_s=30) == (b"output", b"err")
        response.close()
