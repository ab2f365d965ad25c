"""Connections with TLS: one side ends what it sends, and goes on reading."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from pytest_dockerkit._engine.client import trust_what_is_given
from pytest_dockerkit._engine.tls import TlsConnection
from tests.unit.certificates import write_certificates

Serves = Callable[[ssl.SSLSocket], None]


class Server:
    """Listens with TLS on 127.0.0.1, and serves one connection."""

    def __init__(self, certificates: Path, serves: Serves) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
        context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listening.getsockname()
        self._thread = threading.Thread(target=self._serve, args=(context, serves))
        self._thread.start()

    def _serve(self, context: ssl.SSLContext, serves: Serves) -> None:
        connection, _ = self._listening.accept()
        with connection, context.wrap_socket(connection, server_side=True) as served:
            serves(served)

    def end(self) -> None:
        self._thread.join()
        self._listening.close()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    write_certificates(tmp_path)
    return tmp_path


@pytest.fixture
def connect(certificates: Path) -> Iterator[Callable[[Serves], TlsConnection]]:
    """Connects to a server that serves as it is told to."""
    made: list[tuple[Server, TlsConnection]] = []

    def to(serves: Serves) -> TlsConnection:
        server = Server(certificates, serves)
        context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
        wire = socket.create_connection(server.address, timeout=20)
        made.append((server, TlsConnection(wire, context, "127.0.0.1")))
        return made[-1][1]

    yield to
    for server, connection in made:
        connection.close()
        server.end()


def everything(connection: TlsConnection) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def heard(served: ssl.SSLSocket) -> bytes:
    return b"".join(iter(lambda: served.recv(65536), b""))


def test_the_answer_comes_after_the_end_of_the_question(connect: Callable[[Serves], TlsConnection]) -> None:
    def turns_around(served: ssl.SSLSocket) -> None:
        served.sendall(heard(served)[::-1])

    connection = connect(turns_around)
    connection.sendall(b"abc" * 100_000)
    connection.shutdown(socket.SHUT_WR)
    assert everything(connection) == b"cba" * 100_000


def test_what_has_come_before_the_end_is_not_lost(connect: Callable[[Serves], TlsConnection]) -> None:
    """As of `cat`, which answers while it is told; neither side waits for the other for ever."""

    def answers_at_once(served: ssl.SSLSocket) -> None:
        served.sendall(b"before ")
        while piece := served.recv(65536):
            served.sendall(piece)
        served.sendall(b" after")

    connection = connect(answers_at_once)
    read: list[bytes] = []
    reading = threading.Thread(target=lambda: read.append(everything(connection)))
    reading.start()
    connection.sendall(b"x" * 5_000_000)
    connection.shutdown(socket.SHUT_WR)
    reading.join()
    assert b"".join(read) == b"before " + b"x" * 5_000_000 + b" after"


def test_it_reads_as_a_file(connect: Callable[[Serves], TlsConnection]) -> None:
    reader = connect(lambda served: served.sendall(b"one\ntwo\nthree")).makefile("rb")
    assert [*reader] == [b"one\n", b"two\n", b"three"]


def test_one_that_is_silent_is_not_waited_for_for_ever(connect: Callable[[Serves], TlsConnection]) -> None:
    is_over = threading.Event()

    def says_nothing(served: ssl.SSLSocket) -> None:
        del served
        is_over.wait()

    connection = connect(says_nothing)
    connection.settimeout(0.01)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    is_over.set()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_does_not_say_whom_an_engine_is_trusted_by(
    certificates: Path, monkeypatch: pytest.MonkeyPatch, variable: str, tmp_path: Path
) -> None:
    def answers(served: ssl.SSLSocket) -> None:
        served.recv(65536)
        served.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK")

    others = tmp_path / "others"
    others.mkdir()
    write_certificates(others)
    monkeypatch.setenv(variable, str(others / "ca.pem"))
    server = Server(certificates, answers)
    host, port = server.address
    shown = (str(certificates / "cert.pem"), str(certificates / "key.pem"))
    trusted = docker.tls.TLSConfig(client_cert=shown, ca_cert=str(certificates / "ca.pem"), verify=True)
    api = docker.APIClient(base_url=f"tcp://{host}:{port}", tls=trusted, version="1.41")
    trust_what_is_given(api)
    assert api.ping()
    api.close()
    server.end()
