"""Foreign exceptions in, ours out."""

from __future__ import annotations

import http.client
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import docker.errors
import requests.exceptions
import urllib3.exceptions

from pytest_dockerkit.errors import (
    ConflictError,
    ContainerError,
    ContainerRemovedError,
    DockerkitError,
    EngineError,
    EngineUnavailableError,
    NotOnEngineError,
    PortTakenError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NOT_FOUND", "NO_CONTAINER", "ConflictError", "NotOnEngineError", "refusal", "translated"]

#: How engines say that a host port is in use: Docker's allocator, the kernel, and both since Docker 28.
_PORT_TAKEN = re.compile(
    r"Bind for (\S+) failed: port is already allocated"
    r"|listen \w+ (\S+): bind: address already"
    r"|bind host port(?: for)? (\S+?:\d+)\S*: (?:address already in use|port is already allocated)"
)
_NO_PROGRAM = re.compile(r'exec: \\?"(?P<program>[^"\\]+)\\?": (?P<why>[^:]+)')
NOT_FOUND = 404
NO_CONTAINER = re.compile(r"No such container: (?P<name>[^\s:]+)")
_TOO_LONG = (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)
#: What is read as it comes is read below requests, whose own exceptions are not raised there.
_NO_SERVICE = (
    requests.exceptions.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    ConnectionError,
)


@contextmanager
def translated(doing: str, mend: str = "") -> Iterator[None]:
    """Let no exception of docker-py or requests out.

    Args:
        doing: what the engine was asked for, after "the engine could not".
        mend: what the user can do about it, if that is known.
    """
    try:
        yield
    except DockerkitError:
        # Some are connection errors too, as EngineUnavailableError.
        raise
    except docker.errors.APIError as failure:
        raise refusal(doing, failure, mend) from None
    except _TOO_LONG as failure:
        raise EngineError(
            f"the engine took too long to {doing}",
            saw=str(failure),
            mend="look whether the machine is overloaded; `docker info` should answer at once",
        ) from None
    except _NO_SERVICE as failure:
        raise EngineUnavailableError(
            f"the engine went away while it was to {doing}",
            saw=str(failure),
            mend="look whether it still runs: `docker info`",
        ) from None
    except docker.errors.DockerException as failure:
        raise EngineError(f"the engine could not {doing}", saw=str(failure), mend=mend) from None


def refusal(doing: str, failure: docker.errors.APIError, mend: str = "") -> EngineError | ContainerError:
    """Make our error out of the engine's answer."""
    said = str(failure.explanation or failure).strip()
    if taken := _PORT_TAKEN.search(said):
        return PortTakenError(
            f"the host port {taken[1] or taken[2] or taken[3]} is taken",
            saw=said,
            mend="free it, or name only the container's port (ports=[80]) and let the engine choose a free one",
        )
    if missing := _NO_PROGRAM.search(said):
        return ContainerError(
            f"the container's program {missing['program']!r} cannot be run",
            saw=said,
            mend="correct command= or entrypoint=; it has to be in the image, and in its PATH or absolute",
        )
    if failure.status_code == NOT_FOUND and (gone := NO_CONTAINER.search(said)):
        return ContainerRemovedError(
            f"container {gone['name']!r} was removed",
            saw=gone[0],
            mend="use it before its `with` block ends, and before remove(); else something else removed it",
        )
    kinds: dict[int | None, type[EngineError]] = {NOT_FOUND: NotOnEngineError, 409: ConflictError}
    kind = kinds.get(failure.status_code, EngineError)
    return kind(f"the engine could not {doing}", saw=said, mend=mend or "see the engine's answer above")
