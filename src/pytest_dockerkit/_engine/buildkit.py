"""What BuildKit tells of a build while it goes on, as the Engine API passes it on.

Each line of the answer that is named `moby.buildkit.trace` holds, in base64, one protobuf message
`moby.buildkit.v1.StatusResponse` (moby/buildkit, api/services/control/control.proto). Six of its fields
are of use here, which a reader of a few lines finds; the protobuf runtime would be a heavy dependency for it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pytest_dockerkit._engine.base import Progress, tell_nobody

#: A step as BuildKit names it: `[2/5] RUN make`, `[api 2/5] RUN make`, `[linux/arm64 api  2/12] RUN make`. A stage
#: without a name is called `stage-1`. Source: moby/buildkit, frontend/dockerfile/dockerfile2llb, prefixCommand.
STEP = re.compile(r"\[(?:(?P<stage>[^\]]*\S) +)?(?P<number>\d+)/(?P<total>\d+)\] (?P<text>.*)", re.DOTALL)

#: How much of a step's output is kept, in bytes or characters: an error shows its end.
KEPT_OUTPUT = 64 * 1024

#: Field numbers of StatusResponse, Vertex and VertexLog.
_VERTEXES, _LOGS = 1, 3
_DIGEST, _NAME, _STARTED, _ERROR = 1, 3, 5, 7
_LOG_VERTEX, _LOG_TEXT = 1, 4


@dataclass
class Trace:
    """What has been heard of a build so far.

    Attributes:
        tell: hears of each step that begins.
        names: the steps' names by their digests.
        logs: their output, from the end if that was much.
        failed: the digest of the step that failed first, if one has.
        error: what BuildKit said of it.
    """

    tell: Callable[[Progress], None] = tell_nobody
    names: dict[str, str] = field(default_factory=dict)
    logs: dict[str, bytes] = field(default_factory=dict)
    failed: str | None = None
    error: str = ""
    _begun: set[str] = field(default_factory=set)

    def hear(self, encoded: str) -> None:
        """Take in one message."""
        for number, value in _fields(base64.b64decode(encoded)):
            if number == _VERTEXES and isinstance(value, bytes):
                self._hear_step(dict(_fields(value)))
            elif number == _LOGS and isinstance(value, bytes):
                log = dict(_fields(value))
                step = _text(log.get(_LOG_VERTEX))
                text = log.get(_LOG_TEXT)
                heard = self.logs.get(step, b"") + (text if isinstance(text, bytes) else b"")
                self.logs[step] = heard[-KEPT_OUTPUT:]

    def _hear_step(self, step: dict[int, int | bytes]) -> None:
        digest = _text(step.get(_DIGEST))
        self.names[digest] = _text(step.get(_NAME))
        if _STARTED in step and digest not in self._begun:
            self._begun.add(digest)
            self.tell(progress_of(self.names[digest]))
        error = _text(step.get(_ERROR))
        if error and self.failed is None and is_cause(self.names[digest], error):
            self.failed, self.error = digest, error

    @property
    def failed_step(self) -> str:
        """The name of the step that failed, such as `[api 3/5] RUN make`; empty if none did."""
        return self.names.get(self.failed, "") if self.failed else ""

    @property
    def failed_output(self) -> str:
        """What the step that failed has printed."""
        return self.logs.get(self.failed, b"").decode(errors="replace") if self.failed else ""


def is_cause(step: str, error: str) -> bool:
    """Tell whether an error of a step makes a build fail.

    Steps that were running side by side end as "canceled". A cache that cannot be had is no failure.
    """
    return "context canceled" not in error and not step.startswith("importing cache manifest")


def progress_of(step: str) -> Progress:
    """Read a step's number and their total out of its name."""
    step = " ".join(step.split())
    counted = STEP.fullmatch(step)
    if counted is None:
        return Progress(step)
    return Progress(step, int(counted["number"]), int(counted["total"]))


def _text(value: int | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Give the fields of a protobuf message: numbers as they are, texts and messages as bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
        elif wire == 2:
            length, at = _varint(message, at)
            yield number, message[at : at + length]
            at += length
        else:  # fixed 64 or 32 bits: none of the fields that are of use
            at += 8 if wire == 1 else 4


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
