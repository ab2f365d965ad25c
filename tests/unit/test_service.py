"""Services: what is asked for, and the request that creates one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit._engine.service_body import Stored, service_body
from pytest_dockerkit._spec.network import NetworkSpec
from pytest_dockerkit._spec.refs import external
from pytest_dockerkit._spec.service import ServiceSpec, UpdateConfig
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable


def make(**fields: Any) -> ServiceSpec:
    return ServiceSpec(**{"image": "busybox:stable", **fields})


def body(**fields: Any) -> dict[str, Any]:
    return service_body(make(**fields), "n", image="i", labels={"ours": "1"}, networks=["mesh"], alias="web")


def test_the_least_is_one_task_that_stays() -> None:
    assert body() == {
        "Name": "n",
        "Labels": {"ours": "1"},
        "TaskTemplate": {
            "ContainerSpec": {"Image": "i", "Env": [], "ReadOnly": False, "Secrets": [], "Configs": []},
            "Resources": {},
            "RestartPolicy": {"Condition": "any"},
            "Placement": {"Constraints": []},
            "Networks": [{"Target": "mesh", "Aliases": ["web"]}],
        },
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "vip", "Ports": []},
    }


def test_each_field_has_its_place() -> None:
    written = service_body(
        make(
            command="serve --all",
            entrypoint=["/bin/x"],
            env={"A": 1},
            user=1000,
            workdir="/w",
            hostname="h",
            replicas=3,
            ports=["8080:80", "53/udp"],
            publish_mode="host",
            placement=["node.role==worker", "node.labels.zone != a"],
            cpus=0.5,
            memory="64m",
            reserve_cpus=0.25,
            reserve_memory="32m",
            healthcheck="true",
            restart="on-failure",
            update=UpdateConfig(parallelism=2, delay="1s", failure_action="rollback", order="start-first"),
            rollback=UpdateConfig(parallelism=0),
            labels={"team": "shop"},
            init=True,
            stop_signal="SIGINT",
            stop_timeout="2s",
            cap_add=["NET_ADMIN"],
        ),
        "n",
        image="i",
        labels={},
        networks=[],
        alias="web",
        secrets=[Stored("key", "n-key", "s1")],
        configs=[Stored("/etc/app", "n-app", "c1")],
    )
    container = written["TaskTemplate"]["ContainerSpec"]
    assert (container["Command"], container["Args"]) == (["/bin/x"], ["serve", "--all"])
    assert (container["User"], container["Dir"], container["Hostname"]) == ("1000", "/w", "h")
    assert (container["Init"], container["StopSignal"], container["StopGracePeriod"]) == (True, "SIGINT", 2 * 10**9)
    assert container["CapabilityAdd"] == ["NET_ADMIN"]
    assert container["Healthcheck"] == {"Test": ["CMD-SHELL", "true"]}
    assert container["Secrets"] == [
        {"File": {"Name": "key", "UID": "0", "GID": "0", "Mode": 0o400}, "SecretID": "s1", "SecretName": "n-key"}
    ]
    assert container["Configs"][0]["File"] == {"Name": "/etc/app", "UID": "0", "GID": "0", "Mode": 0o444}
    assert written["TaskTemplate"]["Resources"] == {
        "Limits": {"NanoCPUs": 5 * 10**8, "MemoryBytes": 64 * 2**20},
        "Reservations": {"NanoCPUs": 25 * 10**7, "MemoryBytes": 32 * 2**20},
    }
    assert written["TaskTemplate"]["Placement"] == {"Constraints": ["node.role==worker", "node.labels.zone != a"]}
    assert written["EndpointSpec"]["Ports"] == [
        {"Protocol": "tcp", "TargetPort": 80, "PublishMode": "host", "PublishedPort": 8080},
        {"Protocol": "udp", "TargetPort": 53, "PublishMode": "host"},
    ]
    assert written["UpdateConfig"]["FailureAction"] == "rollback"
    assert written["UpdateConfig"]["Delay"] == 10**9
    assert written["RollbackConfig"]["Parallelism"] == 0
    assert written["Mode"] == {"Replicated": {"Replicas": 3}}
    assert body(mode="global")["Mode"] == {"Global": {}}


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (lambda: make(mode="global", replicas=2), "a global service has one task on each node"),
        (lambda: make(ports=["0.0.0.0:80:80"]), "a swarm publishes on all addresses of its nodes"),
        (lambda: make(ports=[80], endpoint_mode="dnsrr"), "the routing mesh needs an address for all tasks"),
        (lambda: make(network="isolated"), "services are in overlay networks"),
        (lambda: make(placement=["worker"]), "placement= has what is no constraint"),
        (
            lambda: make(rollback=UpdateConfig(failure_action="rollback")),
            "a rollback that fails is not rolled back",
        ),
        (lambda: make(update={"parallelism": 2}), "update= is of the wrong type"),
        (lambda: UpdateConfig(max_failure_ratio=2), "max_failure_ratio= is of the wrong type"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: Callable[[], object], what: str) -> None:
    with pytest.raises(SpecError) as caught:
        wrong()
    assert caught.value.what == what


def test_networks_are_a_list() -> None:
    mesh = NetworkSpec(driver="overlay")
    assert make(network=mesh).networks == (mesh,)
    assert make(network=[mesh, external("a")]).networks == (mesh, external("a"))
    assert make().networks == ()
