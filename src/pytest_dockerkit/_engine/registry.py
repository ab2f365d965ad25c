"""What registries answer, as engines pass it on: which kind of answer it is, and what can be done about it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_dockerkit._engine.base import Progress
from pytest_dockerkit._engine.translate import of_client, translated
from pytest_dockerkit.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Kind(Enum):
    """What an answer comes down to."""

    DENIED = "denied"
    LIMITED = "limited"
    PLATFORM = "platform"
    HELD = "held"
    MISSING = "missing"
    BROKEN = "broken"
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"
    CREDENTIALS = "credentials"
    FULL = "full"
    UNSUPPORTED = "unsupported"
    OTHER = "other"


#: What stands before an HTTP status.
_STATUS_OF = r"(?:status|request to \S+|HTTP)(?: code)?:? (?:\S+: )?"

#: How engines word it; the first that is found counts. They differ: Docker with its own image store ("received
#: unexpected HTTP status: 503"), Docker with containerd's ("unexpected status from GET request to …: 503"; where the
#: registry's answer has a body of its own, only that, and for lack of a message its code), Podman.
#: Source: the answers of Docker 20.10.24, 28.5.2 and 28.5.2 with containerd's store to tests/plugin/registry.py.
_WORDS: tuple[tuple[Kind, str], ...] = (
    # Podman before 6 has no way to ask for a digest, and says no more than that. Source: podman, issue 17726.
    (Kind.UNSUPPORTED, r"\ANot Found\Z"),
    (Kind.FULL, r"no space left on device"),
    # Docker Hub says "denied" alike of what is private and of what does not exist.
    (Kind.DENIED, r"(?<!permission )\bdenied|unauthori[sz]ed|basic auth credentials|authentication required"),
    (Kind.DENIED, rf"{_STATUS_OF}40[13]\b|insufficient_scope"),
    (Kind.LIMITED, rf"toomanyrequests|rate limit|{_STATUS_OF}429\b"),
    (
        Kind.PLATFORM,
        r"no matching manifest|no match for platform|no image found in (?:manifest list|image index)",
    ),
    (Kind.PLATFORM, r"operating system .* cannot be used|does not match the specified platform"),
    (Kind.HELD, r"cannot overwrite digest"),
    (Kind.UNTRUSTED, r"x509:|certificate|server gave HTTP response to HTTPS client"),
    (Kind.UNREACHABLE, r"no such host|connection refused|no route to host|network is unreachable"),
    # Who does not answer the first packet is behind a wall, and costs half a minute each time.
    (Kind.UNREACHABLE, r"dial tcp [^ ]+ i/o timeout|while waiting for connection"),
    (Kind.BROKEN, rf"{_STATUS_OF}5\d\d\b|error from registry: (?:unknown|unavailable|internal)\b"),
    (Kind.BROKEN, r"\bEOF\b|connection reset|broken pipe|closed network connection|forcibly closed"),
    (Kind.BROKEN, r"i/o timeout|TLS handshake timeout|Client\.Timeout|context deadline exceeded"),
    (Kind.BROKEN, r"server misbehaving|temporary failure in name resolution"),
    (Kind.MISSING, r"manifest unknown|name unknown|not found|does not exist"),
)
_STATUSES = {401: Kind.DENIED, 403: Kind.DENIED, 404: Kind.MISSING, 429: Kind.LIMITED}

#: How often the engine itself has tried to get a layer: up to six times, over more than a minute.
#: Source: moby, distribution/xfer/download.go: maxDownloadAttempts, retry.
_ITS_OWN_TRIES = re.compile(r"after attempts=(\d+)")

_MENDS = {
    Kind.DENIED: "log in with `docker login` if it is private; else correct the name: of what does not exist, "
    "registries say the same",
    Kind.LIMITED: "log in with `docker login`, which raises the limit; name a mirror with dockerkit_mirrors; or wait",
    Kind.PLATFORM: "another platform, or none; or an image that is made for it",
    Kind.HELD: "use one platform of this digest on one engine; or an engine with containerd's image store, which "
    "holds several",
    Kind.MISSING: "correct the name or the tag",
    Kind.BROKEN: "try again later; or name a mirror with dockerkit_mirrors",
    Kind.UNREACHABLE: "correct the registry's name, or see whether the engine reaches it",
    Kind.UNTRUSTED: "give the engine the registry's certificate (/etc/docker/certs.d/HOST/ca.crt); or name the "
    "registry in `insecure-registries` of its daemon.json",
    Kind.CREDENTIALS: "install that credential helper; or take it out of the docker config file (credsStore, "
    "credHelpers)",
    Kind.FULL: "free space for the engine: `docker system df` tells what takes it",
    Kind.UNSUPPORTED: "an engine that can be asked for digests: Docker, or Podman from 6 on",
    Kind.OTHER: "correct the name or the tag; log in with `docker login` if it is private",
}


class Answer(NamedTuple):
    """What a registry has answered, or what became of the question.

    Attributes:
        kind: what it comes down to.
        said: the engine's own words.
    """

    kind: Kind
    said: str

    @property
    def passes(self) -> bool:
        """Whether the same question may be answered otherwise in a moment."""
        tried = _ITS_OWN_TRIES.search(self.said)
        return self.kind in (Kind.LIMITED, Kind.BROKEN) and (tried is None or int(tried[1]) == 1)

    @property
    def mend(self) -> str:
        """What the user can do about it."""
        return _MENDS[self.kind]


class RefusedError(EngineError):
    """A registry has not given, or not taken, what it was asked for.

    Attributes:
        answer: what it has answered.
    """

    answer: Answer


def read_answer(said: str, status: int | None = None) -> Answer:
    """Tell what an answer comes down to.

    Args:
        said: the engine's words.
        status: the status of the engine's own answer, where it has one; older engines say 500 of almost everything.
    """
    said = said.strip()
    found = next((kind for kind, words in _WORDS if re.search(words, said, re.IGNORECASE)), None)
    return Answer(found or _STATUSES.get(status or 0, Kind.OTHER), said)


def refused(answer: Answer) -> RefusedError:
    """Make the error for an answer."""
    error = RefusedError("a registry refuses", saw=answer.said, mend=answer.mend)
    error.answer = answer
    return error


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Ask a registry by way of the engine.

    Raises:
        RefusedError: it refuses, or cannot be asked.
        EngineUnavailableError: the engine does not answer.
    """
    with translated(doing):
        try:
            yield
        except UserWarning as failure:
            # docker-py warns of a helper that is not installed, and tests may take warnings for errors.
            raise refused(Answer(Kind.CREDENTIALS, str(failure))) from None
        except Exception as failure:
            if not of_client(failure):
                raise
            from pytest_dockerkit._engine.client_errors import answer_of, is_of_docker

            if (said := answer_of(failure)) is not None:
                raise refused(read_answer(said.said, said.status)) from None
            if not is_of_docker(failure) or "redentials store" not in str(failure):
                raise
            raise refused(Answer(Kind.CREDENTIALS, str(failure))) from None


