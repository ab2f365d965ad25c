"""The light wire, with a scripted other end: which connections it takes, and what becomes of broken ones."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_dockerkit._engine.translate import translated
from pytest_dockerkit._engine.wire import AnswerError, SilenceError, SocketWire, ask, path_of
from pytest_dockerkit.errors import (
    ConflictError,
    EngineError,
    EngineUnavailableError,
    NotOnEngineError,
    PortTakenError,
)

#: What the other end does with a request: gives the bytes to send, or None to hang up.
Script = Callable[[int, str], bytes | None]


def answer(text: str = "", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(text.encode())}", *headers, "", text]
    return "\r\n".join(lines).encode()


def always(back: bytes | None) -> Script:
    return lambda *_: back


class End:
    """The other end: notes the requests of each connection, and does what its script says.

    Attributes:
        path: its socket.
        heard: what came, by connection.
        script: what it does.
    """

    def __init__(self) -> None:
        # The paths of sockets are short, and those of pytest's directories need not be.
        self.path = Path("/tmp") / f"{uuid.uuid4().hex[:12]}.sock"
        self.heard: list[list[str]] = []
        self.script: Script = always(answer())
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def hang_up(self) -> None:
        """Close all connections, as an engine does that is restarted."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self.hang_up()
        self._listening.close()
        self.path.unlink()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.heard.append([])
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection, len(self.heard) - 1))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as reader, contextlib.suppress(OSError):
            while line := reader.readline():
                length = 0
                head = [line.decode()]
                while (header := reader.readline()).strip():
                    head.append(header.decode())
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                said = "".join(head) + reader.read(length).decode()
                self.heard[number].append(said)
                if (back := self.script(number, said)) is None:
                    return
                connection.sendall(back)


@pytest.fixture
def end() -> Iterator[End]:
    made = End()
    yield made
    made.close()


@pytest.fixture
def wire(end: End) -> Iterator[SocketWire]:
    made = SocketWire(str(end.path), {"X-Meta": "1"}, prefix="/v1.41")
    yield made
    made.close()


def verbs(end: End) -> list[list[str]]:
    """Give the methods that came, by connection."""
    return [[each.split()[0] for each in said] for said in end.heard]


def test_a_request_says_all_that_was_given(end: End, wire: SocketWire) -> None:
    end.script = always(answer('{"Id": 1}'))
    query = {"name": "a b&ä", "platform": None, "force": 1}
    assert ask(wire, "POST", path_of("images", "a/b:c@d e", "x"), query=query, body={"ä": None}) == {"Id": 1}
    assert ask(wire, "DELETE", "/networks/n") == {"Id": 1}
    assert ask(wire, "GET", "/version") == {"Id": 1}
    head = "Host: localhost\r\nUser-Agent: pytest-dockerkit\r\nX-Meta: 1\r\n"
    target = "/v1.41/images/a/b:c%40d%20e/x?name=a+b%26%C3%A4&force=1"
    body = 'Content-Type: application/json\r\nContent-Length: 16\r\n{"\\u00e4": null}'
    assert end.heard == [
        [
            f"POST {target} HTTP/1.1\r\n{head}{body}",
            f"DELETE /v1.41/networks/n HTTP/1.1\r\n{head}Content-Length: 0\r\n",
            f"GET /v1.41/version HTTP/1.1\r\n{head}",
        ]
    ]


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "204 No Content", "304 Not Modified"])
def test_what_is_done_or_was_done_is_no_refusal(end: End, wire: SocketWire, status: str) -> None:
    end.script = always(answer("", status))
    assert ask(wire, "POST", "/containers/x/start") is None


