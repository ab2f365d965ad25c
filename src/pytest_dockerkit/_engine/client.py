"""docker-py's client, which takes 60 ms to import: made when something needs it, and not before."""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.answers import Answer
from pytest_dockerkit._engine.translate import went_away
from pytest_dockerkit._engine.wire import CALL_TIMEOUT_S, written
from pytest_dockerkit.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient
    from docker.api import APIClient

    from pytest_dockerkit._engine.wire import Query


class Client:
    """Makes docker-py's client, once, for whichever thread comes first."""

    def __init__(self, options: Mapping[str, Any], version: str) -> None:
        """Nothing is imported yet.

        Args:
            options: what docker-py is told of the engine.
            version: the API that is spoken; it is known, so that docker-py need not ask.
        """
        self._options = options
        self._version = version
        self._made: DockerClient | None = None
        self._making = threading.Lock()

    @property
    def docker(self) -> DockerClient:
        """docker-py's client.

        Raises:
            EngineError: docker-py cannot read docker's configuration.
        """
        with self._making:
            if self._made is None:
                self._made = self._make()
            return self._made

    @property
    def api(self) -> APIClient:
        """docker-py's low-level client."""
        return self.docker.api

    def _make(self) -> DockerClient:
        import_docker()
        import docker

        try:
            made = docker.DockerClient(version=self._version, timeout=CALL_TIMEOUT_S, **self._options)
            trust_what_is_given(made.api)
        except Exception as failure:  # noqa: BLE001  - of a configuration that it does not expect, it raises anything
            if type(failure).__module__.startswith("paramiko."):
                # Over ssh it connects at once.
                raise went_away("let docker-py in", failure) from None
            raise EngineError(
                "docker-py cannot be set up",
                saw=f"{type(failure).__name__}: {failure}",
                mend="correct docker's configuration (~/.docker/config.json, or that in DOCKER_CONFIG)",
            ) from None
        return made

    def close(self) -> None:
        """Close its connections, if it was ever made."""
        if self._made is not None:
            self._made.close()


class ClientWire:
    """The wire to all other engines, over docker-py's connections: TCP, TLS, ssh, named pipes."""

    def __init__(self, client: Client, headers: Mapping[str, str], prefix: str) -> None:
        self.prefix = prefix
        self._client = client
        self._headers = headers

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Answer:
        """Ask, and give the answer, whatever it is; docker-py's exceptions come out."""
        api = self._client.api
        request = written(self.prefix, path, query, body, self._headers)
        try:
            said = api.request(
                method,
                f"{api.base_url}{request.target}",
                data=request.body,
                headers=dict(request.headers),
                timeout=timeout_s,
                allow_redirects=False,
            )
        except AttributeError as failure:
            # What docker-py comes to where its connection by ssh has ended.
            if not api.base_url.startswith("http+docker://ssh"):
                raise
            raise ConnectionResetError("the connection by ssh has ended") from failure
        return Answer(said.status_code, {key.lower(): value for key, value in said.headers.items()}, said.content)

    def close(self) -> None:
        """Leave the connections to the client, whose they are."""


def trust_what_is_given(api: APIClient) -> None:
    """Let docker-py trust the certificates that are given for the engine, whatever the environment says.

    Requests takes REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE before those of a session, and no engine's own authority is
    among them. Source: requests, sessions.py, merge_environment_settings.
    """
    merge = api.merge_environment_settings

    def merged(url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        return merge(url, proxies, stream, api.verify if verify is None else verify, cert)

    if api.verify is not True:
        api.merge_environment_settings = merged  # type: ignore[method-assign]


#: Held while docker-py is imported.
IMPORTING = threading.RLock()


def import_docker() -> None:
    """Import docker-py and what it stands on, one thread at a time.

    Where one thread imports a package while another imports a module in it, each holds what the other waits for.
    Python ends that by giving one of them a module that is not whole: "module 'requests' has no attribute
    'exceptions'".
    """
    with IMPORTING:
        for name in ("docker.errors", "requests.exceptions", "urllib3.exceptions"):
            importlib.import_module(name)
