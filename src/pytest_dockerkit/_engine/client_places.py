"""Finding an engine with docker-py: contexts, TLS, and whatever else it knows. Imported only where that is needed."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.context import ContextAPI
from docker.context.config import get_current_context_name
from docker.utils import kwargs_from_env

from pytest_dockerkit._engine.client import trust_what_is_given
from pytest_dockerkit._engine.connect import Place, usual_socket, variables_of_environment
from pytest_dockerkit._engine.wire import CALL_TIMEOUT_S
from pytest_dockerkit.errors import EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping


def place_in_environment() -> Place:
    """Find the engine by DOCKER_HOST, the active docker context, or the usual sockets.

    Raises:
        EngineUnavailableError: what is written there makes no sense.
    """
    if os.environ.get("DOCKER_HOST"):
        try:
            return Place(dict(kwargs_from_env()), "from DOCKER_HOST", variables_of_environment())
        except docker.errors.DockerException as failure:
            raise EngineUnavailableError(
                f"the engine at {os.environ['DOCKER_HOST']} cannot be reached with TLS",
                saw=str(failure),
                mend="correct DOCKER_CERT_PATH, or unset it and DOCKER_TLS_VERIFY",
            ) from None
    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
    try:
        found = ContextAPI.kwargs_from_context(environment=os.environ)
    except Exception as failure:  # noqa: BLE001  - docker-py raises just that for a file that it cannot read
        raise _no_context(name, str(failure)) from None
    if found.get("base_url"):
        return Place(dict(found), "from the active docker context", {"DOCKER_CONTEXT": name})
    usual = f"unix://{usual_socket()}"
    return Place({"base_url": usual}, "the usual socket", {"DOCKER_HOST": usual})


def place_of_context(name: str) -> Place:
    """Find the engine of a context.

    Raises:
        EngineUnavailableError: there is no such context.
    """
    try:
        found = ContextAPI.get_context(name)
    except docker.errors.ContextException as failure:
        raise _no_context(name, str(failure)) from None
    if found is None:
        raise _no_context(name, "no such context")
    options: dict[str, Any] = {"base_url": found.Host}
    if found.TLSConfig:
        options["tls"] = found.TLSConfig
    return Place(options, f"docker context {name!r}", {"DOCKER_CONTEXT": name})


def say_version(options: Mapping[str, Any]) -> dict[str, Any]:
    """Ask an engine what it is; docker-py's exceptions come out."""
    _knock(options.get("base_url"))
    # docker-py's "auto" asks for the version as well, and keeps only a part of the answer.
    asking = docker.APIClient(version=MINIMUM_DOCKER_API_VERSION, timeout=CALL_TIMEOUT_S, **options)
    trust_what_is_given(asking)
    try:
        said: dict[str, Any] = asking.version(api_version=False)
        return said
    finally:
        asking.close()


def _no_context(name: str, saw: str) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"the docker context {name!r} cannot be used", saw=saw, mend="`docker context ls` lists them"
    )


def _knock(url: str | None) -> None:
    """Connect to a local socket once: docker-py leaves its own open if nobody answers, and Python warns of that."""
    if url is not None and url.startswith("unix://") and hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.connect("/" + url.removeprefix("unix://").lstrip("/"))
