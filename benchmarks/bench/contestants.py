"""Who takes part, what each needs, and why one cannot run here."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

OURS = "ours"
HANDOVER = "ours, handover"
DOCKER_PY = "docker-py"
RAW = "raw"
NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One way to do the job.

    Attributes:
        name: what the tables call it, and what `--without` takes.
        suite: its directory below `suites/`.
        plugins: the pytest plugins that it needs; no other is active.
        package: the distribution that it comes from, or None where nothing has to be installed.
        options: further arguments of pytest.
        environment: further variables.
        obstacle: says why it cannot run here, or gives None.
    """

    name: str
    suite: str
    plugins: tuple[str, ...] = ()
    package: str | None = None
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    obstacle: Callable[[], str | None] = lambda: None

    def why_not(self) -> str | None:
        """Say why it cannot run, or give None."""
        if self.package is not None and version(self.package) is None:
            return f"{self.package} is not installed"
        return self.obstacle()


def version(package: str) -> str | None:
    """Give the version that is installed, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _no_compose() -> str | None:
    if shutil.which("docker") is None:
        return "no docker command"
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return None if asked.returncode == 0 else "no docker compose"


@cache
def compose_version() -> str | None:
    """Give the version of docker compose, or None."""
    if _no_compose():
        return None
    argv = ["docker", "compose", "version", "--short"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def _no_docker_command() -> str | None:
    return None if shutil.which("docker") else "no docker command"


@cache
def _no_handover() -> str | None:
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--help"]
    asked = subprocess.run(argv, capture_output=True, text=True, check=False)
    return None if "--dockerkit-teardown" in asked.stdout else "there is no --dockerkit-teardown in this version"


_CONTESTANTS = (
    Contestant(name=NONE, suite="none"),
    Contestant(name=OURS, suite="dockerkit", plugins=("dockerkit",), package="pytest-dockerkit"),
    Contestant(
        name=HANDOVER,
        suite="dockerkit",
        plugins=("dockerkit",),
        package="pytest-dockerkit",
        options=("--dockerkit-teardown=handover",),
        obstacle=_no_handover,
    ),
    Contestant(name=RAW, suite="raw"),
    Contestant(name=DOCKER_PY, suite="docker_py", package="docker"),
    Contestant(
        name="pytest-docker",
        suite="pytest_docker",
        plugins=("docker",),
        package="pytest-docker",
        obstacle=_no_compose,
    ),
    Contestant(
        name="pytest-docker-tools",
        suite="pytest_docker_tools",
        plugins=("docker_tools",),
        package="pytest-docker-tools",
    ),
    Contestant(
        name="pytest-container",
        suite="pytest_container",
        plugins=("container", "pytest11.testinfra"),
        package="pytest-container",
        # Podman is what it takes when it is not told.
        environment={"CONTAINER_RUNTIME": "docker"},
        obstacle=_no_docker_command,
    ),
    Contestant(
        name="testcontainers",
        suite="testcontainers",
        package="testcontainers",
        # Its helper container comes from a registry that need not be in reach, and would be one more to start.
        environment={"TESTCONTAINERS_RYUK_DISABLED": "true"},
    ),
)

#: All contestants, by name.
CONTESTANTS = {each.name: each for each in _CONTESTANTS}
PEERS = ("pytest-docker", "pytest-docker-tools", "pytest-container", "testcontainers")
#: Peers that can wait for Docker's own health check, or for whatever their user polls.
HEALTH_AWARE = ("pytest-docker", "pytest-container", "testcontainers")
