"""BuildKit's own account of a build, in messages that are encoded here."""

from __future__ import annotations

import base64

from pytest_dockerkit import Progress
from pytest_dockerkit._engine.buildkit import Trace


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def block(number: int, content: bytes | str) -> bytes:
    """Encode a text or a message."""
    raw = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def whole(number: int, value: int) -> bytes:
    """Encode a whole number."""
    return varint(number << 3) + varint(value)


def vertex(digest: str, name: str = "", error: str = "", *, started: bool = True) -> bytes:
    """Encode a Vertex; the fields that are not of use stand between those that are."""
    times = (block(5, whole(1, 1700000000) + whole(2, 999999999)) + block(6, b"")) if started else b""
    message = block(1, digest) + block(2, "sha256:input") + block(3, name) + whole(4, 1) + times
    return block(1, message + (block(7, error) if error else b""))


def log(digest: str, text: bytes) -> bytes:
    """Encode a VertexLog."""
    return block(3, block(1, digest) + block(2, whole(1, 1700000000)) + whole(3, 1) + block(4, text))


def heard(*messages: bytes) -> Trace:
    trace = Trace()
    for message in messages:
        trace.hear(base64.b64encode(message).decode())
    return trace


def test_nothing_heard_is_nothing_failed() -> None:
    trace = heard()
    assert (trace.failed_step, trace.failed_output, trace.error, trace.failed) == ("", "", "", None)
    assert heard(b"").names == {}


def test_names_and_output_are_gathered_by_step() -> None:
    trace = heard(
        vertex("sha256:1", "[base 1/2] FROM busybox") + vertex("sha256:2", "[base 2/2] RUN make ü"),
        log("sha256:2", b"one\n") + log("sha256:1", b"other\n"),
        log("sha256:2", b"tw\xff"),
        log("sha256:2", "o ü\n".encode()),
    )
    assert trace.names == {"sha256:1": "[base 1/2] FROM busybox", "sha256:2": "[base 2/2] RUN make ü"}
    assert trace.logs == {"sha256:1": b"other\n", "sha256:2": b"one\ntw\xffo \xc3\xbc\n"}
    assert trace.failed is None


def test_the_step_that_failed_tells_its_name_output_and_error() -> None:
    trace = heard(
        vertex("sha256:1", "RUN false"),
        log("sha256:1", b"bad \xff\n"),
        vertex("sha256:1", "RUN false", error="process did not complete: exit code: 1"),
    )
    assert trace.failed_step == "RUN false"
    assert trace.failed_output == "bad �\n"
    assert trace.error == "process did not complete: exit code: 1"


def test_only_the_first_failure_is_a_cause() -> None:
    trace = heard(
        vertex("sha256:0", "importing cache manifest from x", error="not found"),
        vertex("sha256:1", "a", error="context canceled"),
        vertex("sha256:2", "b", error="exit code: 2"),
        vertex("sha256:3", "c", error="exit code: 3"),
    )
    assert (trace.failed_step, trace.error) == ("b", "exit code: 2")


def test_a_failure_without_output_has_none() -> None:
    assert heard(vertex("sha256:1", "a", error="no")).failed_output == ""


def test_long_texts_and_unknown_fields_are_read_over() -> None:
    """Lengths of several bytes; a field number above 15; numbers of 64 and 32 bits."""
    name = "RUN " + "x" * 70_000
    unknown = (
        varint(9 << 3 | 1) + b"\x01" * 8 + varint(10 << 3 | 5) + b"\x02" * 4 + block(99, b"?") + whole(98, 2**63)
    )
    statuses = block(2, block(1, "id") + whole(4, 5))
    assert heard(unknown + statuses + vertex("sha256:1", name) + unknown).names == {"sha256:1": name}


def test_a_step_without_a_name_or_a_log_without_text_does_no_harm() -> None:
    trace = heard(block(1, block(1, "sha256:1")) + block(3, block(1, "sha256:1")) + block(1, b"") + whole(1, 5))
    assert trace.names == {"sha256:1": "", "": ""}
    assert trace.logs == {"sha256:1": b""}


def test_each_step_is_told_of_once_when_it_begins() -> None:
    told: list[Progress] = []
    trace = Trace(told.append)
    for message in (
        vertex("sha256:1", "[api  1/2] FROM x", started=False),
        vertex("sha256:2", "[api 2/2] RUN a   b", started=False),
        vertex("sha256:1", "[api  1/2] FROM x"),
        vertex("sha256:2", "[api 2/2] RUN a   b") + vertex("sha256:1", "[api  1/2] FROM x"),
        vertex("sha256:3", "exporting to image"),
    ):
        trace.hear(base64.b64encode(message).decode())
    assert told == [
        Progress("[api 1/2] FROM x", 1, 2),
        Progress("[api 2/2] RUN a b", 2, 2),
        Progress("exporting to image"),
    ]


def test_of_an_endless_output_the_end_is_kept() -> None:
    trace = heard(vertex("sha256:1", "RUN yes", error="no"), *(log("sha256:1", b"yes\n" * 5000) for _ in range(5)))
    assert len(trace.failed_output) == 64 * 1024