def follow(lines: Iterable[dict[str, Any]], tell: Callable[[Progress], None]) -> None:
    """Follow a pull or a push to its end, and tell how far all of its layers have come together.

    Raises:
        RefusedError: it has failed, which is said in a line, not by a status.
    """
    layers = _Layers()
    for line in lines:
        if "error" in line:
            raise refused(read_answer(str(line["error"])))
        if layers.take(line):
            tell(layers.progress)


class _Layers:
    """The layers of one image, on their way.

    Source of the words: moby, pkg/progress and distribution/pull_v2.go, push_v2.go; containerd's store has the same.
    """

    #: What is said of a layer at its end, or where there is nothing to do.
    _ENDED = ("Pull complete", "Already exists", "Pushed", "Layer already exists", "Mounted from")
    #: What is on its way over the network; "Extracting" counts the same bytes once more.
    _MOVING = ("Downloading", "Pushing")
    _MOVED = ("Verifying Checksum", "Download complete", "Extracting", *_ENDED)
    _ALL = ("Pulling fs layer", "Preparing", "Waiting", "Retrying", *_MOVING, *_MOVED)

    def __init__(self) -> None:
        self._step = ""
        #: By layer: how many bytes have come, and of how many.
        self._bytes: dict[str, tuple[int, int]] = {}
        self._ended: dict[str, bool] = {}

    def take(self, line: dict[str, Any]) -> bool:
        """Take a line; tells whether it was one of a layer."""
        layer, status = str(line.get("id") or ""), str(line.get("status") or "")
        if not layer or not status.startswith(self._ALL):
            return False
        self._step = status
        self._ended[layer] = status.startswith(self._ENDED)
        detail = line.get("progressDetail") or {}
        if status.startswith(self._MOVING) and detail.get("current") is not None:
            current = int(detail["current"])
            # The total is not known to all registries.
            self._bytes[layer] = current, max(current, int(detail.get("total") or 0))
        elif status.startswith(self._MOVED) and layer in self._bytes:
            self._bytes[layer] = (self._bytes[layer][1],) * 2
        return True

    @property
    def progress(self) -> Progress:
        moved = self._bytes.values()
        return Progress(
            self._step,
            number=min(sum(self._ended.values()) + 1, len(self._ended)),
            total=len(self._ended),
            done_bytes=sum(done for done, _ in moved) if moved else None,
            total_bytes=sum(total for _, total in moved) if moved else None,
        )
