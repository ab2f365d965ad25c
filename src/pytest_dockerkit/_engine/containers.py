"""Verbs on containers."""

from __future__ import annotations

import base64
import json
import math
import posixpath
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine import streams
from pytest_dockerkit._engine.base import Exit
from pytest_dockerkit._engine.log_stream import LogStream
from pytest_dockerkit._engine.network_refusals import not_in_kernel, told_by
from pytest_dockerkit._engine.removing import remove_container
from pytest_dockerkit._engine.streaming import streamed, upgraded
from pytest_dockerkit._engine.translate import NO_CONTAINER, NOT_FOUND, translated
from pytest_dockerkit._engine.wire import CALL_TIMEOUT_S, AnswerError, SocketWire, ask, path_of
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit.errors import ContainerFileError, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_dockerkit._engine.answers import Answer
    from pytest_dockerkit._engine.client import Client
    from pytest_dockerkit._engine.tls import TlsWire
    from pytest_dockerkit._engine.wire import Query, Wire

Json = dict[str, Any]

#: How long a container has to stop where nobody says. Source: Engine API, ContainerStop, the default of StopTimeout.
_STOP_S = 10

#: How long the engine may take to note that a command has ended whose output has, in seconds.
_NOTED_S = 5.0

_REPLACES = r'cannot overwrite (?P<kind>directory|non-directory) \\?"(?P<path>[^"\\]+)\\?"'


