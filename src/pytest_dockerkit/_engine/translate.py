"""Foreign exceptions in, ours out."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_dockerkit._engine.wire import AnswerError, SilenceError
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

__all__ = ["NOT_FOUND", "NO_CONTAINER", "ConflictError", "NotOnEngineError", "of_client", "refusal", "translated"]

#: How engines say that a host port is in use: Docker's allocator, the kernel, and both since Docker 28.
_PORT_TAKEN = (
    r"Bind for (\S+) failed: port is already allocated"
    r"|listen \w+ (\S+): bind: address already"
    r"|bind host port(?: for)? (\S+?:\d+)\S*: (?:address already in use|port is already allocated)"
)
_NO_PROGRAM = r'exec: \\?"(?P<program>[^"\\]+)\\?": (?P<why>[^:]+)'
NOT_FOUND = 404
NO_CONTAINER = r"No such container: (?P<name>[^\s:]+)"

#: Whose exceptions docker-py lets out: its own, and those of what it is made of.
_OF_CLIENT = frozenset({"docker", "requests", "urllib3", "http", "paramiko"})


@contextmanager
def translated(doing: str, mend: str = "") -> Iterator[None]:
    """Let no exception of the wire, of docker-py or of requests out.

    Args:
        doing: what the engine was asked for, after "the engine could not".
        mend: what the user can do about it, if that is known.
    """
    try:
        yield
    except DockerkitError:
        # Some are connection errors too, as EngineUnavailableError.
        raise
    except AnswerError as failure:
        raise refusal(doing, failure, mend) from None
    except SilenceError as failure:
        raise took_too_long(doing, failure) from None
    except Exception as failure:
        if of_client(failure):
            from pytest_dockerkit._engine.client_errors import client_error

            if (error := client_error(doing, failure, mend)) is not None:
                raise error from None
        # The latter is what ssh's client has for a connection that has ended.
        if isinstance(failure, ConnectionError | EOFError):
            raise went_away(doing, failure) from None
        raise


def of_client(failure: Exception) -> bool:
    """Tell whether an exception may come from docker-py, without importing it to see."""
    return any(each.__module__.partition(".")[0] in _OF_CLIENT for each in type(failure).__mro__)


def refusal(doing: str, answer: AnswerError, mend: str = "") -> EngineError | ContainerError:
    """Make our error out of the engine's answer."""
    said = answer.said.strip()
    if taken := re.search(_PORT_TAKEN, said):
        return PortTakenError(
            f"the host port {taken[1] or taken[2] or taken[3]} is taken",
            saw=said,
            mend="free it, or name only the container's port (ports=[80]) and let the engine choose a free one",
        )
    if missing := re.search(_NO_PROGRAM, said):
        return ContainerError(
            f"the container's program {missing['program']!r} cannot be run",
            saw=said,
            mend="correct command= or entrypoint=; it has to be in the image, and in its PATH or absolute",
        )
    if answer.status == NOT_FOUND and (gone := re.search(NO_CONTAINER, said)):
        return ContainerRemovedError(
            f"container {gone['name']!r} was removed",
            saw=gone[0],
            mend="use it before its `with` block ends, and before remove(); else something else removed it",
        )
    kinds: dict[int | None, type[EngineError]] = {NOT_FOUND: NotOnEngineError, 409: ConflictError}
    kind = kinds.get(answer.status, EngineError)
    return kind(f"the engine could not {doing}", saw=said, mend=mend or "see the engine's answer above")


def took_too_long(doing: str, failure: Exception) -> EngineError:
    """Make our error for an engine that is silent."""
    return EngineError(
        f"the engine took too long to {doing}",
        saw=str(failure),
        mend="look whether the machine is overloaded; `docker info` should answer at once",
    )


def went_away(doing: str, failure: Exception) -> EngineUnavailableError:
    """Make our error for an engine that does not answer."""
    return EngineUnavailableError(
        f"the engine went away while it was to {doing}",
        saw=str(failure),
        mend="look whether it still runs: `docker info`",
    )