@pytest.mark.parametrize("status", ["301 Moved Permanently", "400 Bad Request", "404 Not Found", "500 Oh"])
def test_all_else_is_one(end: End, wire: SocketWire, status: str) -> None:
    end.script = always(answer('{"message": "no"}', status))
    with pytest.raises(AnswerError) as caught:
        ask(wire, "GET", "/containers//json")
    assert (caught.value.status, caught.value.said) == (int(status[:3]), "no")
    # And leaves the connection whole.
    with pytest.raises(AnswerError):
        ask(wire, "GET", "/containers//json")
    assert len(end.heard) == 1


def test_calls_one_after_the_other_share_a_connection(end: End, wire: SocketWire) -> None:
    for _ in range(3):
        ask(wire, "GET", "/x")
    assert verbs(end) == [["GET", "GET", "GET"]]


def test_calls_at_once_have_one_each_and_their_own_answers(end: End, wire: SocketWire) -> None:
    all_there = threading.Barrier(4)

    def reply(number: int, said: str) -> bytes:
        if "round0" in said:
            all_there.wait(30)
        return answer(f'"{said.split()[1]}"')

    end.script = reply
    got: list[tuple[str, str]] = []

    def call(thread: int) -> None:
        for number in range(20):
            path = f"/round{number}/of{thread}"
            got.append((f"/v1.41{path}", ask(wire, "GET", path)))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(got) == 80
    assert all(asked == said for asked, said in got)
    assert len(end.heard) == 4


def test_an_engine_may_be_restarted_between_two_calls(end: End, wire: SocketWire) -> None:
    ask(wire, "POST", "/x")
    end.hang_up()
    ask(wire, "POST", "/x")
    assert verbs(end) == [["POST"], ["POST"]]


def test_a_connection_on_which_something_unasked_came_is_not_used(end: End, wire: SocketWire) -> None:
    end.script = always(answer("1") + answer("2"))
    assert ask(wire, "GET", "/x") == 1
    end.script = always(answer("3"))
    assert ask(wire, "GET", "/x") == 3
    assert verbs(end) == [["GET"], ["GET"]]


def test_a_connection_that_ends_with_its_answer_is_not_used_again(end: End, wire: SocketWire) -> None:
    end.script = always(answer("", "200 OK", "Connection: close"))
    for _ in range(2):
        ask(wire, "POST", "/x")
    assert verbs(end) == [["POST"], ["POST"]]


