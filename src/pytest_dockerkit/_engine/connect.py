"""Finding an engine and asking what it can do."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.context import ContextAPI
from docker.context.config import get_current_context_name
from docker.utils import kwargs_from_env

from pytest_dockerkit._engine.base import EngineFacts
from pytest_dockerkit.errors import EngineUnavailableError

#: How long one call may be silent, in seconds; a pull or a build streams, so that this bounds its pauses.
CALL_TIMEOUT_S = 120


def connect(host: str | None = None, context: str | None = None) -> tuple[docker.DockerClient, EngineFacts]:
    """Reach the engine: the one that is named, else the one that the docker command line would use.

    Order: `host`, `context`, DOCKER_HOST, the active docker context, the usual sockets.

    Raises:
        EngineUnavailableError: none answers.
    """
    options, how = _options(host, context)
    try:
        _knock(options.get("base_url"))
        # docker-py's "auto" asks for the version as well, and keeps only a part of the answer.
        asking = docker.APIClient(version=MINIMUM_DOCKER_API_VERSION, timeout=CALL_TIMEOUT_S, **options)
        said = asking.version(api_version=False)
        asking.close()
        client = docker.DockerClient(version=str(said["ApiVersion"]), timeout=CALL_TIMEOUT_S, **options)
        facts = _facts(said, options.get("base_url") or how)
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, ValueError) as failure:
        raise EngineUnavailableError(
            f"no Docker engine answers at {options.get('base_url') or how}",
            saw=_reason(failure),
            mend=f"start it (`docker info` should answer), or name another: --dockerkit-host, DOCKER_HOST ({how})",
        ) from None
    return client, facts


def variables_for_command(host: str | None = None, context: str | None = None) -> dict[str, str]:
    """Give the variables by which the docker command line finds the same engine as `connect`, as things are now."""
    if host:
        return {"DOCKER_HOST": host}
    if context:
        return {"DOCKER_CONTEXT": context}
    if os.environ.get("DOCKER_HOST"):
        names = ("DOCKER_HOST", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
        return {name: os.environ[name] for name in names if name in os.environ}
    if ContextAPI.kwargs_from_context(environment=os.environ).get("base_url"):
        return {"DOCKER_CONTEXT": os.environ.get("DOCKER_CONTEXT") or get_current_context_name()}
    return {"DOCKER_HOST": _usual_socket()}


def _knock(url: str | None) -> None:
    """Connect to a local socket once: docker-py leaves its own open if nobody answers, and Python warns of that."""
    if url is not None and url.startswith("unix://") and hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.connect("/" + url.removeprefix("unix://").lstrip("/"))


def _options(host: str | None, context: str | None) -> tuple[dict[str, Any], str]:
    if host:
        return {"base_url": host}, "given as --dockerkit-host"
    if context:
        return _of_context(context), f"docker context {context!r}"
    if os.environ.get("DOCKER_HOST"):
        return dict(kwargs_from_env()), "from DOCKER_HOST"
    from_context = ContextAPI.kwargs_from_context(environment=os.environ)
    if from_context.get("base_url"):
        return dict(from_context), "from the active docker context"
    return {"base_url": _usual_socket()}, "the usual socket"


def _of_context(name: str) -> dict[str, Any]:
    try:
        found = ContextAPI.get_context(name)
    except docker.errors.ContextException as failure:
        raise _no_context(name, str(failure)) from None
    if found is None:
        raise _no_context(name, "no such context")
    options: dict[str, Any] = {"base_url": found.Host}
    if found.TLSConfig:
        options["tls"] = found.TLSConfig
    return options


def _no_context(name: str, saw: str) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"the docker context {name!r} cannot be used", saw=saw, mend="`docker context ls` lists them"
    )


def _usual_socket() -> str:
    candidates = [Path("/var/run/docker.sock")]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        candidates.append(Path(runtime) / "docker.sock")
    candidates += [Path.home() / ".docker/run/docker.sock", Path.home() / ".docker/desktop/docker.sock"]
    there = next((each for each in candidates if each.exists()), candidates[0])
    return f"unix://{there}"


def _facts(said: dict[str, Any], host: str) -> EngineFacts:
    major, _, minor = str(said["ApiVersion"]).partition(".")
    parts = [str(each.get("Name", "")) for each in said.get("Components") or ()]
    return EngineFacts(
        host=host,
        version=str(said.get("Version", "")),
        api=(int(major), int(minor)),
        os=str(said.get("Os", "linux")),
        podman=any("podman" in each.lower() for each in parts),
        arch=str(said.get("Arch", "")),
    )


def _reason(failure: Exception) -> str:
    """Take the last link of the chain that docker-py wraps around what the socket said."""
    cause: BaseException = failure
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return f"{type(cause).__name__}: {cause}"
