"""Containers: what is to run, how it is bounded, and when it counts as ready."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_dockerkit._names import check_alias, did_you_mean
from pytest_dockerkit._spec import checks, mounts
from pytest_dockerkit._spec.env_file import read_env_file
from pytest_dockerkit._spec.healthcheck import HealthCheck
from pytest_dockerkit._spec.image import PULL_POLICIES, ImageRequest, ImageSpec, check_image
from pytest_dockerkit._spec.network import ISOLATED, NetworkRequest, NetworkSpec, parse_networks
from pytest_dockerkit._spec.ports import PublishedPort, parse_port
from pytest_dockerkit._spec.probe import Probe
from pytest_dockerkit._spec.refs import (
    ContainerHandle,
    External,
    FixtureRef,
    ImageHandle,
    NetworkHandle,
)
from pytest_dockerkit._spec.secret import Secret
from pytest_dockerkit._units import parse_seconds, parse_size, show_size
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError, without_our_frames

#: Smallest memory cap the daemon accepts, in bytes. Engines before 20.10 took 4 MiB.
#: Source: moby, daemon/daemon_unix.go, linuxMinMemory; Docker 20.10.24 refuses 5m.
MIN_MEMORY_BYTES = 6 * 1024 * 1024

#: Smallest CPU cap the daemon accepts, in cores.
#: Source: moby, daemon/daemon_unix.go: "Range of CPUs is from 0.01 to ...".
MIN_CPUS = 0.01

#: How long readiness may take when nothing is said, in seconds.
DEFAULT_TIMEOUT_S = 60.0

_SIGNAL = re.compile(r"(SIG)?[A-Z][A-Z0-9]*([+-]\d+)?|[1-9]\d?", re.ASCII)
_CAPABILITY = re.compile(r"(CAP_)?[A-Z_]+|ALL", re.IGNORECASE)

_DEVICE = re.compile(r"/[^:]+(?::/[^:]+)?(?::[rwm]{1,3})?")

Empty: FrozenMapping[str, Any] = FrozenMapping()


@dataclass(frozen=True, kw_only=True)
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
        secrets: `{"db_password": "…" | Path | Secret}`, at /run/secrets/NAME.
        network: "isolated" (a network of the scope's own), "internal" (one with no way out), "bridge", "host",
            "none", a `NetworkSpec`, a network, its fixture, `external("name")`, or a list of these.
        aliases: further names in its networks.
        extra_hosts: `{"name": "address"}` for its /etc/hosts.
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
    secrets: Mapping[str, str | Path | Secret] = Empty
    network: str | NetworkSpec | External | NetworkHandle | FixtureRef | Sequence[Any] = ISOLATED
    aliases: Sequence[str] = ()
    extra_hosts: Mapping[str, str] = Empty
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
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if value is not None or name not in _MAY_BE_NONE:
                object.__setattr__(self, name, check(name, value))
        self._check_together()

    def _check_together(self) -> None:
        self._check_memory()
        self._check_files()
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
            if not any(_is_below(target, mount.target) for mount in self.mounts)
        }

    def tmpfs_above(self, path: str) -> str | None:
        """Give the tmpfs that a path lies in, if it does: the engine copies nothing in or out there."""
        return next((each for each in self.tmpfs if _is_below(path, each)), None)

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
            env_file=tuple(_existing("env_file", base, path) for path in self.env_files) or None,
            volumes=tuple(mounts.anchored(each, base) for each in self.mounts),
            files=_existing_paths("files", base, self.files),
            secrets=_existing_paths("secrets", base, self.secrets),
        )


def spec_fields() -> tuple[str, ...]:
    """Give the names of the fields, in their order."""
    return tuple(each.name for each in fields(ContainerSpec))


def make_spec(given: Mapping[str, Any]) -> ContainerSpec:
    """Make a spec from keywords, which may be wrong.

    Raises:
        SpecError: a keyword is unknown, or a value is wrong.
    """
    refuse_unknown(given, spec_fields())
    if "image" not in given:
        raise SpecError(
            "no image is given",
            saw=f"keywords: {', '.join(given) or 'none'}",
            mend='an image such as "redis:7", or build=',
        )
    return ContainerSpec(**given)


def refuse_unknown(given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a keyword that there is not.

    Raises:
        SpecError: names the keyword, its value and the nearest right one.
    """
    for keyword, value in given.items():
        if keyword not in known:
            raise SpecError(
                f"{keyword}= is no keyword here",
                saw=f"{keyword}={value!r}",
                mend=did_you_mean(keyword, known),
            )


def _is_below(path: str, directory: str) -> bool:
    return PurePosixPath(path).is_relative_to(directory)


def _existing(field_name: str, base: Path, path: Path) -> Path:
    found = checks.resolved(field_name, base, path)
    if found.exists():
        return found
    raise SpecError(
        f"{field_name}= names a file that does not exist",
        saw=str(found),
        mend=f"relative paths start from {base}",
    )


def _existing_paths(field_name: str, base: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _existing(field_name, base, value) if isinstance(value, Path) else value for key, value in given.items()
    }


