"""The request that creates a container, written from its spec. Pure, but for reading files of variables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._spec.refs import External, VolumeHandle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_dockerkit._spec.container import ContainerSpec
    from pytest_dockerkit._spec.healthcheck import HealthCheck
    from pytest_dockerkit._spec.mounts import Mount

_NS = 1_000_000_000

#: The name that Docker Desktop has for the machine beside its containers.
HOST_NAME = "host.docker.internal"


def container_body(
    spec: ContainerSpec,
    *,
    image_id: str,
    labels: Mapping[str, str],
    network: str,
    aliases: Sequence[str],
    volumes: Mapping[str, str],
    start_interval: bool,
    host_address: str | None = None,
) -> dict[str, Any]:
    """Write the body of `POST /containers/create`.

    Args:
        spec: what is wanted.
        image_id: its image.
        labels: the plugin's own labels.
        network: the network that it starts in: a word of Docker's, or a network's name.
        aliases: its names there; none on Docker's own networks, which have no names.
        volumes: the real names of the volumes that the spec names.
        start_interval: whether the engine knows health checks' start interval.
        host_address: what `host.docker.internal` stands for in it.
    """
    body: dict[str, Any] = {
        "Image": image_id,
        "Labels": {**spec.labels, **labels},
        "Env": [f"{key}={value}" for key, value in spec.full_env().items()],
        "ExposedPorts": {port.key: {} for port in spec.published_ports},
        "HostConfig": _host_config(spec, network, volumes, host_address),
    }
    optional = {
        "Cmd": None if spec.command is None else list(spec.command),
        "Entrypoint": None if spec.entrypoint is None else list(spec.entrypoint),
        "User": spec.user,
        "WorkingDir": spec.workdir,
        "Hostname": spec.hostname,
        "StopSignal": spec.stop_signal,
        "StopTimeout": None if spec.stop_timeout_s is None else math.ceil(spec.stop_timeout_s),
        "Healthcheck": None if spec.health is None else health_body(spec.health, start_interval=start_interval),
    }
    body.update({key: value for key, value in optional.items() if value is not None})
    if aliases:
        body["NetworkingConfig"] = {"EndpointsConfig": {network: {"Aliases": list(aliases)}}}
    return body


def _host_config(
    spec: ContainerSpec, network: str, volumes: Mapping[str, str], host_address: str | None
) -> dict[str, Any]:
    # Those of the user first: the first one in /etc/hosts counts.
    hosts = [*spec.extra_hosts.items(), *([] if host_address is None else [(HOST_NAME, host_address)])]
    config: dict[str, Any] = {
        "NetworkMode": network,
        "PortBindings": {
            port.key: [{"HostIp": port.host_ip, "HostPort": str(port.host_port or "")}]
            for port in spec.published_ports
        },
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "Privileged": spec.privileged,
        "ReadonlyRootfs": spec.read_only,
        "SecurityOpt": list(spec.security_opt),
        "Devices": [_device(each) for each in spec.devices],
        "Tmpfs": dict(_pairs(spec.tmpfs)),
        "Mounts": [_mount(each, volumes) for each in spec.mounts],
        "ExtraHosts": [f"{name}:{address}" for name, address in hosts],
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in _limits(spec)],
    }
    optional = {
        "NanoCpus": None if spec.cpus is None else round(spec.cpus * _NS),
        "Memory": spec.memory_bytes,
        "MemorySwap": spec.memory_swap_bytes,
        "PidsLimit": spec.pids,
        "ShmSize": spec.shm_bytes,
        "Init": spec.init,
    }
    config.update({key: value for key, value in optional.items() if value is not None})
    config.update(spec.docker_options)
    return config


def _pairs(tmpfs: Any) -> Mapping[str, str]:
    # The spec has made a mapping of whatever was given.
    pairs: Mapping[str, str] = tmpfs
    return pairs


def _limits(spec: ContainerSpec) -> list[tuple[str, tuple[int, int]]]:
    return [(name, (pair, pair) if isinstance(pair, int) else pair) for name, pair in spec.ulimits.items()]


def _device(written: str) -> dict[str, str]:
    host, *rest = written.split(":")
    inside = rest[0] if rest and rest[0].startswith("/") else host
    rights = rest[-1] if rest and not rest[-1].startswith("/") else "rwm"
    return {"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": rights}


def _mount(mount: Mount, volumes: Mapping[str, str]) -> dict[str, Any]:
    written: dict[str, Any] = {"Target": mount.target, "ReadOnly": mount.read_only, "Type": "volume"}
    if mount.source is None:
        return written
    if isinstance(mount.source, VolumeHandle | External):
        written["Source"] = mount.source.name
    elif isinstance(mount.source, str):
        written["Source"] = volumes[mount.source]
    else:
        # As a mount, not as a bind: for that the engine would make a missing directory, as root.
        written.update(Type="bind", Source=str(mount.source))
    return written


def health_body(check: HealthCheck, *, start_interval: bool) -> dict[str, Any]:
    """Write a health check as the engine has it."""
    written: dict[str, Any] = {}
    if check.docker_test is not None:
        written["Test"] = list(check.docker_test)
    if check.retries is not None:
        written["Retries"] = check.retries
    for key, seconds in check.durations().items():
        if key != "StartInterval" or start_interval:
            written[key] = round(seconds * _NS)
    return written
