"""HTTP/1.1 answers, as far as engines give them: with a length, in chunks, or up to the end of the connection.

Python's own reader of them, http.client, loads ssl and the parser of e-mails: 12 ms in a process that has pytest.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: How long a line of a header may be, in bytes, and how many lines there may be. Source: Python's http.client.
_LINE_BYTES = 64 * 1024
_LINES = 100

#: From here on both sides talk as they like.
_UPGRADED = 101

#: How much is read at a time of what comes in no chunks, in bytes.
_PIECE_BYTES = 64 * 1024

_HUNG_UP = "the engine hung up within its answer"


class Answer:
    """An answer.

    Attributes:
        status: its HTTP status.
        headers: by their names in lower case.
        content: all that was said.
        keeps: whether the connection stays open.
    """

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes, *, keeps: bool = True) -> None:
        self.status = status
        self.headers = headers
        self.content = content
        self.keeps = keeps

    @cached_property
    def json(self) -> Any:
        """What the content stands for; None if there is none.

        Raises:
            ConnectionError: it is no JSON.
        """
        if not self.content:
            return None
        try:
            return json.loads(self.content)
        except ValueError as failure:
            raise ConnectionError(f"the engine's answer is no JSON: {failure}") from None

    @property
    def message(self) -> str:
        """What the engine says of its refusal."""
        return message_of(self.content, self.status)


def message_of(content: bytes, status: int) -> str:
    """Take the engine's own words out of its refusal."""
    text = content.decode("utf-8", errors="replace").strip()
    try:
        return str(json.loads(text)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return text or f"status {status}"


def read_answer(reader: BinaryIO, method: str) -> Answer:
    """Read an answer to its end.

    Args:
        reader: the connection.
        method: that of the request; an answer to HEAD has no content, whatever it says of it.

    Raises:
        ConnectionError: the other end hangs up before the end, or speaks something else.
        OSError: the connection fails; of its kind is the TimeoutError.
    """
    status, version, headers = read_head(reader)
    keeps = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    if method == "HEAD" or status in (204, 304):
        return Answer(status, headers, b"", keeps=keeps)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, headers, b"".join(chunks(reader)), keeps=keeps)
    if (length := headers.get("content-length")) is not None:
        return Answer(status, headers, _exactly(reader, _number(length, 10)), keeps=keeps)
    return Answer(status, headers, reader.read(), keeps=False)


def read_head(reader: BinaryIO) -> tuple[int, str, dict[str, str]]:
    """Read what stands before an answer: its status, its version of HTTP, and its headers."""
    status, version = _status(_line(reader, at_start=True))
    headers = _headers(reader)
    while 100 <= status < 200 and status != _UPGRADED:
        # It is only on the way.
        status, version = _status(_line(reader))
        headers = _headers(reader)
    return status, version, headers


def _status(line: str) -> tuple[int, str]:
    version, _, rest = line.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise ConnectionError(f"it does not speak HTTP: {line[:80]!r}")
    return int(code), version


def _headers(reader: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(_LINES):
        line = _line(reader)
        if not line:
            return headers
        key, _, value = line.partition(":")
        headers[key.strip().lower()] = value.strip()
    raise ConnectionError(f"the engine's answer has more than {_LINES} headers")


def read_rest(reader: Any, headers: Mapping[str, str]) -> Iterable[bytes]:
    """Read what follows the head, as it comes."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return chunks(reader)
    if (length := headers.get("content-length")) is not None:
        return _pieces(reader, _number(length, 10))
    return iter(lambda: reader.read1(_PIECE_BYTES), b"")


def _pieces(reader: BinaryIO, length: int) -> Iterator[bytes]:
    for start in range(0, length, _PIECE_BYTES):
        yield _exactly(reader, min(_PIECE_BYTES, length - start))


def chunks(reader: BinaryIO) -> Iterator[bytes]:
    """Give an answer that comes in chunks, as they come."""
    while length := _number(_line(reader).partition(";")[0], 16):
        yield _exactly(reader, length)
        if _line(reader):
            raise ConnectionError("the engine's answer has a chunk that is longer than it says")
    _headers(reader)


def _line(reader: BinaryIO, *, at_start: bool = False) -> str:
    line = reader.readline(_LINE_BYTES + 1)
    if not line.endswith(b"\n"):
        if len(line) > _LINE_BYTES:
            raise ConnectionError(f"the engine's answer has a line of more than {_LINE_BYTES} bytes")
        raise ConnectionResetError("the engine hung up without an answer" if at_start and not line else _HUNG_UP)
    return line.rstrip(b"\r\n").decode("latin-1")


def _exactly(reader: BinaryIO, length: int) -> bytes:
    content = reader.read(length)
    if len(content) != length:
        raise ConnectionResetError(_HUNG_UP)
    return content


def _number(text: str, base: int) -> int:
    # int() takes signs, spaces and underscores as well.
    if not text.strip().isalnum() or not text.isascii():
        raise ConnectionError(f"the engine's answer has a length that is none: {text[:80]!r}")
    try:
        return int(text, base)
    except ValueError:
        raise ConnectionError(f"the engine's answer has a length that is none: {text[:80]!r}") from None
