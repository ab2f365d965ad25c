"""The request that creates a service, written from its spec. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_dockerkit._engine.body import health_body
from pytest_dockerkit._units import parse_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_dockerkit._spec.service import ServiceSpec, UpdateConfig

Json = dict[str, Any]
_NS = 1_000_000_000


class Stored(NamedTuple):
    """A secret or a config that the swarm keeps.

    Attributes:
        target: what its file is called: a name below /run/secrets, or a path.
        name: what the swarm calls it.
        id: the swarm's id for it.
    """

    target: str
    name: str
    id: str


def service_body(
    spec: ServiceSpec,
    name: str,
    *,
    image: str,
    labels: Mapping[str, str],
    networks: Sequence[str],
    alias: str,
    secrets: Sequence[Stored] = (),
    configs: Sequence[Stored] = (),
    start_interval: bool = False,
) -> Json:
    """Write the body of `POST /services/create`.

    Args:
        spec: what is wanted.
        name: what the swarm is to call it.
        image: the reference of its image, which each node can have.
        labels: the plugin's own labels.
        networks: the names of its networks.
        alias: its name there.
        secrets: its secrets.
        configs: its configs.
        start_interval: whether the engine knows health checks' start interval.
    """
    resources = {
        "Limits": _resources(spec.cpus, spec.memory_of("memory")),
        "Reservations": _resources(spec.reserve_cpus, spec.memory_of("reserve_memory")),
    }
    body: Json = {
        "Name": name,
        "Labels": {**spec.labels, **labels},
        "TaskTemplate": {
            "ContainerSpec": _container(spec, image, secrets, configs, start_interval=start_interval),
            "Resources": {key: value for key, value in resources.items() if value},
            "RestartPolicy": {"Condition": spec.restart},
            "Placement": {"Constraints": list(spec.placement)},
            "Networks": [{"Target": each, "Aliases": [alias]} for each in networks],
        },
        "Mode": {"Global": {}} if spec.mode == "global" else {"Replicated": {"Replicas": spec.wanted_replicas}},
        "EndpointSpec": {
            "Mode": spec.endpoint_mode,
            "Ports": [
                {
                    "Protocol": port.protocol,
                    "TargetPort": port.container_port,
                    "PublishMode": spec.publish_mode,
                    **({} if port.host_port is None else {"PublishedPort": port.host_port}),
                }
                for port in spec.published_ports
            ],
        },
    }
    for key, config in (("UpdateConfig", spec.update), ("RollbackConfig", spec.rollback)):
        if config is not None:
            body[key] = _update(config)
    return body


def _container(
    spec: ServiceSpec, image: str, secrets: Sequence[Stored], configs: Sequence[Stored], *, start_interval: bool
) -> Json:
    optional = {
        # Swarm calls what is an entrypoint elsewhere the command.
        "Command": None if spec.entrypoint is None else list(spec.entrypoint),
        "Args": None if spec.command is None else list(spec.command),
        "Hostname": spec.hostname,
        "Dir": spec.workdir,
        "User": spec.user,
        "Init": spec.init,
        "StopSignal": spec.stop_signal,
        "StopGracePeriod": None
        if spec.stop_timeout is None
        else math.ceil(parse_seconds("stop_timeout", spec.stop_timeout) * _NS),
        "Healthcheck": None if spec.health is None else health_body(spec.health, start_interval=start_interval),
        "CapabilityAdd": list(spec.cap_add) or None,
        "CapabilityDrop": list(spec.cap_drop) or None,
    }
    return {
        "Image": image,
        "Env": [f"{key}={value}" for key, value in spec.env.items()],
        "ReadOnly": spec.read_only,
        "Secrets": [_file(each, "Secret", 0o400) for each in secrets],
        "Configs": [_file(each, "Config", 0o444) for each in configs],
        **{key: value for key, value in optional.items() if value is not None},
    }


def _file(stored: Stored, kind: str, mode: int) -> Json:
    return {
        "File": {"Name": stored.target, "UID": "0", "GID": "0", "Mode": mode},
        f"{kind}ID": stored.id,
        f"{kind}Name": stored.name,
    }


def _resources(cpus: float | None, memory: int | None) -> Json:
    found = {"NanoCPUs": None if cpus is None else round(cpus * _NS), "MemoryBytes": memory}
    return {key: value for key, value in found.items() if value is not None}


def _update(config: UpdateConfig) -> Json:
    return {
        "Parallelism": config.parallelism,
        "Delay": round(parse_seconds("delay", config.delay) * _NS),
        "FailureAction": config.failure_action,
        "Monitor": round(parse_seconds("monitor", config.monitor) * _NS),
        "MaxFailureRatio": config.max_failure_ratio,
        "Order": config.order,
    }
