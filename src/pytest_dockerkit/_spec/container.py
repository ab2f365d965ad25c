"""Containers: what is to run, how it is bounded, and when it counts as ready."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_dockerkit._spec import checks, mounts
from pytest_dockerkit._spec.env_file import read_env_file
from pytest_dockerkit._spec.fields import CHECKS
from pytest_dockerkit._spec.healthcheck import HealthCheck
from pytest_dockerkit._spec.image import ImageRequest, ImageSpec
from pytest_dockerkit._spec.network import ISOLATED, NetworkRequest, NetworkSpec, parse_networks
from pytest_dockerkit._spec.ports import PublishedPort, parse_port
from pytest_dockerkit._spec.probe import Probe
from pytest_dockerkit._spec.refs import (
    ContainerHandle,
    External,
    FixtureRef,
    NetworkHandle,
)
from pytest_dockerkit._spec.secret import SECRETS_DIRECTORY, Secret, masked_repr
from pytest_dockerkit._units import parse_seconds, parse_size, show_size
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError, without_our_frames

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: Smallest memory cap the daemon accepts, in bytes. Engines before 20.10 took 4 MiB.
#: Source: moby, daemon/daemon_unix.go, linuxMinMemory; Docker 20.10.24 refuses 5m.
MIN_MEMORY_BYTES = 6 * 1024 * 1024

#: How long readiness may take when nothing is said, in seconds.
DEFAULT_TIMEOUT_S = 60.0

S = TypeVar("S", bound="DataclassInstance")

Empty: FrozenMapping[str, Any] = FrozenMapping()


@dataclass(frozen=True, kw_only=True, repr=False)
class ContainerSpec:
    """A container to be run.

    Attributes:
        image: an image reference, an `ImageSpec`, an image, or the fixture of one.
        name: what other containers find it by (its DNS alias), and its key in `containers`.
        command: the command, in place of the image's; a list, or a text that is split into one.
        entrypoint: the entrypoint, in place of the image's; `[]` empties it.
        env: environment variables; the values are passed on as they are.
        env_file: a file of them, as `docker run --env-file` reads it, or several; `env` wins.
        user: user, or user:group, by name or number.
        workdir: the working directory, absolute.
        hostname: the container's own name for itself.
        ports: published ports: `3080`, `"53/udp"`, `"8080:80"`, `"0.0.0.0:8080:80"`. Bound to 127.0.0.1,
            with a free port of the host, unless one is named.
        healthcheck: a `HealthCheck` in place of the image's, or a command for one.
        wait: the probe that says when it is ready; None takes the health check if there is one, else the
            first published port open, else running.
        timeout: how long readiness may take, seconds or "30s".
        cpus: cap in cores, such as 0.5.
        memory: cap in bytes or "256m"; at least 6 MiB (the daemon's minimum).
        memory_swap: cap of memory and swap together, or -1 for no limit; needs `memory`.
        pids: cap of processes and threads.
        shm_size: size of /dev/shm in bytes or "64m".
        ulimits: `{"nofile": 1024}` or `{"nofile": (1024, 2048)}` (soft, hard).
        cap_add: kernel capabilities beside Docker's default ones.
        cap_drop: kernel capabilities less; "ALL" drops every one.
        privileged: all capabilities and devices.
        read_only: the root file system cannot be written to.
        security_opt: Docker's security options, such as "no-new-privileges".
        devices: devices of the host: "/dev/fuse", "/dev/a:/dev/b:rwm".
        tmpfs: paths kept in memory, a list or `{"/run": "size=16m"}`.
        volumes: a list in Compose's form (`"./data:/data:ro"`, `"db:/var/lib/db"`, `"/scratch"`), or a mapping
            from the path in the container to a `Path`, a volume or its fixture.
        files: `{"/etc/app.toml": "text" | bytes | Path}`, copied in before start; a directory goes in whole.
        secrets: `{"db_password": "…" | bytes | Path | Secret}`, files at /run/secrets/NAME that the container's user
            alone can read (mode 0400); in no variable, label or text that is shown.
        network: "isolated" (a network of the scope's own), "internal" (one with no way out), "bridge", "host",
            "none", a `NetworkSpec`, a network, its fixture, `external("name")`, or a list of these.
        aliases: further names in its networks.
        extra_hosts: `{"name": "address"}` for its /etc/hosts.
        host_access: whether it reaches servers of this machine, such as one of the test itself, as
            `host.docker.internal`. They have to listen at the network's gateway, or at 0.0.0.0.
        labels: labels beside the plugin's own.
        platform: such as "linux/arm64".
        init: a small init as PID 1, that reaps zombies and passes signals on.
        stop_signal: the signal that asks it to stop, such as "SIGINT".
        stop_timeout: seconds that `stop()` waits before it kills.
        depends_on: what must be ready before this one starts: names of the test's other containers or of
            container fixtures, or the fixtures or containers themselves.
        pull: when its image is pulled: `missing`, `always` or `never`.
        docker_options: raw Engine API `HostConfig` keys, for what has no field; they win over the fields.

    Raises:
        SpecError: a value has the wrong type, is out of range or contradicts another.
    """

    image: ImageRequest
    name: str | None = None
    command: str | Sequence[str] | None = None
    entrypoint: str | Sequence[str] | None = None
    env: Mapping[str, str | int | float] = Empty
    env_file: str | Path | Sequence[str | Path] | None = None
    user: str | int | None = None
    workdir: str | None = None
    hostname: str | None = None
    ports: Sequence[int | str] = ()
    healthcheck: HealthCheck | str | Sequence[str] | None = None
    wait: Probe | None = None
    timeout: float | str | None = None
    cpus: float | None = None
    memory: int | str | None = None
    memory_swap: int | str | None = None
    pids: int | None = None
    shm_size: int | str | None = None
    ulimits: Mapping[str, int | tuple[int, int]] = Empty
    cap_add: Sequence[str] = ()
    cap_drop: Sequence[str] = ()
    privileged: bool = False
    read_only: bool = False
    security_opt: Sequence[str] = ()
    devices: Sequence[str] = ()
    tmpfs: Sequence[str] | Mapping[str, str] = Empty
    volumes: Sequence[Any] | Mapping[str, Any] = ()
    files: Mapping[str, str | bytes | Path] = Empty
    secrets: Mapping[str, str | bytes | Path | Secret] = Empty
    network: str | NetworkSpec | External | NetworkHandle | FixtureRef | Sequence[Any] = ISOLATED
    aliases: Sequence[str] = ()
    extra_hosts: Mapping[str, str] = Empty
    host_access: bool = False
    labels: Mapping[str, str] = Empty
    platform: str | None = None
    init: bool | None = None
    stop_signal: str | None = None
    stop_timeout: float | str | None = None
    depends_on: Sequence[str | ContainerHandle | FixtureRef] = ()
    pull: str | None = None
    docker_options: Mapping[str, Any] = field(default_factory=FrozenMapping, hash=False)

    @without_our_frames
    def __post_init__(self) -> None:
        for name, check in CHECKS.items():
            value = getattr(self, name)
            if value is not None or name not in _MAY_BE_NONE:
                object.__setattr__(self, name, check(name, value))
        self._check_together()

    def __repr__(self) -> str:
        return masked_repr(self, "env")

    def _check_together(self) -> None:
        self._check_memory()
        self._check_files()
        self._check_secrets()
        if "host" in self.networks and self.ports:
            raise SpecError(
                "host networking publishes no ports",
                saw=f"network='host' with ports={list(self.ports)}",
                mend="drop ports=: the service answers on its own port of the host; or use a bridge network",
            )
        if "none" in self.networks and self.ports:
            raise SpecError(
                "a container without a network publishes no ports",
                saw=f"network='none' with ports={list(self.ports)}",
                mend='drop ports=, or network="isolated"',
            )
        if self.host_access and "none" in self.networks:
            raise SpecError(
                "a container without a network reaches no host",
                saw="network='none' with host_access=True",
                mend='drop host_access=, or network="internal", which has no other way out',
            )
        targets = [each.key for each in self.published_ports]
        if doubled := next((each for each in targets if targets.count(each) > 1), None):
            raise SpecError(
                "ports= publishes one port twice", saw=f"{doubled} in {list(self.ports)}", mend="name it once"
            )

    def _check_files(self) -> None:
        for target in self.files:
            if (path := self.tmpfs_above(target)) is not None:
                raise SpecError(
                    "files= cannot be copied into a tmpfs, which is empty when the container starts",
                    saw=f"files={{{target!r}: …}} below tmpfs={path!r}",
                    mend="another path, or an exec() that writes it once the container runs",
                )

    def _check_secrets(self) -> None:
        if not self.secrets:
            return
        for path in (*self.tmpfs, *(each.target for each in self.mounts)):
            if _is_below(path, SECRETS_DIRECTORY):
                raise SpecError(
                    f"secrets= are files below {SECRETS_DIRECTORY}, and something else is mounted there",
                    saw=f"{path!r} in tmpfs= or volumes=",
                    mend="mount it elsewhere; above it, as tmpfs='/run', is no hindrance",
                )
        for name in self.secrets:
            if (path := f"{SECRETS_DIRECTORY}/{name}") in map(posixpath.normpath, self.files):
                raise SpecError(
                    f"{path} is given twice", saw=f"files= and secrets= with {name!r}", mend="name it once"
                )

    def _check_memory(self) -> None:
        if self.memory_bytes is not None and self.memory_bytes < MIN_MEMORY_BYTES:
            raise SpecError(
                f"memory cap is below the engine's minimum of {show_size(MIN_MEMORY_BYTES)}",
                saw=f"memory={self.memory!r}, which is {show_size(self.memory_bytes)}",
                mend='memory="6m" or more',
            )
        swap = self.memory_swap_bytes
        if swap is None or swap == -1:
            return
        if self.memory_bytes is None or swap < self.memory_bytes:
            raise SpecError(
                "memory_swap= caps memory and swap together, so it cannot be below memory=",
                saw=f"memory={self.memory!r}, memory_swap={self.memory_swap!r}",
                mend="memory_swap= equal to memory= for no swap, or -1 for any",
            )

    @cached_property
    def published_ports(self) -> tuple[PublishedPort, ...]:
        """The ports, read."""
        return tuple(parse_port(each) for each in self.ports)

    @cached_property
    def networks(self) -> tuple[NetworkRequest, ...]:
        """The networks, as a list; the first is the one that `ip` is of."""
        return parse_networks(self.network)

    @cached_property
    def mounts(self) -> tuple[mounts.Mount, ...]:
        """The volumes, read."""
        return mounts.parse_mounts(self.volumes)

    @cached_property
    def memory_bytes(self) -> int | None:
        """The memory cap in bytes."""
        return None if self.memory is None else parse_size("memory", self.memory)

    @cached_property
    def memory_swap_bytes(self) -> int | None:
        """The cap of memory and swap in bytes, or -1 for none."""
        if self.memory_swap is None:
            return None
        return -1 if self.memory_swap in (-1, "-1") else parse_size("memory_swap", self.memory_swap)

    @cached_property
    def shm_bytes(self) -> int | None:
        """The size of /dev/shm in bytes."""
        return None if self.shm_size is None else parse_size("shm_size", self.shm_size)

    @cached_property
    def timeout_s(self) -> float:
        """How long readiness may take, in seconds."""
        return DEFAULT_TIMEOUT_S if self.timeout is None else parse_seconds("timeout", self.timeout)

    @cached_property
    def stop_timeout_s(self) -> float | None:
        """How long `stop()` waits, in seconds."""
        return None if self.stop_timeout is None else parse_seconds("stop_timeout", self.stop_timeout)

    @cached_property
    def health(self) -> HealthCheck | None:
        """The health check of the container's own, if one was given."""
        if self.healthcheck is None or isinstance(self.healthcheck, HealthCheck):
            return self.healthcheck
        return HealthCheck(test=self.healthcheck)

    @property
    def files_in_root(self) -> dict[str, str | bytes | Path]:
        """The files that go into the image's own file system, and not into what is mounted over it."""
        return {
            target: content
            for target, content in self.files.items()
            if not any(_is_below(target, each) for each in self._volumes_at)
        }

    @cached_property
    def _volumes_at(self) -> tuple[str, ...]:
        return (*(each.target for each in self.mounts), *([SECRETS_DIRECTORY] if self.secrets else ()))

    def tmpfs_above(self, path: str) -> str | None:
        """Give the tmpfs that a path lies in, if it does: the engine copies nothing in or out there."""
        above = [each for each in (*self.tmpfs, *self._volumes_at) if _is_below(path, each)]
        # A volume may be mounted in a tmpfs.
        lowest = max(above, key=lambda each: len(PurePosixPath(each).parts), default=None)
        return lowest if lowest in self.tmpfs else None

    def full_env(self) -> dict[str, str]:
        """Give the environment: the files' variables, then `env`, which wins.

        Raises:
            SpecError: a file cannot be read.
        """
        env: dict[str, str] = {}
        for path in self.env_files:
            env.update(read_env_file(path))
        env.update({key: str(value) for key, value in self.env.items()})
        return env

    @property
    def env_files(self) -> tuple[Path, ...]:
        """The files of environment variables, as paths."""
        if self.env_file is None:
            return ()
        if isinstance(self.env_file, str | Path):
            return (Path(self.env_file),)
        return tuple(Path(each) for each in self.env_file)

    def anchored(self, base: Path) -> ContainerSpec:
        """Make the paths of this machine absolute, and refuse what is not there.

        Args:
            base: where relative paths start.

        Raises:
            SpecError: a path does not exist, or the image's spec is wrong.
        """
        image = self.image.anchored(base) if isinstance(self.image, ImageSpec) else self.image
        return replace(
            self,
            image=image,
            env_file=tuple(checks.existing("env_file", base, path) for path in self.env_files) or None,
            volumes=tuple(mounts.anchored(each, base) for each in self.mounts),
            files=checks.existing_paths("files", base, self.files),
            secrets=checks.existing_paths("secrets", base, self.secrets),
        )


#: The fields that mean "not given" by None.
_MAY_BE_NONE = frozenset(each.name for each in fields(ContainerSpec) if each.default is None)


def _is_below(path: str, directory: str) -> bool:
    return PurePosixPath(posixpath.normpath(path)).is_relative_to(posixpath.normpath(directory))