def _env(name: str, value: object) -> FrozenMapping[str, str]:
    env = checks.text_mapping(name, value, f'{name}={{"NAME": "value"}}')
    for key, each in env.items():
        checks.environment_name(name, key)
        if "\0" in each:
            raise SpecError(
                f"{name}[{key!r}] has a NUL in it", saw=f"{each!r}", mend="a text that ends where its NUL is"
            )
    return env


def _env_file(name: str, value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(checks.path(name, each) for each in value)
    return checks.path(name, value)


def _user(name: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    return checks.text(name, value, f'{name}="1000:1000", {name}=1000 or {name}="nobody"')


def _ports(name: str, value: object) -> tuple[object, ...]:
    ports = checks.sequence(name, value, f'{name}=[3080], {name}=["53/udp"] or {name}=["8080:80"]')
    for each in ports:
        parse_port(each)
    return ports


def _networks(_field: str, value: object) -> object:
    parse_networks(value)
    return tuple(value) if isinstance(value, list) else value


def _volumes(_name: str, value: object) -> tuple[mounts.Mount, ...]:
    return mounts.parse_mounts(value)


def _healthcheck(name: str, value: object) -> HealthCheck:
    if isinstance(value, HealthCheck):
        return value
    if isinstance(value, str | list | tuple):
        return HealthCheck(test=value)
    raise checks.wrong_type(name, value, f'{name}=HealthCheck(test="redis-cli ping"), or HealthCheck.none()')


def _probe(name: str, value: object) -> Probe:
    if isinstance(value, Probe) and not isinstance(value, type):
        return value
    raise checks.wrong_type(
        name, value, f"{name}=probes.port(6379), probes.log(…), or an object with look(container)"
    )


def _cpus(name: str, value: object) -> float:
    cpus = checks.positive_number(name, value, f"{name}=0.5")
    if cpus >= MIN_CPUS:
        return cpus
    raise SpecError(
        f"CPU cap is below the engine's minimum of {MIN_CPUS} cores",
        saw=f"{name}={value}",
        mend=f"{name}=0.1 or more",
    )


def _size(name: str, value: object) -> int | str:
    parse_size(name, value)
    assert isinstance(value, int | str)  # noqa: S101  - parse_size takes nothing else
    return value


def _swap(name: str, value: object) -> int | str:
    return -1 if value in (-1, "-1") else _size(name, value)


def _seconds(name: str, value: object) -> float | str:
    parse_seconds(name, value)
    assert isinstance(value, int | float | str)  # noqa: S101  - parse_seconds takes nothing else
    return value


def _ulimits(name: str, value: object) -> FrozenMapping[str, tuple[int, int]]:
    example = f'{name}={{"nofile": 1024}} or {name}={{"nofile": (1024, 2048)}}'
    if not isinstance(value, Mapping):
        raise checks.wrong_type(name, value, example)
    taken: dict[str, tuple[int, int]] = {}
    for key, limit in value.items():
        pair = limit if isinstance(limit, list | tuple) else (limit, limit)
        if not isinstance(key, str) or len(pair) != 2 or not all(type(each) is int and each >= -1 for each in pair):
            raise checks.wrong_type(name, {key: limit}, example)
        if pair[1] != -1 and (pair[0] == -1 or pair[0] > pair[1]):
            raise SpecError(f"{name}= has a soft limit above its hard one", saw=f"{key}: {tuple(pair)}", mend=example)
        taken[key] = (pair[0], pair[1])
    return FrozenMapping(taken)


def _capabilities(name: str, value: object) -> tuple[str, ...]:
    capabilities = checks.texts(name, value, f'{name}=["NET_ADMIN"]')
    for each in capabilities:
        if not _CAPABILITY.fullmatch(each):
            raise SpecError(
                f"{name}= is no kernel capability", saw=f"{each!r}", mend=f'{name}=["NET_ADMIN"] or ["ALL"]'
            )
    return capabilities


def _texts(name: str, value: object) -> tuple[str, ...]:
    return checks.texts(name, value, f'{name}=["…"]')


def _devices(name: str, value: object) -> tuple[str, ...]:
    devices = checks.texts(name, value, f'{name}=["/dev/fuse"]')
    for each in devices:
        checks.container_path(name, each)
        if not _DEVICE.fullmatch(each):
            mend = f'{name}=["/dev/fuse"] or {name}=["/dev/a:/dev/b:rwm"]'
            raise SpecError(f"{name}= is no device", saw=f"{each!r}", mend=mend)
    return devices


def _tmpfs(name: str, value: object) -> FrozenMapping[str, str]:
    if isinstance(value, Mapping):
        paths = dict(value)
    else:
        # As in Compose: "/run:size=16m".
        entries = checks.texts(name, value, f'{name}=["/run"] or {name}={{"/run": "size=16m"}}')
        paths = {path: options for path, _, options in (each.partition(":") for each in entries)}
    for path, options in paths.items():
        checks.container_path(name, path)
        if not isinstance(options, str):
            raise checks.wrong_type(name, options, f'{name}={{"/run": "size=16m,mode=1777"}}')
    return FrozenMapping(paths)


def _files(name: str, value: object) -> FrozenMapping[str, object]:
    example = f'{name}={{"/etc/app.toml": "text", "/etc/logo.png": Path("logo.png")}}'
    if not isinstance(value, Mapping):
        raise checks.wrong_type(name, value, example)
    for target, content in value.items():
        checks.container_path(name, target)
        if target.endswith("/"):
            raise SpecError(f"{name}= needs the name of a file, not of a directory", saw=f"{target!r}", mend=example)
        if ".." in target.split("/"):
            raise SpecError(f"{name}= has a path with '..' in it", saw=f"{target!r}", mend="write the path out")
        if not isinstance(content, str | bytes | Path):
            raise checks.wrong_type(f"{name}[{target!r}]", content, example)
    return FrozenMapping(value)


def _secrets(name: str, value: object) -> FrozenMapping[str, object]:
    example = f'{name}={{"db_password": "…"}}, a Path or a Secret'
    if not isinstance(value, Mapping):
        raise checks.wrong_type(name, type(value), example)
    for key, content in value.items():
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", key):
            raise SpecError(f"{name}= has a name that cannot be a file's", saw=f"{key!r}", mend=example)
        # The value is not repeated in the message: it may be the secret itself.
        if not isinstance(content, str | Path | Secret):
            raise SpecError(f"{name}[{key!r}] is of the wrong type", saw=type(content).__name__, mend=example)
    return FrozenMapping({key: Secret(key, each) if isinstance(each, str) else each for key, each in value.items()})


def _labels(name: str, value: object) -> FrozenMapping[str, str]:
    return checks.labels(name, value)


def _signal(name: str, value: object) -> str:
    signal = str(value) if type(value) is int else checks.text(name, value, f'{name}="SIGINT"')
    if _SIGNAL.fullmatch(signal):
        return signal
    raise SpecError(f"{name}= is not a signal", saw=f"{name}={value!r}", mend=f'{name}="SIGINT"')


def _depends_on(name: str, value: object) -> tuple[object, ...]:
    example = f'{name}=["db"], the names of other containers, or their fixtures'
    wanted = checks.sequence(name, value, example)
    for each in wanted:
        if isinstance(each, str):
            check_alias(name, each)
        elif not isinstance(each, ContainerHandle | FixtureRef):
            raise checks.wrong_type(name, each, example)
    return wanted


def _options(name: str, value: object) -> FrozenMapping[str, object]:
    example = f'{name}={{"OomScoreAdj": 500}}, keys of the Engine API\'s HostConfig'
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise checks.wrong_type(name, value, example)
    return FrozenMapping(value)


def _image(_name: str, value: object) -> str | ImageSpec | ImageHandle | FixtureRef:
    return check_image(value)


def _platform(name: str, value: object) -> str:
    return checks.text(name, value, f'{name}="linux/amd64"')


def _pull(name: str, value: object) -> str:
    return checks.one_of(name, value, PULL_POLICIES)


def _aliases(name: str, value: object) -> tuple[str, ...]:
    return tuple(check_alias(name, each) for each in checks.sequence(name, value, f'{name}=["db"]'))


def _hosts(name: str, value: object) -> FrozenMapping[str, str]:
    example = f'{name}={{"name": "10.0.0.1"}}, or "host-gateway" for this machine'
    hosts = checks.text_mapping(name, value, example)
    for host, address in hosts.items():
        check_alias(name, host)
        try:
            if address != "host-gateway":
                ipaddress.ip_address(address)
        except ValueError as failure:
            raise SpecError(f"{name}[{host!r}] is no address", saw=str(failure), mend=example) from None
    return hosts


#: The fields that mean "not given" by None.
_MAY_BE_NONE = frozenset(each.name for each in fields(ContainerSpec) if each.default is None)

_CHECKS = {
    "image": _image,
    "name": check_alias,
    "command": checks.argv,
    "entrypoint": checks.argv,
    "env": _env,
    "env_file": _env_file,
    "user": _user,
    "workdir": checks.container_path,
    "hostname": check_alias,
    "ports": _ports,
    "healthcheck": _healthcheck,
    "wait": _probe,
    "timeout": _seconds,
    "cpus": _cpus,
    "memory": _size,
    "memory_swap": _swap,
    "pids": lambda name, value: checks.whole_number(name, value, least=1),
    "shm_size": _size,
    "ulimits": _ulimits,
    "cap_add": _capabilities,
    "cap_drop": _capabilities,
    "privileged": checks.flag,
    "read_only": checks.flag,
    "security_opt": _texts,
    "devices": _devices,
    "tmpfs": _tmpfs,
    "volumes": _volumes,
    "files": _files,
    "secrets": _secrets,
    "network": _networks,
    "aliases": _aliases,
    "extra_hosts": _hosts,
    "labels": _labels,
    "platform": _platform,
    "init": checks.flag,
    "stop_signal": _signal,
    "stop_timeout": _seconds,
    "depends_on": _depends_on,
    "pull": _pull,
    "docker_options": _options,
}
