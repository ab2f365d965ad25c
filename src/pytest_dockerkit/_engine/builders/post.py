"""The request that both builders of the Engine API make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from pytest_dockerkit._engine.builders import needs
from pytest_dockerkit._engine.builders.failure import Failure, failed
from pytest_dockerkit._engine.client import import_docker
from pytest_dockerkit._engine.translate import translated

if TYPE_CHECKING:
    from pytest_dockerkit._engine.build_request import BuildRequest
    from pytest_dockerkit._engine.client import Client

#: How much of the context is handed to the connection at a time, in bytes.
_PIECE_BYTES = 1024 * 1024


class Post:
    """Asks an engine to build."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(
        self, request: BuildRequest, packed: IO[bytes], *, version: str, args: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        """Send a context, and give the engine's answers as they come.

        Args:
            request: what is wanted.
            packed: the archive of the context.
            version: "1" is the classic builder, "2" is BuildKit.
            args: the build args.

        Raises:
            BuildError: it refuses the request.
            EngineError: it went away, or took too long.
        """
        import_docker()
        import docker.errors

        with translated(f"build {request.title}"):
            api: Any = self._client.api
        headers = {"Content-Type": "application/x-tar"}
        if version == "1":
            # The credentials of all registries, as docker-py's own build() sends them; that one can neither ask for
            # BuildKit nor read its answer. BuildKit does not look at them: it asks a session. A helper that fails is
            # no failure of a build that may need none, as for the command line.
            with suppress(docker.errors.DockerException, UserWarning):
                api._set_auth_headers(headers)  # noqa: SLF001
        proxies = api._proxy_configs.get_environment()  # noqa: SLF001
        params = self._params(request, version, {**proxies, **args})
        with translated(f"build {request.title}"):
            response = api.post(
                f"{api.base_url}/v{api.api_version}/build",
                params=params,
                # In pieces: requests would ask for the file's number, and so force it onto the disk.
                data=iter(lambda: packed.read(_PIECE_BYTES), b""),
                headers=headers,
                stream=True,
                timeout=None,
            )
            with response:
                if response.status_code >= 400:
                    raise failed(request, Failure(_message(response.text)))
                for line in response.iter_lines():
                    if line:
                        yield json.loads(line)

    @staticmethod
    def _params(request: BuildRequest, version: str, args: Mapping[str, str]) -> list[tuple[str, str]]:
        params: list[tuple[str, str]] = [
            ("version", version),
            ("dockerfile", request.context.dockerfile_name),
            ("buildargs", json.dumps(dict(args))),
            ("labels", json.dumps(dict(request.labels))),
            ("rm", "1"),
            ("forcerm", "1"),
            *(("t", tag) for tag in request.tags),
        ]
        if request.target:
            params.append(("target", request.target))
        if request.nocache:
            params.append(("nocache", "1"))
        if request.platform:
            params.append(("platform", request.platform))
        if references := list(needs.cache_references(request.cache_from)):
            params.append(("cachefrom", json.dumps(references)))
        return params


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
