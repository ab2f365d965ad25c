"""The Engine API over its local socket, by hand: what the floor is measured with.

One connection that is kept open, one request at a time, no library. It knows what the benchmarks need, and no more.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import IO, Any
from urllib.parse import quote

DEFAULT_SOCKET = "/var/run/docker.sock"


class RawError(OSError):
    """The engine answered with an error."""

    def __init__(self, status: int, request: str, body: bytes) -> None:
        super().__init__(f"{request}: {status} {body.decode(errors='replace').strip()}")
        self.status = status


def socket_path() -> str:
    """Give the path of the engine's socket.

    Raises:
        ValueError: the engine is not on a socket of this machine.
    """
    host = os.environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
    if not host.startswith("unix://"):
        raise ValueError(f"the benchmarks need an engine on a local socket; DOCKER_HOST is {host}")
    return host.removeprefix("unix://")


class Engine:
    """A connection to the engine. Not for several threads at once: each has one of its own."""

    def __init__(self, path: str | None = None) -> None:
        self._path = socket_path() if path is None else path
        self._socket: socket.socket | None = None
        self._answer: IO[bytes] | None = None

    def call(self, verb: str, path: str, body: object = None, *, tar: bytes | None = None) -> Any:
        """Make one request: its answer as JSON, as text lines of JSON, or None when it has no body."""
        self._send(verb, path, body, tar)
        assert self._answer is not None
        status, headers = _head(self._answer)
        content = _body(self._answer, status, headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        if status >= 400:
            raise RawError(status, f"{verb} {path}", content)
        if not content.strip():
            return None
        try:
            return json.loads(content)
        except ValueError:
            return content.decode(errors="replace")

    def stream(self, path: str) -> IO[bytes]:
        """Open an answer that does not end; it is read by lines. The connection is used up."""
        self._send("GET", path, None, None)
        assert self._answer is not None
        status, headers = _head(self._answer)
        if status >= 400:
            raise RawError(status, f"GET {path}", _body(self._answer, status, headers))
        return self._answer

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._socket is not None and self._answer is not None:
            # First: a reader in another thread wakes up only by this, and holds what is closed next until it does.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._answer.close()
            self._socket.close()
        self._socket = self._answer = None

    def _send(self, verb: str, path: str, body: object, tar: bytes | None) -> None:
        kind = "application/json" if tar is None else "application/x-tar"
        content = tar if tar is not None else b"" if body is None else json.dumps(body).encode()
        head = f"{verb} {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: {kind}\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.connect(self._path)
            self._answer = self._socket.makefile("rb")
        self._socket.sendall(head.encode() + content)

    # What the suites by hand do.

    def start(self, image: str, *, network: str | None = None) -> str:
        """Create and start a container whose port 80 is published on a free port of the loopback."""
        host = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}
        if network is not None:
            host["NetworkMode"] = network  # type: ignore[assignment]
        spec = {"Image": image, "ExposedPorts": {"80/tcp": {}}, "HostConfig": host}
        made = self.call("POST", "/containers/create", spec)["Id"]
        self.call("POST", f"/containers/{made}/start")
        return str(made)

    def url(self, container: str) -> str:
        """Give the address of the published port."""
        ports = self.call("GET", f"/containers/{container}/json")["NetworkSettings"]["Ports"]
        return f"http://127.0.0.1:{ports['80/tcp'][0]['HostPort']}"

    def remove(self, container: str) -> None:
        """Kill and remove a container in one call."""
        self.call("DELETE", f"/containers/{container}?force=1&v=1")

    def build(self, context: bytes, tag: str) -> None:
        """Build an image from a tar with the engine's own builder.

        Raises:
            RuntimeError: the build failed.
        """
        answer = self.call("POST", f"/build?t={quote(tag, safe='')}&rm=1", tar=context)
        if '"errorDetail"' in str(answer):
            raise RuntimeError(f"the build of {tag} failed: {answer}")


def _head(answer: IO[bytes]) -> tuple[int, dict[str, str]]:
    line = answer.readline()
    if not line:
        raise ConnectionError("the engine closed the connection")
    headers: dict[str, str] = {}
    while (header := answer.readline().strip()) != b"":
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(line.split()[1]), headers


def _body(answer: IO[bytes], status: int, headers: dict[str, str]) -> bytes:
    if status in (204, 304):
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        while size := int(answer.readline().split(b";")[0], 16):
            parts.append(answer.read(size))
            answer.readline()
        answer.readline()
        return b"".join(parts)
    return answer.read(int(headers["content-length"])) if "content-length" in headers else answer.read()