@pytest.mark.parametrize("cut", [None, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_what_changes_something_is_never_sent_twice(
    end: End, wire: SocketWire, method: str, cut: bytes | None
) -> None:
    """Whether the engine hangs up before its answer or within it, on a connection that was used before."""
    ask(wire, "GET", "/x")

    def reply(number: int, said: str) -> bytes | None:
        if cut is not None:
            end._open[number].sendall(cut)
        return None

    end.script = reply
    with pytest.raises(ConnectionError):
        ask(wire, method, "/x")
    assert verbs(end) == [["GET", method]]
    end.script = always(answer())
    ask(wire, method, "/x")
    assert verbs(end) == [["GET", method], [method]]


def test_a_question_is_sent_again_where_the_connection_was_an_old_one(end: End, wire: SocketWire) -> None:
    ask(wire, "GET", "/x")
    end.script = lambda number, _: None if number == 0 else answer("1")
    assert ask(wire, "GET", "/x") == 1
    assert verbs(end) == [["GET", "GET"], ["GET"]]


def test_a_question_to_which_a_new_connection_ends_is_sent_once(end: End, wire: SocketWire) -> None:
    end.script = always(None)
    with pytest.raises(ConnectionError) as caught:
        ask(wire, "GET", "/x")
    assert str(caught.value) == "the engine hung up without an answer"
    assert verbs(end) == [["GET"]]


def test_an_answer_that_comes_too_late_is_nobodys(end: End, wire: SocketWire) -> None:
    late = threading.Event()

    def reply(number: int, said: str) -> bytes:
        late.wait(30)
        return answer('"late"')

    end.script = reply
    with pytest.raises(SilenceError) as caught:
        ask(wire, "GET", "/x", timeout_s=0.05)
    assert str(caught.value) == "no answer for 0.05 s"
    end.script = always(answer('"mine"'))
    late.set()
    assert ask(wire, "GET", "/x") == "mine"


def test_an_interrupted_call_leaves_its_connection(
    end: End, wire: SocketWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(wire, "GET", "/x")
    with monkeypatch.context() as patched:

        def interrupt(*args: object) -> None:
            raise KeyboardInterrupt

        patched.setattr("pytest_dockerkit._engine.wire.read_answer", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ask(wire, "GET", "/x")
    ask(wire, "GET", "/x")
    assert len(end.heard) == 2


def test_a_forked_process_takes_none_of_its_parents_connections(
    end: End, wire: SocketWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(wire, "GET", "/x")
    process = os.getpid()
    monkeypatch.setattr("os.getpid", lambda: process + 1)
    ask(wire, "GET", "/x")
    ask(wire, "GET", "/x")
    assert [len(each) for each in end.heard] == [1, 2]


def test_a_wire_that_is_forgotten_closes_its_connections(end: End) -> None:
    """Else Python would warn of a socket that nobody has closed."""
    ask(SocketWire(str(end.path)), "GET", "/x")
    gc.collect()
    for thread in end._threads[1:]:
        thread.join(30)
        assert not thread.is_alive()


def test_where_nothing_listens_it_says_what_the_system_says(tmp_path: Path) -> None:
    wire = SocketWire("/nonexistent/docker.sock")
    with pytest.raises(ConnectionError) as caught:
        ask(wire, "GET", "/x")
    assert str(caught.value) == "[Errno 2] No such file or directory"
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    with pytest.raises(ConnectionError) as caught:
        ask(SocketWire("/" + "x" * 200), "GET", "/x")
    assert str(caught.value) == "AF_UNIX path too long"


# What comes out of it


@pytest.mark.parametrize(
    ("failure", "kind", "text"),
    [
        (
            AnswerError(404, "no such thing"),
            NotOnEngineError,
            "the engine could not look\n  saw:  no such thing\n  mend: look twice",
        ),
        (
            AnswerError(409, "in use"),
            ConflictError,
            "the engine could not look\n  saw:  in use\n  mend: look twice",
        ),
        (
            AnswerError(500, "Bind for 0.0.0.0:80 failed: port is already allocated"),
            PortTakenError,
            (
                "the host port 0.0.0.0:80 is taken\n"
                "  saw:  Bind for 0.0.0.0:80 failed: port is already allocated\n"
                "  mend: free it, or name only the container's port (ports=[80]) and let the engine choose a free one"
            ),
        ),
        (
            SilenceError("no answer for 120 s"),
            EngineError,
            (
                "the engine took too long to look\n"
                "  saw:  no answer for 120 s\n"
                "  mend: look whether the machine is overloaded; `docker info` should answer at once"
            ),
        ),
        (
            ConnectionError("hung up"),
            EngineUnavailableError,
            (
                "the engine went away while it was to look\n"
                "  saw:  hung up\n"
                "  mend: look whether it still runs: `docker info`"
            ),
        ),
    ],
)
def test_its_failures_are_translated(failure: Exception, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught, translated("look", "look twice"):
        raise failure
    assert type(caught.value) is kind
    assert str(caught.value) == text


def test_docker_py_is_not_imported_to_see_whose_failure_it_is() -> None:
    script = """
import sys
from pytest_dockerkit._engine.translate import translated
for failure in (TimeoutError("late"), ConnectionResetError("gone"), PermissionError("no"), KeyError("x")):
    try:
        with translated("look"):
            raise failure
    except Exception as error:
        print(type(error).__name__)
print({"docker", "requests", "urllib3", "http"} & {*sys.modules})
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n") == [
        "TimeoutError",
        "EngineUnavailableError",
        "PermissionError",
        "KeyError",
        "set()",
        "",
    ]
