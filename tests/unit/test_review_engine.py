"""What comes from the engine in another form than usual: times, archives, cut streams, foreign exceptions."""

from __future__ import annotations

import http.client
import io
import socket
import tarfile
from datetime import UTC, datetime, timedelta, timezone

import pytest
import urllib3.exceptions

from pytest_dockerkit._engine.streams import HEADER, converse
from pytest_dockerkit._engine.translate import translated
from pytest_dockerkit._runtime import files
from pytest_dockerkit._runtime.clock import engine_time
from pytest_dockerkit.errors import ContainerFileError, EngineError, EngineUnavailableError


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2024-05-06T07:08:09.123456789Z", datetime(2024, 5, 6, 7, 8, 9, 123456, UTC)),
        ("2024-05-06T07:08:09.1Z", datetime(2024, 5, 6, 7, 8, 9, 100000, UTC)),
        ("2024-05-06T07:08:09Z", datetime(2024, 5, 6, 7, 8, 9, 0, UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        (
            "2024-05-06T07:08:09.123456789+02:00",
            datetime(2024, 5, 6, 7, 8, 9, 123456, timezone(timedelta(hours=2))),
        ),
    ],
)
def test_a_time_has_its_offset(said: str, meant: datetime) -> None:
    assert engine_time(said) == meant
    assert engine_time(said).utcoffset() == meant.utcoffset()


def test_each_name_of_a_file_has_its_content() -> None:
    """Whether the name that the archive has the content under matches or not."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in {"bin/first": b"one", "bin/other": b"two!"}.items():
            files.add_bytes(tar, name, content, mode=0o755)
        for name in ("bin/second", "sbin/third"):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = tarfile.LNKTYPE, "bin/first", 0o755
            tar.addfile(info)
    found = {each.path: each for each in files.matching([packed.getvalue()], "/", "/**/[st]*")}
    assert {path: (each.read_text(), each.size_bytes) for path, each in found.items()} == {
        "/bin/second": ("one", 3),
        "/sbin/third": ("one", 3),
    }
    every = {each.path: each.size_bytes for each in files.matching([packed.getvalue()], "/", "/bin/*")}
    assert every == {"/bin/first": 3, "/bin/other": 4, "/bin/second": 3}


@pytest.mark.parametrize("cut", [3, HEADER.size, HEADER.size + 2])
def test_a_stream_that_is_cut_within_a_frame_is_not_taken_for_whole(cut: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall((HEADER.pack(1, 5) + b"hello")[:cut])
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError) as caught:
            converse(ours, None, timeout_s=30)
    assert str(caught.value) == "the connection ended within a frame"


@pytest.mark.parametrize(
    "failure",
    [
        urllib3.exceptions.ProtocolError("Connection broken"),
        http.client.RemoteDisconnected("Connection broken"),
        http.client.BadStatusLine("Connection broken"),
        ConnectionResetError("Connection broken"),
    ],
)
def test_what_lies_below_the_client_is_translated(failure: Exception) -> None:
    with pytest.raises(EngineUnavailableError) as caught, translated("follow the log"):
        raise failure
    assert str(caught.value) == (
        "the engine went away while it was to follow the log\n"
        "  saw:  Connection broken\n"
        "  mend: look whether it still runs: `docker info`"
    )


def test_a_read_that_takes_too_long_is_translated() -> None:
    with pytest.raises(EngineError) as caught, translated("follow the log"):
        raise urllib3.exceptions.ReadTimeoutError(None, "", "Read timed out")  # type: ignore[arg-type]
    assert caught.value.what == "the engine took too long to follow the log"


@pytest.mark.parametrize(
    "failure", [EngineUnavailableError("gone"), ContainerFileError("no"), TimeoutError("late"), PermissionError("no")]
)
def test_our_own_errors_and_those_of_this_machine_stay_as_they_are(failure: Exception) -> None:
    with pytest.raises(type(failure)) as caught, translated("copy x out"):
        raise failure
    assert caught.value is failure
