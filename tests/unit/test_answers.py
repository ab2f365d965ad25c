"""Reading HTTP answers: what engines send, and what is no answer."""

from __future__ import annotations

import io

import pytest

from pytest_dockerkit._engine.answers import Answer, read_answer

CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(text: str, method: str = "GET") -> tuple[Answer, bytes]:
    """Read an answer, and give what is left of the connection as well."""
    reader = io.BufferedReader(io.BytesIO(text.encode()))
    answer = read_answer(reader, method)
    return answer, reader.read()


@pytest.mark.parametrize(
    ("text", "status", "content"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}"),
        ("HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", 200, b""),
        (CHUNKED + "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", 200, b"abc0123456789"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: x\r\n\r\n", 200, b"a"),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
        ("HTTP/1.1 404 \r\nContent-Length: 1\r\n\r\nx", 404, b"x"),
        ("HTTP/1.1 404\nContent-Length: 1\n\nx", 404, b"x"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
    ],
)
def test_an_answer_is_read_to_its_end_and_no_further(text: str, status: int, content: bytes) -> None:
    answer, left = read(text + "HTTP/1.1 the next")
    assert (answer.status, answer.content, answer.keeps) == (status, content, True)
    assert left == b"HTTP/1.1 the next"


def test_an_answer_to_a_look_has_no_content() -> None:
    answer, left = read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Path: a:b\r\n\r\nnext", method="HEAD")
    assert (answer.content, answer.headers["x-path"], answer.keeps, left) == (b"", "a:b", True, b"next")


@pytest.mark.parametrize(
    "text",
    [
        "HTTP/1.1 200 OK\r\n\r\nall that comes",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 14\r\n\r\nall that comes",
        "HTTP/1.0 200 OK\r\nContent-Length: 14\r\n\r\nall that comes",
    ],
)
def test_a_connection_that_ends_is_not_kept(text: str) -> None:
    answer, _ = read(text)
    assert (answer.content, answer.keeps) == (b"all that comes", False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the engine hung up without an answer"),
        ("HTTP/1.1 200", "the engine hung up within its answer"),
        ("HTTP/1.1 200 OK\r\nContent-Len", "the engine hung up within its answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "the engine hung up within its answer"),
        (CHUNKED + "3\r\nab", "the engine hung up within its answer"),
        (CHUNKED + "1\r\na\r\n", "the engine hung up within its answer"),
        (CHUNKED + "1\r\nabc\r\n0\r\n\r\n", "the engine's answer has a chunk that is longer than it says"),
        (CHUNKED + "-1\r\n", "the engine's answer has a length that is none: '-1'"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n", "the engine's answer has a length that is none: '1_0'"),
        ("HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", "the engine's answer has a length that is none: 'ten'"),
        ("HTTP/1.1 200 OK\r\nContent-Length: ²\r\n\r\n", "the engine's answer has a length that is none: 'Â²'"),
        ("HTTP/2 200\r\n\r\n", "it does not speak HTTP: 'HTTP/2 200'"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "it does not speak HTTP: 'SSH-2.0-OpenSSH_9.2'"),
        ("HTTP/1.1 abc\r\n\r\n", "it does not speak HTTP: 'HTTP/1.1 abc'"),
        ("x" * 70_000, "the engine's answer has a line of more than 65536 bytes"),
        ("HTTP/1.1 200 OK\r\n" + "a: b\r\n" * 101, "the engine's answer has more than 100 headers"),
    ],
)
def test_what_is_no_answer_is_told(text: str, said: str) -> None:
    with pytest.raises(ConnectionError) as caught:
        read(text)
    assert str(caught.value) == said


def test_an_answer_is_what_its_json_stands_for() -> None:
    assert Answer(200, {}, '{"Id": "ä"}'.encode()).json == {"Id": "ä"}
    assert Answer(200, {}, b"").json is None
    with pytest.raises(ConnectionError) as caught:
        assert Answer(200, {}, b"<html>").json
    assert str(caught.value) == "the engine's answer is no JSON: Expecting value: line 1 column 1 (char 0)"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"message": "No such image: x "}\n', "No such image: x"),
        (b'{"cause": "x"}', '{"cause": "x"}'),
        (b"[]", "[]"),
        (b"404 page not found\n", "404 page not found"),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
        (b"", "status 404"),
    ],
)
def test_a_refusal_has_the_words_of_the_engine(content: bytes, said: str) -> None:
    assert Answer(404, {}, content).message == said
