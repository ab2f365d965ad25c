"""Verbs on containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine import streams
from pytest_dockerkit._engine.base import Exit
from pytest_dockerkit._engine.translate import NotOnEngineError, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import docker

Json = dict[str, Any]


class Containers:
    """Verbs on containers; each takes a name or an id."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._api = client.api

    def create(self, name: str, body: Json, platform: str | None) -> str:
        """Create a container, and give its id."""
        with translated(f"create the container {name}", "see the engine's answer above; correct the field it names"):
            made: Json = self._api.create_container_from_config(body, name, platform)  # type: ignore[no-untyped-call]
            return str(made["Id"])

    def start(self, container: str) -> None:
        """Start it."""
        with translated("start the container", "see the engine's answer above; correct the field it names"):
            self._api.start(container)

    def inspect(self, container: str) -> Json:
        """Say all that the engine knows of it."""
        with translated(f"inspect the container {container}", "it was removed by something else"):
            found: Json = self._api.inspect_container(container)
            return found

    def remove(self, container: str) -> None:
        """Kill and remove it with its unnamed volumes; one that is gone is no failure."""
        try:
            with translated(f"remove the container {container}"):
                # One call: a stop before it would wait ten seconds for what ignores SIGTERM.
                self._api.remove_container(container, force=True, v=True)
        except NotOnEngineError:
            return

    def stop(self, container: str, timeout_s: float | None) -> None:
        """Ask it to stop, and kill it when it has not after a while."""
        with translated(f"stop {container}"):
            self._api.stop(container, timeout=None if timeout_s is None else round(timeout_s))

    def restart(self, container: str, timeout_s: float | None) -> None:
        """Stop and start it again."""
        with translated(f"restart {container}"):
            self._api.restart(container, timeout=10 if timeout_s is None else round(timeout_s))

    def kill(self, container: str, signal: str) -> None:
        """Send it a signal."""
        with translated(f"send {signal} to {container}", "it has to be running"):
            self._api.kill(container, signal)

    def pause(self, container: str) -> None:
        """Freeze its processes."""
        with translated(f"pause {container}", "it has to be running"):
            self._api.pause(container)

    def unpause(self, container: str) -> None:
        """Let its processes go on."""
        with translated(f"unpause {container}", "it has to be paused"):
            self._api.unpause(container)

    def logs(
        self,
        container: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        since_s: float | None = None,
        tail: int | None = None,
    ) -> bytes:
        """Give what it has printed.

        Args:
            container: which.
            stdout: its standard output.
            stderr: its standard error.
            since_s: from this time on, in seconds since the epoch by the engine's clock.
            tail: this many last lines.
        """
        with translated(f"read the log of {container}"):
            said: bytes = self._api.logs(
                container, stdout=stdout, stderr=stderr, since=since_s, tail="all" if tail is None else tail
            )
            return said

    def follow(self, container: str) -> Iterator[bytes]:
        """Give what it prints, as it comes, until it ends."""
        with translated(f"follow the log of {container}"):
            yield from self._api.logs(container, stream=True, follow=True)

    def exec(
        self,
        container: str,
        argv: Sequence[str],
        *,
        user: str = "",
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
        stdin: bytes | None = None,
        timeout_s: float | None = None,
    ) -> Exit:
        """Run a command in it, to its end.

        Raises:
            TimeoutError: it took longer than `timeout_s` seconds; it goes on in the container.
        """
        with translated(f"run {argv[0]} in {container}", "the container has to be running"):
            session = self._api.exec_create(
                container,
                list(argv),
                stdin=stdin is not None,
                user=user,
                environment=dict(env or {}),
                workdir=workdir,
            )["Id"]
            connection = self._api.exec_start(session, socket=True)
            try:
                stdout, stderr = streams.converse(connection, stdin, timeout_s)
            finally:
                connection.close()
            code = self._api.exec_inspect(session)["ExitCode"]
        return Exit(-1 if code is None else int(code), stdout, stderr)

    def begin_exec(self, container: str, argv: Sequence[str], user: str = "") -> str:
        """Begin a command in it without waiting, and give the session's id."""
        with translated(f"run {argv[0]} in {container}"):
            session = str(self._api.exec_create(container, list(argv), user=user)["Id"])
            self._api.exec_start(session, detach=True)
            return session

    def exec_result(self, session: str) -> int | None:
        """Give the exit code of a command that was begun, or None while it runs."""
        with translated("look after a command"):
            found = self._api.exec_inspect(session)
        return None if found["Running"] or found["ExitCode"] is None else int(found["ExitCode"])

    def put(self, container: str, directory: str, packed: bytes) -> None:
        """Unpack an archive into it; it need not be running."""
        with translated(
            f"copy files into {directory}",
            "the directory has to exist in the image, and a read-only root takes no files after its start",
        ):
            self._api.put_archive(container, directory, packed)

    def get(self, container: str, path: str) -> Iterator[bytes] | None:
        """Give an archive of a path in it, in pieces; None if there is no such path."""
        try:
            with translated(f"copy {path} out"):
                pieces, _ = self._api.get_archive(container, path)
        except NotOnEngineError:
            return None
        found: Iterator[bytes] = pieces
        return found

    def has(self, container: str, path: str) -> bool:
        """Tell whether there is anything at a path in it."""
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{container}/archive"
        with translated(f"look for {path}"):
            # docker-py has no call that only looks.
            response = self._api.head(url, params={"path": path}, timeout=self._api.timeout)
        return bool(response.status_code == 200)

    def stats(self, container: str) -> Json:
        """Measure once."""
        with translated(f"measure {container}"):
            found: Json = self._api.stats(container, stream=False)
            return found
