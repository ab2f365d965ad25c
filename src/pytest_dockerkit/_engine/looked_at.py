"""Where an engine is looked for, and what each of these places says: for whom no engine answers."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pytest_dockerkit._engine.connect import configuration, place_of, usual_sockets
from pytest_dockerkit._engine.finding import NOTE, OK, WRONG, Finding
from pytest_dockerkit._engine.wire import AnswerError, SilenceError, SocketWire, ask
from pytest_dockerkit.errors import EngineUnavailableError

#: How long a socket may take to say its version, in seconds. It takes 5 ms; one that is silent is broken.
_PATIENCE_S = 5.0

_MENDS: tuple[tuple[type[Exception], str], ...] = (
    (
        PermissionError,
        "let your user reach it: `sudo usermod -aG docker $USER`, and log in anew; or use a rootless engine",
    ),
    (FileNotFoundError, "install an engine, or start it: `sudo systemctl start docker`, or Docker Desktop"),
    (ConnectionRefusedError, "start the engine: `sudo systemctl start docker`, or Docker Desktop"),
)


class _Knocked(NamedTuple):
    said: str
    answers: bool
    failure: OSError | None = None


def look_around(host: str | None, context: str | None) -> list[Finding]:
    """Say of each place in the order in which they are looked at, whether it is set, and what the sockets say.

    Args:
        host: the address that the options give.
        context: the context that they give.
    """
    settings = configuration()
    current = None if settings is None else settings.get("currentContext")
    said = [
        Finding("--dockerkit-host", _given(host)),
        Finding("--dockerkit-context", _given(context)),
        Finding("DOCKER_HOST", _given(os.environ.get("DOCKER_HOST"))),
        Finding("docker context", os.environ.get("DOCKER_CONTEXT") or str(current or "default")),
    ]
    if settings is None:
        said[-1] = Finding(
            "docker context", "docker's configuration file makes no sense", WRONG, "correct ~/.docker/config.json"
        )
    for path in usual_sockets():
        knocked = _knock(path)
        said.append(Finding(f"unix://{path}", knocked.said, OK if knocked.answers else NOTE))
    return said


def none_answers(failure: EngineUnavailableError, host: str | None, context: str | None) -> Finding:
    """Say that no engine answers, and what would mend that.

    Args:
        failure: what `connect` has raised.
        host: the address that the options give.
        context: the context that they give.
    """
    try:
        place = place_of(host, context)
    except EngineUnavailableError:
        return Finding("engine", f"{failure.what}: {failure.saw}", WRONG, failure.mend)
    others = [path for path in usual_sockets() if str(path) != place.socket and _knock(path).answers]
    mend = failure.mend
    if place.socket is not None and (reason := _knock(Path(place.socket)).failure) is not None:
        mend = next((text for kind, text in _MENDS if isinstance(_cause(reason), kind)), mend)
    if others:
        mend = f"an engine answers at unix://{others[0]}: name it in --dockerkit-host; or else {mend}"
    return Finding("engine", f"none answers at {place.address} ({place.how}): {failure.saw}", WRONG, mend)


def _given(value: str | None) -> str:
    return value or "not set"


def _knock(path: Path) -> _Knocked:
    with closing(SocketWire(str(path))) as wire:
        try:
            said = ask(wire, "GET", "/version", timeout_s=_PATIENCE_S)
        except OSError as failure:
            return _Knocked(_reason(failure), answers=False, failure=failure)
        except (AnswerError, SilenceError, ValueError) as failure:
            return _Knocked(str(failure), answers=False)
    version = said.get("Version", "?") if isinstance(said, dict) else "?"
    return _Knocked(f"an engine answers, version {version}", answers=True)


def _cause(failure: BaseException) -> BaseException:
    """Take what the system said; the wire makes a ConnectionError of it."""
    return failure.__cause__ or failure


def _reason(failure: OSError) -> str:
    cause = _cause(failure)
    if isinstance(cause, FileNotFoundError):
        return "is not there"
    if isinstance(cause, PermissionError):
        return "is there, and your user may not use it"
    return "is there, and nobody listens" if isinstance(cause, ConnectionRefusedError) else str(cause)
