"""The fields of a container, one by one: each check gives the value in its frozen form, or says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pytest_dockerkit._names import check_alias
from pytest_dockerkit._spec import checks, mounts
from pytest_dockerkit._spec.healthcheck import HealthCheck
from pytest_dockerkit._spec.image import PULL_POLICIES, ImageSpec, check_image
from pytest_dockerkit._spec.network import parse_networks
from pytest_dockerkit._spec.ports import parse_port
from pytest_dockerkit._spec.probe import Probe
from pytest_dockerkit._spec.refs import (
    ContainerHandle,
    FixtureRef,
    ImageHandle,
)
from pytest_dockerkit._spec.secret import Secret, check_given
from pytest_dockerkit._units import parse_seconds, parse_size
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError

#: Smallest CPU cap the daemon accepts, in cores.
#: Source: moby, daemon/daemon_unix.go: "Range of CPUs is from 0.01 to ...".
MIN_CPUS = 0.01

# Texts, as `re` compiles them where they are first used.
_SIGNAL = r"(SIG)?[A-Z][A-Z0-9]*([+-]\d+)?|[1-9]\d?"
_CAPABILITY = r"(CAP_)?[A-Z_]+|ALL"

_DEVICE = r"/[^:]+(?::/[^:]+)?(?::[rwm]{1,3})?"


def _env(name: str, value: object) -> FrozenMapping[str, str]:
    env = checks.text_mapping(name, value, f'{name}={{"NAME": "value"}}')
    for key, each in env.items():
        checks.environment_name(name, key)
        if "\0" in each:
            # The text itself may be a secret.
            saw = f"a NUL after {each.index(chr(0))} of {len(each)} characters"
            raise SpecError(f"{name}[{key!r}] has a NUL in it", saw=saw, mend="a text that ends where its NUL is")
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
        if not re.fullmatch(_CAPABILITY, each, re.IGNORECASE):
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
        if not re.fullmatch(_DEVICE, each):
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
    example = f'{name}={{"db_password": "…"}}, bytes, a Path or a Secret'
    if not isinstance(value, Mapping):
        raise checks.wrong_type(name, type(value), example)
    for key, content in value.items():
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}", key):
            raise SpecError(f"{name}= has a name that cannot be a file's", saw=f"{key!r}", mend=example)
        # The value is not repeated in the message: it may be the secret itself.
        if not isinstance(content, str | bytes | Path | Secret):
            raise SpecError(f"{name}[{key!r}] is of the wrong type", saw=type(content).__name__, mend=example)
    taken = {key: Secret(key, each) if isinstance(each, str | bytes) else each for key, each in value.items()}
    for key, each in taken.items():
        if isinstance(each, Secret):
            check_given(f"secret {key!r}", each)
    return FrozenMapping(taken)


def _labels(name: str, value: object) -> FrozenMapping[str, str]:
    return checks.labels(name, value)


def _signal(name: str, value: object) -> str:
    signal = str(value) if type(value) is int else checks.text(name, value, f'{name}="SIGINT"')
    if re.fullmatch(_SIGNAL, signal, re.ASCII):
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
    if hosts:
        import ipaddress
    for host, address in hosts.items():
        check_alias(name, host)
        try:
            if address != "host-gateway":
                ipaddress.ip_address(address)
        except ValueError as failure:
            raise SpecError(f"{name}[{host!r}] is no address", saw=str(failure), mend=example) from None
    return hosts


#: What takes the value of each field, and gives it in its frozen form.
CHECKS = {
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
    "host_access": checks.flag,
    "labels": _labels,
    "platform": _platform,
    "init": checks.flag,
    "stop_signal": _signal,
    "stop_timeout": _seconds,
    "depends_on": _depends_on,
    "pull": _pull,
    "docker_options": _options,
}
