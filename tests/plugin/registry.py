"""A real registry of images on this machine, and a proxy in front of it that can be told to fail."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import http.client
import io
import json
import re
import shutil
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import docker.errors

if TYPE_CHECKING:
    import pytest

#: What scripts/registry.sh unpacks where there is none in PATH.
_UNPACKED = Path(__file__).parents[2] / ".venv/registry/usr/bin/docker-registry"
PROGRAM = shutil.which("docker-registry") or (str(_UNPACKED) if _UNPACKED.exists() else None)
WHY_SKIPPED = "no docker-registry in PATH, and none that scripts/registry.sh has unpacked"

USER, PASSWORD = "fleet", "open sesame"
#: That user's line, as `htpasswd -B` writes it.
_HTPASSWD = "fleet:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n"
AUTH = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"


class Registry:
    """Debian's docker-registry on a free port of 127.0.0.1.

    Attributes:
        address: its host and port, as references name them.
    """

    def __init__(self, directory: Path, *, auth: bool = False) -> None:
        assert PROGRAM is not None, WHY_SKIPPED
        directory.mkdir(parents=True)
        (directory / "htpasswd").write_text(_HTPASSWD, encoding="utf-8")
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
            # The system chooses a port that is free, and the registry tells which.
            "http": {"addr": "127.0.0.1:0", "secret": "of the tests", "relativeurls": True},
        }
        if auth:
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}}
        # JSON is YAML.
        (directory / "config.yml").write_text(json.dumps(config), encoding="utf-8")
        self._process = subprocess.Popen(
            [PROGRAM, "serve", str(directory / "config.yml")], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        said: list[str] = []
        assert self._process.stderr is not None
        for line in self._process.stderr:
            said.append(line.decode())
            if listening := re.search(r"listening on (127\.0\.0\.1:\d+)", said[-1]):
                break
        else:
            self._process.wait()
            raise AssertionError("the registry has ended:\n" + "".join(said))
        self.address = listening[1]
        # What it says further has to be read, or it would block.
        self._reader = threading.Thread(target=self._process.stderr.read, daemon=True)
        self._reader.start()

    def end(self) -> None:
        """End its process."""
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
        """Ask it something as one who is logged in; the answer has been read."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        fields = {"Authorization": f"Basic {AUTH}", **{key.replace("_", "-"): each for key, each in headers.items()}}
        connection.request(method, path, body, fields)
        answer = connection.getresponse()
        answer.text = answer.read().decode()  # type: ignore[attr-defined]
        connection.close()
        return answer

    def tags(self, name: str) -> list[str]:
        """List the tags of a repository."""
        answer = self.ask("GET", f"/v2/{name}/tags/list")
        return sorted(json.loads(answer.text).get("tags") or [])  # type: ignore[attr-defined]

    def put(
        self,
        reference: str,
        content: str,
        *,
        labels: dict[str, str] | None = None,
        platforms: tuple[str, ...] = ("linux/amd64",),
    ) -> str:
        """Put an image there that has one file, `/content`, without the help of an engine.

        Args:
            reference: its name and tag, without the registry.
            content: what is in the file, beside the platform.
            labels: of the image.
            platforms: what it is for; several make an index.

        Returns:
            the digest of its manifest, or of its index.
        """
        name, _, tag = reference.partition(":")
        parts = []
        for platform in platforms:
            system, _, architecture = platform.partition("/")
            body = self._manifest(name, f"{platform} {content}", system, architecture, labels or {})
            digest = self._put_manifest(name, None if len(platforms) > 1 else tag, _MANIFEST, body)
            about = {"os": system, "architecture": architecture}
            parts.append({"mediaType": _MANIFEST, "size": len(body), "digest": digest, "platform": about})
        if len(parts) == 1:
            return str(parts[0]["digest"])
        index = json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": parts}).encode()
        return self._put_manifest(name, tag, _INDEX, index)

    def _manifest(self, name: str, content: str, system: str, architecture: str, labels: dict[str, str]) -> bytes:
        layer = _tar("content", content.encode())
        config = {
            "os": system,
            "architecture": architecture,
            "config": {"Labels": labels, "Cmd": ["/content"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
        described = self._put_blob(name, json.dumps(config).encode())
        packed = self._put_blob(name, gzip.compress(layer, compresslevel=1, mtime=0))
        described["mediaType"] = "application/vnd.docker.container.image.v1+json"
        packed["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": described, "layers": [packed]}
        return json.dumps(manifest).encode()

    def _put_blob(self, name: str, body: bytes) -> dict[str, Any]:
        digest = _digest(body)
        place = self.ask("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
        answer = self.ask("PUT", f"{place}&digest={digest}", body)
        assert answer.status == http.HTTPStatus.CREATED, answer.status
        return {"digest": digest, "size": len(body)}

    def _put_manifest(self, name: str, tag: str | None, kind: str, body: bytes) -> str:
        answer = self.ask("PUT", f"/v2/{name}/manifests/{tag or _digest(body)}", body, Content_Type=kind)
        assert answer.status == http.HTTPStatus.CREATED, answer.status
        return _digest(body)


@contextmanager
def running(directory: Path, *, auth: bool = False) -> Iterator[Registry]:
    """Give a registry that runs until the end of the block, and leave none of its images on the engine."""
    registry = Registry(directory, auth=auth)
    try:
        yield registry
    finally:
        registry.end()
        forget(f"{registry.address}/")


@contextmanager
def proxied(registry: Registry) -> Iterator[Proxy]:
    """Give a proxy in front of a registry until the end of the block, and leave none of its images on the engine."""
    proxy = Proxy(registry)
    try:
        yield proxy
    finally:
        proxy.end()
        forget(f"{proxy.address}/")


def forget(name: str) -> None:
    """Remove all names from the engine that begin so, whether they have tags or digests."""
    client = docker.from_env()
    try:
        for image in client.api.images():
            for each in [*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())]:
                # The second name of an image with containerd's store goes with its first.
                if each.startswith(name):
                    with contextlib.suppress(docker.errors.ImageNotFound):
                        client.api.remove_image(each, force=True)
    finally:
        client.close()


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _tar(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


@dataclass
class Fault:
    """What goes wrong with the requests that match: so many, then all is well.

    Attributes:
        pattern: is searched in "METHOD /path".
        times: how many it befalls.
        status: what they are answered with; None cuts the connection.
        body: what the answer says.
    """

    pattern: str
    times: int
    status: int | None
    body: str = ""


class Proxy:
    """Passes on what it is asked to a real registry, unless it was told to fail.

    Each request has a connection of its own: Go's client repeats by itself what was lost on a connection that it had
    used before, and then nobody could count.

    Attributes:
        address: its host and port, as references name them.
        seen: the requests so far, as "METHOD /path".
        faults: what is to go wrong.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.seen: list[str] = []
        self.faults: list[Fault] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def end(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fails(self, pattern: str, times: int, status: int | None, body: str = "") -> None:
        """Let requests fail from now on; see `Fault`."""
        self.faults.append(Fault(pattern, times, status, body))

    def count(self, pattern: str) -> int:
        """Count the requests so far that match."""
        return sum(bool(re.search(pattern, each)) for each in self.seen)

    def fault_of(self, request: str) -> Fault | None:
        """Give what is to happen to a request."""
        self.seen.append(request)
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.pattern, request):
                fault.times -= 1
                return fault
        return None


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def handle(self) -> None:
            first = self.connection.recv(1, socket.MSG_PEEK)
            if first == b"\x16":
                # The engine tries TLS first. Its greeting has no end of line; this makes it go on without.
                self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            elif first:
                self.close_connection = True
                self.handle_one_request()

        def _pass_on(self) -> None:
            body = self._body()
            fault = proxy.fault_of(f"{self.command} {self.path}")
            if fault is None:
                self._answer(*self._asked(body))
            elif fault.status is not None:
                self._answer(fault.status, [("Content-Type", "application/json")], fault.body.encode())

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(proxy.registry.address, timeout=30)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            # Several may have one name: the kinds of manifests that an engine accepts.
            for key, each in _passed_on(self.headers.items()):
                connection.putheader(key, each)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            said = answer.read()
            connection.close()
            return answer.status, answer.getheaders(), said

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for key, each in _passed_on(headers):
                self.send_header(key, each)
            length = dict(headers).get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(body)))
            self.send_header("Connection", "close")
            # The engine may have heard enough.
            with contextlib.suppress(ConnectionError):
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    return Handler


def _passed_on(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Leave out the headers that are of one connection alone."""
    own = ("transfer-encoding", "content-length", "connection", "expect", "date")
    return ((key, each) for key, each in headers if key.lower() not in own)


def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: dict[str, object]) -> Path:
    """Let this be the docker configuration, in a directory of its own."""
    directory = tmp_path / "docker config"
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(directory))
    return directory
