"""The command lines of this machine that build with BuildKit, looked for when a build is first needed."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

#: What leads a command to an engine.
OF_THE_ENGINE = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")

#: How long a command may take to tell its version, in seconds.
_PATIENCE_S = 20

#: Podman has a `docker` and a `buildx` of its own, which tell other names.
_BUILDX = re.compile(r"docker/buildx\s+v?(\S+)")
_DOCKER = re.compile(r"Docker version ((\d+)\.(\d+)[^\s,]*)")

#: From when to when `docker build` has BuildKit's client built in. Before 19.03 it knows no contexts; from 23.0 on it
#: calls the plugin. Source: docs.docker.com, Docker Engine release notes.
_BUILT_IN_SINCE, _BUILT_IN_UNTIL = (19, 3), (23, 0)

#: Where plugins lie beside ~/.docker/cli-plugins. Source: docker/cli, cli-plugins/manager/manager_unix.go.
_PLUGIN_DIRECTORIES = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)


class Tool(NamedTuple):
    """A command that builds.

    Attributes:
        argv: what it begins with.
        buildx: whether it is buildx, which knows builders and each kind of cache; else it is an older `docker build`.
        version: its release.
    """

    argv: tuple[str, ...]
    buildx: bool
    version: str


class Found(NamedTuple):
    """What was found on this machine.

    Attributes:
        tool: the best of what there is, or None.
        saw: what was looked at, for a message.
    """

    tool: Tool | None
    saw: str


def find_tool() -> Found:
    """Find the best command, once for each environment that names them."""
    environment = os.environ
    return _find(environment.get("PATH", os.defpath), environment.get("DOCKER_CONFIG"), environment.get("HOME"))


@functools.lru_cache(maxsize=8)
def _find(path: str, config: str | None, home: str | None) -> Found:
    saw: list[str] = []
    older: list[Tool] = []
    for docker in _programs("docker", path):
        if plugin := _BUILDX.search(_said(docker, "buildx", "version")):
            return Found(Tool((docker, "buildx", "build"), buildx=True, version=plugin[1]), docker)
        version = _DOCKER.match(_said(docker, "--version"))
        saw.append(f"{docker} " + (f"{version[1]}, without buildx" if version else "is no command line of Docker's"))
        if version and _BUILT_IN_SINCE <= (int(version[2]), int(version[3])) < _BUILT_IN_UNTIL:
            older.append(Tool((docker, "build"), buildx=False, version=version[1]))
    if older:
        return Found(older[0], older[0].argv[0])
    own = Path(config) if config else Path(home or "/") / ".docker"
    for program in _programs(
        "docker-buildx", os.pathsep.join((path, str(own / "cli-plugins"), *_PLUGIN_DIRECTORIES))
    ):
        if plugin := _BUILDX.search(_said(program, "version")):
            return Found(Tool((program, "build"), buildx=True, version=plugin[1]), program)
    return Found(None, "; ".join(saw) or "neither docker nor docker-buildx in PATH")


def _programs(name: str, path: str) -> Iterator[str]:
    """Give each program of a name in PATH, not the first alone: it may be a newer client without its plugins."""
    known: set[str] = set()
    for directory in path.split(os.pathsep):
        # An empty part means the current directory, whose programs are not asked.
        program = shutil.which(name, path=directory) if directory else None
        if program is not None and (real := os.path.realpath(program)) not in known:
            known.add(real)
            yield program


def _said(*argv: str) -> str:
    # An old client looks at the engine's address, and at its certificates, before it tells its version.
    environment = {key: value for key, value in os.environ.items() if key not in OF_THE_ENGINE}
    try:
        ran = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
            errors="replace",
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout if ran.returncode == 0 else ""
