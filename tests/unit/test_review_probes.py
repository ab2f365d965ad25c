"""Looks that come to an end, whatever the service does; and probes of which one cannot apply."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_dockerkit import Look, Probe, probes
from pytest_dockerkit.errors import ContainerExitedError, SpecError


class Reached:
    """Where a container's port is reached."""

    def __init__(self, number: int) -> None:
        self.number = number

    def address(self, port: int | str) -> tuple[str, int]:  # noqa: ARG002  - any is the same here
        return "127.0.0.1", self.number


@contextmanager
def server(head: bytes, piece: bytes, pause_s: float = 0.0) -> Iterator[Reached]:
    """A service whose answer begins so, and never ends; it counts nothing and keeps no connection for itself."""
    over = threading.Event()

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(head)
                    while not over.wait(pause_s):
                        connection.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        try:
            yield Reached(listening.getsockname()[1])
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_a_body_without_end_is_not_read_unless_it_counts(version: str) -> None:
    with server(f"{version} 200 OK\r\n\r\n".encode(), b"x" * 1000) as service:
        where = f"http://127.0.0.1:{service.number}/"
        assert probes.http(port=80).look(service) == Look(True, f"{where}: status 200")
        assert probes.http(port=80, status=204).look(service) == Look(False, f"{where}: status 200: {'x' * 200}")
        assert probes.http(port=80, body="^x+$").look(service) == Look(True, f"{where}: status 200")
        assert probes.http(port=80, body="y").look(service) == Look(
            False, f"{where}: status 200, a body without 'y': {'x' * 200}"
        )


def test_a_body_that_comes_in_drops_is_judged_by_what_has_come() -> None:
    """As an event stream does; each drop comes within the time that the socket is given."""
    with server(b"HTTP/1.1 200 OK\r\n\r\n", b"tick\n", pause_s=0.25) as service:
        assert probes.http(port=80, body="(?m)^tick$").look(service) == Look(
            True, f"http://127.0.0.1:{service.number}/: status 200"
        )


def test_a_header_that_comes_in_drops_ends_the_look() -> None:
    with server(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", pause_s=0.25) as service:
        assert probes.http(port=80).look(service) == Look(
            False, f"http://127.0.0.1:{service.number}/: TimeoutError: no whole header after 2 s"
        )


class Fake:
    """A probe that sees or raises what it is told."""

    def __init__(self, outcome: Look | Exception) -> None:
        self.outcome = outcome

    def look(self, container: Any) -> Look:  # noqa: ARG002  - what a probe is given
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


READY, WAITING = Fake(Look(True, "fine")), Fake(Look(False, "not yet"))
USELESS, DEAD = Fake(SpecError("no health check")), Fake(ContainerExitedError("it has ended"))


@pytest.mark.parametrize(
    ("several", "seen"),
    [
        ([USELESS, READY], Look(True, "fine; no health check")),
        ([READY, USELESS], Look(True, "fine; no health check")),
        ([USELESS, WAITING], Look(False, "not yet; no health check")),
        ([DEAD, READY], Look(True, "fine; it has ended")),
    ],
)
def test_a_probe_that_cannot_apply_does_not_end_the_others(several: list[Probe], seen: Look) -> None:
    assert probes.any_of(*several).look(None) == seen


@pytest.mark.parametrize(
    ("several", "text"),
    [
        ([USELESS, USELESS], "no health check"),
        ([USELESS, DEAD], "no health check"),
        ([DEAD, WAITING], "it has ended"),
    ],
)
def test_no_probe_that_may_still_be_satisfied_ends_the_wait(several: list[Probe], text: str) -> None:
    with pytest.raises((SpecError, ContainerExitedError)) as caught:
        probes.any_of(*several).look(None)
    assert str(caught.value) == text
