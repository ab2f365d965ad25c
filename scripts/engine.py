#!/usr/bin/env python3
"""Where the Docker engine is, and how to ask it something, with nothing but the standard library.

As a program: exit 0 and the engine's address if one answers, else exit 1 and what was seen.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How long an engine may take to answer `GET /_ping`, in seconds.
PING_TIMEOUT_S = 5.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connect(url: str, timeout_s: float) -> http.client.HTTPConnection:
    """A connection to a `unix://` or `tcp://` engine; each wait on it lasts at most `timeout_s`."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return _UnixConnection(parts.path, timeout_s)
    if parts.scheme not in ("tcp", "http", "https") or not parts.hostname:
        raise OSError("neither a unix:// nor a tcp:// address")
    if parts.scheme == "https" or os.environ.get("DOCKER_TLS_VERIFY"):
        certs = Path(os.environ.get("DOCKER_CERT_PATH") or _config_dir())
        context = ssl.create_default_context(cafile=str(certs / "ca.pem"))
        context.load_cert_chain(certs / "cert.pem", certs / "key.pem")
        return http.client.HTTPSConnection(parts.hostname, parts.port or 2376, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=timeout_s)


def _config_dir() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _context_url() -> str | None:
    """The address in the active docker context; None for the default one."""
    try:
        config = json.loads((_config_dir() / "config.json").read_bytes())
    except (OSError, ValueError):
        config = {}
    name = os.environ.get("DOCKER_CONTEXT") or config.get("currentContext") or "default"
    if name == "default":
        return None
    folder = hashlib.sha256(name.encode()).hexdigest()
    try:
        meta = json.loads((_config_dir() / "contexts/meta" / folder / "meta.json").read_bytes())
        return str(meta["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, LookupError):
        return f"context://{name}"


def candidates() -> Iterator[str]:
    """Addresses to ask, in Docker's own order. An explicit DOCKER_HOST is the only one."""
    if host := os.environ.get("DOCKER_HOST"):
        yield host
        return
    if url := _context_url():
        yield url
    yield "unix:///var/run/docker.sock"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield f"unix://{runtime}/docker.sock"
    for folder in ("run", "desktop"):
        yield f"unix://{Path.home()}/.docker/{folder}/docker.sock"


def _ping(url: str) -> None:
    """Return if the engine answers, else raise OSError or HTTPException."""
    if url.startswith("ssh://") and shutil.which("docker"):
        command = ["docker", "--host", url, "version"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        if done.returncode:
            raise OSError(done.stderr.strip().splitlines()[-1])
        return
    connection = connect(url, PING_TIMEOUT_S)
    try:
        connection.request("GET", "/_ping")
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise OSError(f"HTTP {answer.status}")
    finally:
        connection.close()


def find() -> tuple[str | None, str]:
    """The first address that answers, or None; and what was seen on the way."""
    seen, absent = [], []
    for url in candidates():
        try:
            _ping(url)
        except FileNotFoundError:
            absent.append(url)
        except (OSError, ValueError, http.client.HTTPException, subprocess.TimeoutExpired) as failure:
            reason = getattr(failure, "strerror", None) or str(failure) or type(failure).__name__
            seen.append(f"{url}: {reason}")
        else:
            return url, ""
    if absent:
        seen.append(f"nothing at {', '.join(absent)}")
    return None, "; ".join(seen)


if __name__ == "__main__":
    address, saw = find()
    print(address or saw)
    sys.exit(address is None)