class Containers:
    """Verbs on containers; each takes a name or an id."""

    def __init__(self, wire: Wire, client: Client) -> None:
        self._wire = wire
        self._client = client

    def create(self, name: str, body: Json, platform: str | None) -> str:
        """Create a container, and give its id."""
        with translated(f"create the container {name}", "see the engine's answer above; correct the field it names"):
            query = {"name": name, "platform": platform}
            return str(ask(self._wire, "POST", "/containers/create", query=query, body=body)["Id"])

    def start(self, container: str) -> None:
        """Start it."""
        mend = "see the engine's answer above; correct the field it names"
        with told_by(not_in_kernel), translated("start the container", mend):
            ask(self._wire, "POST", path_of("containers", container, "start"))

    def inspect(self, container: str) -> Json:
        """Say all that the engine knows of it."""
        with translated(f"inspect the container {container}"):
            found: Json = ask(self._wire, "GET", path_of("containers", container, "json"))
            return found

    def remove(self, container: str) -> None:
        """Kill and remove it with its unnamed volumes; one that is gone is no failure."""
        remove_container(self._wire, container)

    def stop(self, container: str, timeout_s: float | None) -> None:
        """Ask it to stop, and kill it when it has not after a while."""
        with translated(f"stop {container}"):
            whole_s = None if timeout_s is None else math.ceil(timeout_s)
            longer_s = _STOP_S if whole_s is None else max(0, whole_s)
            query = {"t": whole_s}
            path = path_of("containers", container, "stop")
            ask(self._wire, "POST", path, query=query, timeout_s=CALL_TIMEOUT_S + longer_s)

    def kill(self, container: str, signal: str) -> None:
        """Send it a signal."""
        with translated(f"send {signal} to {container}", "it has to be running"):
            ask(self._wire, "POST", path_of("containers", container, "kill"), query={"signal": signal})

    def pause(self, container: str) -> None:
        """Freeze its processes."""
        with translated(f"pause {container}", "it has to be running, and not to be paused"):
            ask(self._wire, "POST", path_of("containers", container, "pause"))

    def unpause(self, container: str) -> None:
        """Let its processes go on."""
        with translated(f"unpause {container}", "it has to be paused"):
            ask(self._wire, "POST", path_of("containers", container, "unpause"))

    def logs(
        self,
        container: str,
        *,
        only: str | None = None,
        since_s: float | None = None,
        tail: int | None = None,
    ) -> bytes:
        """Give what it has printed.

        Args:
            container: which.
            only: "stdout" or "stderr"; None for both.
            since_s: from this time on, in seconds since the epoch by the engine's clock.
            tail: this many last lines.
        """
        return b"".join(
            LogStream(
                self._wire, self._client, container, follow=False, since_s=since_s or None, only=only, tail=tail
            )
        )

    def follow(self, container: str, *, since_s: float | None = None) -> LogStream:
        """Give what it prints, as it comes, until it ends or someone hangs up.

        Args:
            container: which.
            since_s: from this time on, in seconds since the epoch by the engine's clock.
        """
        return LogStream(self._wire, self._client, container, since_s=since_s)

    def said(self, container: str, *, since_s: float | None = None) -> LogStream:
        """Give what it has printed until now, piece by piece: a log may be larger than what fits into the memory."""
        return LogStream(self._wire, self._client, container, follow=False, since_s=since_s)

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
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with translated(f"run {argv[0]} in {container}", "the container has to be running"):
            asked: Json = {"User": user, "Env": [f"{key}={value}" for key, value in (env or {}).items()]}
            asked |= {"AttachStdin": stdin is not None} | ({} if workdir is None else {"WorkingDir": workdir})
            session = self._exec_session(container, argv, asked)
            stdout, stderr = self._converse(session, stdin, timeout_s)
        return Exit(self._exit_code(session, argv, deadline), stdout, stderr)

    def _converse(self, session: str, stdin: bytes | None, timeout_s: float | None) -> tuple[bytes, bytes]:
        wire: SocketWire | TlsWire | None = self._wire if isinstance(self._wire, SocketWire) else None
        if wire is None and stdin is not None and self._client.api.base_url.startswith("https://"):
            from pytest_dockerkit._engine.tls import TlsWire

            wire = TlsWire(self._client.api, self._wire.prefix)
        if wire is not None:
            begin = {"Detach": False, "Tty": False}
            with upgraded(wire, path_of("exec", session, "start"), begin) as (connection, receive):
                return streams.converse(connection, stdin, timeout_s, receive)
        given = self._client.api.exec_start(session, socket=True)
        with streams.closing(given):
            return streams.converse(given, stdin, timeout_s)

    def _exit_code(self, session: str, argv: Sequence[str], deadline: float | None) -> int:
        code: int | None = None

        def look() -> Look:
            nonlocal code
            code = self.exec_result(session)
            return Look(code is not None)

        left_s = _NOTED_S if deadline is None else max(0.0, min(_NOTED_S, deadline - time.monotonic()))
        until_ready(look, timeout_s=left_s)
        if code is None and deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError
        if code is None:
            raise EngineError(
                "the connection ended before the command did",
                saw=f"{list(argv)} still runs",
                mend="look what cuts connections to the engine; a command that closes its output has no exit code",
            )
        return code

    def begin_exec(self, container: str, argv: Sequence[str], user: str = "") -> str:
        """Begin a command in it without waiting, and give the session's id."""
        with translated(f"run {argv[0]} in {container}"):
            session = self._exec_session(container, argv, {"User": user})
            ask(self._wire, "POST", path_of("exec", session, "start"), body={"Detach": True, "Tty": False})
            return session

    def _exec_session(self, container: str, argv: Sequence[str], asked: Json) -> str:
        body = {"Cmd": list(argv), "AttachStdout": True, "AttachStderr": True, **asked}
        return str(ask(self._wire, "POST", path_of("containers", container, "exec"), body=body)["Id"])

    def exec_result(self, session: str) -> int | None:
        """Give the exit code of a command that was begun, or None while it runs."""
        with translated("look after a command"):
            found = ask(self._wire, "GET", path_of("exec", session, "json"))
        return None if found["Running"] or found["ExitCode"] is None else int(found["ExitCode"])

    def put(self, container: str, directory: str, packed: bytes) -> None:
        """Unpack an archive into it; it need not be running."""
        # Else a file would take the place of a directory, with all that is in it.
        query: Query = {"path": directory, "noOverwriteDirNonDir": 1}
        with translated(
            f"copy files into {directory}",
            "the directory has to exist in the image, and a read-only root takes no files after its start",
        ):
            answer = self._wire.call("PUT", path_of("containers", container, "archive"), query=query, body=packed)
            if answer.status < 400:
                return
            if kept := re.search(_REPLACES, answer.message):
                # Engines from 25 name the path as it is in the archive, older ones the whole.
                raise _would_replace(kept["kind"], posixpath.join(directory, kept["path"]))
            raise AnswerError(answer.status, answer.message)

    @contextmanager
    def get(self, container: str, path: str) -> Iterator[Iterator[bytes] | None]:
        """Give an archive of a path in it, in pieces, for the block; None if there is no such path."""
        with translated(f"copy {path} out"):
            query: Query = {"path": path}
            with streamed(self._wire, self._client, path_of("containers", container, "archive"), query) as stream:
                if stream.status == NOT_FOUND:
                    said = stream.message()
                    if re.search(NO_CONTAINER, said):
                        raise AnswerError(stream.status, said)
                    yield None
                else:
                    stream.check()
                    yield iter(stream.pieces)

    def has(self, container: str, path: str) -> bool:
        """Tell whether there is anything at a path in it."""
        with translated(f"look for {path}"):
            return self._look(container, path).status == 200

    def real_path(self, container: str, path: str) -> str:
        """Say where a path leads when all links are followed; a path that is not there leads to itself.

        Raises:
            ContainerFileError: the links go in a circle.
        """
        with translated(f"look for {path}"):
            answer = self._look(container, path)
            if answer.status >= 500:
                # An answer to HEAD has no text.
                raise ContainerFileError(f"{path} cannot be read", saw="links in a circle", mend="correct the links")
            described = answer.headers.get("x-docker-container-path-stat")
            found: Json = json.loads(base64.b64decode(described)) if described else {}
            return str(found.get("linkTarget") or path)

    def _look(self, container: str, path: str) -> Answer:
        return self._wire.call("HEAD", path_of("containers", container, "archive"), query={"path": path})

    def stats(self, container: str) -> Json:
        """Measure once."""
        with translated(f"measure {container}"):
            found: Json = ask(self._wire, "GET", path_of("containers", container, "stats"), query={"stream": 0})
            return found


def _would_replace(kind: str, path: str) -> ContainerFileError:
    if kind == "directory":
        return ContainerFileError(
            f"{path} is a directory",
            saw="a file would replace it with all that is in it",
            mend=f'name the file in it, "{path}/…"; copy_in() takes "{path}/" too',
        )
    return ContainerFileError(
        f"{path} is no directory, or a link to one",
        saw="a directory would replace it",
        mend="correct the path, or remove what is there before",
    )
