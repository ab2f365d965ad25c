"""What docker-py raises. Imported only when something was raised, or docker-py is there anyway."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

import docker.errors
import requests.exceptions
import urllib3.exceptions

from pytest_dockerkit._engine.translate import refusal, took_too_long, went_away
from pytest_dockerkit._engine.wire import AnswerError
from pytest_dockerkit.errors import EngineError

if TYPE_CHECKING:
    from pytest_dockerkit.errors import DockerkitError

_TOO_LONG = (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)
#: What is read as it comes is read below requests, whose own exceptions are not raised there.
_NO_SERVICE = (
    requests.exceptions.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    ConnectionError,
)


def client_error(doing: str, failure: Exception, mend: str = "") -> DockerkitError | None:
    """Make our error out of one of docker-py's; None if it is none."""
    if (answer := answer_of(failure)) is not None:
        return refusal(doing, answer, mend)
    if isinstance(failure, _TOO_LONG):
        return took_too_long(doing, failure)
    if isinstance(failure, _NO_SERVICE) or type(failure).__module__.startswith("paramiko."):
        return went_away(doing, failure)
    if isinstance(failure, docker.errors.DockerException):
        return EngineError(f"the engine could not {doing}", saw=str(failure), mend=mend)
    return None


def answer_of(failure: Exception) -> AnswerError | None:
    """Give the engine's answer that docker-py has made an exception of; None if there was none."""
    if not isinstance(failure, docker.errors.APIError):
        return None
    return AnswerError(failure.status_code, str(failure.explanation or failure))


def is_of_docker(failure: Exception) -> bool:
    """Tell whether docker-py raised it itself, not what it is made of."""
    return isinstance(failure, docker.errors.DockerException)
