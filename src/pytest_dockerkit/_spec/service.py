"""Services: what a swarm is to keep running."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_dockerkit._names import BUILT_IN
from pytest_dockerkit._spec import checks
from pytest_dockerkit._spec.fields import CHECKS
from pytest_dockerkit._spec.healthcheck import HealthCheck
from pytest_dockerkit._spec.image import ImageRequest, ImageSpec
from pytest_dockerkit._spec.keywords import refuse_unknown, refuse_without_image, spec_from
from pytest_dockerkit._spec.network import INTERNAL, ISOLATED, NetworkSpec
from pytest_dockerkit._spec.ports import LOOPBACK, PublishedPort, parse_port
from pytest_dockerkit._spec.refs import External, FixtureRef, NetworkHandle
from pytest_dockerkit._spec.secret import Secret
from pytest_dockerkit._units import parse_seconds, parse_size
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError, without_our_frames

MODES = ("replicated", "global")
ENDPOINT_MODES = ("vip", "dnsrr")
PUBLISH_MODES = ("ingress", "host")
ON_FAILURE = ("pause", "continue", "rollback")
ORDERS = ("stop-first", "start-first")
RESTARTS = ("none", "on-failure", "any")

#: How long a service may take to converge where nobody says, in seconds: each node may have to pull its image.
DEFAULT_TIMEOUT_S = 60.0

#: Source: docker/cli, opts/constraint; swarmkit, manager/constraint.
_CONSTRAINT = (
    r"\s*(node\.(id|hostname|ip|role|platform\.(os|arch)|labels\.\S+?)|engine\.labels\.\S+?)\s*(==|!=)\s*\S.*"
)

_OF_CONTAINERS = (
    *("image", "name", "command", "entrypoint", "env", "user", "workdir", "hostname", "ports", "healthcheck"),
    *("timeout", "cpus", "memory", "read_only", "cap_add", "cap_drop", "secrets", "labels", "init", "stop_signal"),
    *("stop_timeout", "pull"),
)
Empty: FrozenMapping[str, Any] = FrozenMapping()


@dataclass(frozen=True, kw_only=True)
class UpdateConfig:
    """How tasks are replaced by an update, or by a rollback.

    Attributes:
        parallelism: how many at a time; 0 is all.
        delay: the pause between, seconds or "10s".
        failure_action: what becomes of the update when tasks fail: pause, continue, or rollback (updates alone).
        monitor: for how long a new task is watched for failure, seconds or "5s".
        max_failure_ratio: the part of the tasks that may fail, from 0 to 1.
        order: stop-first, or start-first.

    Raises:
        SpecError: a value is wrong.
    """

    parallelism: int = 1
    delay: float | str = 0
    failure_action: str = "pause"
    monitor: float | str = 5
    max_failure_ratio: float = 0.0
    order: str = "stop-first"

    @without_our_frames
    def __post_init__(self) -> None:
        checks.whole_number("parallelism", self.parallelism, least=0)
        parse_seconds("delay", self.delay)
        parse_seconds("monitor", self.monitor)
        checks.one_of("failure_action", self.failure_action, ON_FAILURE)
        checks.one_of("order", self.order, ORDERS)
        ratio = self.max_failure_ratio
        if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio <= 1:
            raise checks.wrong_type("max_failure_ratio", ratio, "max_failure_ratio=0.5, from 0 to 1")


@dataclass(frozen=True, kw_only=True, repr=True)
class ServiceSpec:
    """A service of a swarm.

    Attributes:
        image: a reference, an `ImageSpec`, an image or its fixture. Each node has to be able to have it.
        name: what others find it by in its networks; without one, it is called after its image.
        command: the arguments, in place of the image's.
        entrypoint: the program, in place of the image's.
        env: variables.
        user: who runs it.
        workdir: its working directory.
        hostname: its hostname; templates as "{{.Node.Hostname}}" are Docker's.
        replicas: how many tasks (replicated mode).
        mode: "replicated", or "global": one task on each node.
        ports: those that are published, as in `ContainerSpec`; on all addresses of the nodes, since a swarm knows
            no others.
        publish_mode: "ingress", the routing mesh of all nodes, or "host", on the nodes of its tasks alone.
        endpoint_mode: "vip", one address for all tasks, or "dnsrr", a name for the addresses of all.
        placement: constraints, such as "node.role==worker".
        cpus: the cap of each task, in cores.
        memory: the cap of each task.
        reserve_cpus: what a node has to have free for a task, in cores.
        reserve_memory: the same of memory.
        healthcheck: in place of the image's; a task is running once it is healthy.
        restart: when a task is replaced: "any", "on-failure" or "none".
        update: how tasks are replaced by `update()`.
        rollback: how they are by `rollback()`.
        secrets: `{"name": "…" | bytes | Path | Secret}`: Swarm's own, files at /run/secrets/NAME.
        configs: `{"/etc/app.toml": "text" | bytes | Path}`: Swarm's own.
        network: an overlay network, its spec or fixture, `external("name")`, or a list of these.
        labels: labels of the service.
        read_only: whether its root is.
        cap_add: kernel capabilities that it has more.
        cap_drop: kernel capabilities that it has not.
        init: a small init as PID 1.
        stop_signal: what asks a task to stop.
        stop_timeout: how long it has then, seconds or "30s".
        timeout: how long it may take to converge, seconds or "30s".
        pull: when the image is pulled on this engine.

    Raises:
        SpecError: a value has the wrong type, or contradicts another.
    """

    image: ImageRequest
    name: str | None = None
    command: str | Sequence[str] | None = None
    entrypoint: str | Sequence[str] | None = None
    env: Mapping[str, str | int | float] = Empty
    user: str | int | None = None
    workdir: str | None = None
    hostname: str | None = None
    replicas: int | None = None
    mode: str = "replicated"
    ports: Sequence[int | str] = ()
    publish_mode: str = "ingress"
    endpoint_mode: str = "vip"
    placement: Sequence[str] = ()
    cpus: float | None = None
    memory: int | str | None = None
    reserve_cpus: float | None = None
    reserve_memory: int | str | None = None
    healthcheck: HealthCheck | str | Sequence[str] | None = None
    restart: str = "any"
    update: UpdateConfig | None = None
    rollback: UpdateConfig | None = None
    secrets: Mapping[str, str | bytes | Path | Secret] = Empty
    configs: Mapping[str, str | bytes | Path] = Empty
    network: NetworkSpec | External | NetworkHandle | FixtureRef | Sequence[Any] | None = None
    labels: Mapping[str, str] = Empty
    read_only: bool = False
    cap_add: Sequence[str] = ()
    cap_drop: Sequence[str] = ()
    init: bool | None = None
    stop_signal: str | None = None
    stop_timeout: float | str | None = None
    timeout: float | str | None = None
    pull: str | None = None

    @without_our_frames
    def __post_init__(self) -> None:
        for name in _OF_CONTAINERS:
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, CHECKS[name](name, value))
        object.__setattr__(self, "configs", CHECKS["files"]("configs", self.configs))
        for name, known in (
            ("mode", MODES),
            ("publish_mode", PUBLISH_MODES),
            ("endpoint_mode", ENDPOINT_MODES),
            ("restart", RESTARTS),
        ):
            checks.one_of(name, getattr(self, name), known)
        for name, of in (("reserve_cpus", "cpus"), ("reserve_memory", "memory")):
            if (value := getattr(self, name)) is not None:
                CHECKS[of](name, value)
        for name in ("update", "rollback"):
            if not isinstance(value := getattr(self, name), UpdateConfig | None):
                raise checks.wrong_type(name, value, f"{name}=UpdateConfig(parallelism=2)")
        self._check_placement()
        self._check_together()

    def _check_placement(self) -> None:
        example = 'placement=["node.role==worker"]'
        object.__setattr__(self, "placement", checks.texts("placement", self.placement, example))
        for each in self.placement:
            if not re.fullmatch(_CONSTRAINT, each):
                mend = (
                    f"{example}: node.id, node.hostname, node.role, node.platform.os, node.labels.…, engine.labels.…"
                )
                raise SpecError("placement= has what is no constraint", saw=repr(each), mend=mend)

    def _check_together(self) -> None:
        if self.replicas is not None:
            checks.whole_number("replicas", self.replicas, least=0)
            if self.mode == "global":
                raise SpecError(
                    "a global service has one task on each node",
                    saw=f"mode='global' with replicas={self.replicas}",
                    mend='drop replicas=, or mode="replicated"; placement= chooses the nodes',
                )
        for port in self.published_ports:
            if port.host_ip != LOOPBACK:
                raise SpecError(
                    "a swarm publishes on all addresses of its nodes",
                    saw=f"ports={list(self.ports)}",
                    mend='ports=[80], or ports=["8080:80"]',
                )
        if self.ports and self.endpoint_mode == "dnsrr" and self.publish_mode == "ingress":
            raise SpecError(
                "the routing mesh needs an address for all tasks",
                saw="endpoint_mode='dnsrr' with publish_mode='ingress'",
                mend="publish_mode='host', or endpoint_mode='vip'",
            )
        if self.rollback is not None and self.rollback.failure_action == "rollback":
            raise SpecError(
                "a rollback that fails is not rolled back",
                saw="rollback=UpdateConfig(failure_action='rollback')",
                mend='failure_action="pause" or "continue"',
            )
        for each in self.networks:
            if each in (ISOLATED, INTERNAL, *BUILT_IN) or not isinstance(
                each, NetworkSpec | External | NetworkHandle | FixtureRef
            ):
                raise SpecError(
                    "services are in overlay networks",
                    saw=f"network={each!r}",
                    mend='network_fixture(driver="overlay", attachable=True), a NetworkSpec, or external("name")',
                )

    @cached_property
    def published_ports(self) -> tuple[PublishedPort, ...]:
        """The ports, read."""
        return tuple(parse_port(each) for each in self.ports)

    @property
    def networks(self) -> tuple[Any, ...]:
        """The networks, as a list."""
        if self.network is None:
            return ()
        return tuple(self.network) if isinstance(self.network, list | tuple) else (self.network,)

    @property
    def wanted_replicas(self) -> int | None:
        """How many tasks there are to be; None where each node has one."""
        if self.mode == "global":
            return None
        return 1 if self.replicas is None else self.replicas

    @cached_property
    def health(self) -> HealthCheck | None:
        """The health check of its own, if one was given."""
        return (
            self.healthcheck
            if isinstance(self.healthcheck, HealthCheck | None)
            else HealthCheck(test=self.healthcheck)
        )

    @cached_property
    def timeout_s(self) -> float:
        """How long it may take to converge, in seconds."""
        return DEFAULT_TIMEOUT_S if self.timeout is None else parse_seconds("timeout", self.timeout)

    def memory_of(self, name: str) -> int | None:
        """Give `memory` or `reserve_memory` in bytes."""
        value = getattr(self, name)
        return None if value is None else parse_size(name, value)

    def anchored(self, base: Path) -> ServiceSpec:
        """Make the paths of this machine absolute, and refuse what is not there.

        Raises:
            SpecError: a path does not exist.
        """
        return replace(
            self,
            image=self.image.anchored(base) if isinstance(self.image, ImageSpec) else self.image,
            secrets=checks.existing_paths("secrets", base, self.secrets),
            configs=checks.existing_paths("configs", base, self.configs),
        )


def service_from(given: Mapping[str, Any]) -> ServiceSpec:
    """Make a spec from keywords, which may be wrong; `image` may be a whole one.

    Raises:
        SpecError: a keyword is unknown, or a value is wrong.
    """
    fields = dict(given)
    if isinstance(fields.get("image"), ServiceSpec):
        return spec_from(ServiceSpec, fields.pop("image"), fields)
    refuse_unknown(fields, tuple(ServiceSpec.__dataclass_fields__))
    refuse_without_image(fields, 'an image such as "nginx:1.27"')
    return ServiceSpec(**fields)
