"""Which containers can run twice side by side: field by field, the harmless and the harmful values."""

from __future__ import annotations

import dataclasses
import ssl
from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, ImageSpec, NetworkSpec, Secret, external, probes
from pytest_dockerkit._spec.keywords import spec_fields
from pytest_dockerkit._spec.mounts import Mount
from pytest_dockerkit._spec.refs import ContainerHandle, FixtureRef, ImageHandle, NetworkHandle, VolumeHandle
from pytest_dockerkit._spec.self_contained import FIELDS, self_contained

REF = FixtureRef(None, lambda: "a")


class UsersProbe:
    def look(self, _container: object) -> bool:
        return True


@dataclasses.dataclass(frozen=True)
class UsersProbeWithin:
    probes: tuple[object, ...] = ()

    def look(self, _container: object) -> bool:
        return True


#: Of each field: values that another container does not notice, and values that it may notice.
VALUES: dict[str, tuple[list[Any], list[Any]]] = {
    "image": (["a", ImageSpec(build="."), ImageHandle(), REF], []),
    "name": ([None, "a"], []),
    "command": ([None, "a b"], []),
    "entrypoint": ([None, ()], []),
    "env": ([{}, {"A": "1"}], []),
    "env_file": ([None, "a.env"], []),
    "user": ([None, "0"], []),
    "workdir": ([None, "/a"], []),
    "hostname": ([None, "a"], []),
    "ports": (
        [(), [80], ["53/udp"], ["0.0.0.0::80"], ["[::1]::80"], ["127.0.0.1::80", 81]],
        [["8080:80"], [80, "8081:81/udp"], ["0.0.0.0:8080:80"]],
    ),
    "healthcheck": ([None, "true", HealthCheck.none()], []),
    "wait": (
        [
            None,
            probes.healthy(),
            probes.http("/", tls=ssl.create_default_context()),
            probes.all_of(probes.port(80), probes.any_of(probes.log("a"), probes.command("b"))),
        ],
        [UsersProbe(), UsersProbeWithin((probes.running(),)), probes.any_of(probes.all_of(UsersProbe()))],
    ),
    "timeout": ([None, 0, "1m"], []),
    "cpus": ([None, 0.5], []),
    "memory": ([None, "64m"], []),
    "memory_swap": ([None, -1], []),
    "pids": ([None, 10], []),
    "shm_size": ([None, 0], []),
    "ulimits": (
        [{}, {"nofile": (1, 2)}, {"memlock": -1}, {"nproc": (-1, -1), "core": 0}],
        [{"nproc": 10}, {"nofile": 1, "memlock": (0, -1)}, {"msgqueue": 1}, {"NPROC": 1}, {"sigpending": 1}],
    ),
    "cap_add": (
        [(), ["NET_ADMIN", "cap_sys_ptrace", "CAP_CHOWN"]],
        [["ALL"], ["SYS_ADMIN"], ["NET_ADMIN", "CAP_SYS_TIME"], ["SYS_MODULE"], ["BPF"], ["NEW_ONE"]],
    ),
    "cap_drop": ([(), ["ALL"]], []),
    "privileged": ([False], [True]),
    "read_only": ([False, True], []),
    "security_opt": ([(), ["no-new-privileges"]], []),
    "devices": ([()], [["/dev/null"], ["/dev/a:/dev/b:r"]]),
    "tmpfs": ([{}, ["/a"]], []),
    "volumes": (
        [(), ["/a"], ["a:/b"], ["a:/b:ro", "/c"], [Mount("/a", None)]],
        [
            ["/a:/b"],
            ["./a:/b:ro"],
            ["/a", (Path("b"), "/c")],
            {"/a": VolumeHandle()},
            {"/a": external("a")},
            {"/a": REF},
        ],
    ),
    "files": ([{}, {"/a": "text", "/b": b"", "/c": Path("c")}], []),
    "secrets": ([{}, {"a": "1", "b": Secret("b", "2"), "c": Path("c")}], []),
    "network": (
        [
            *("isolated", "internal", "bridge", "none"),
            ["isolated", "internal"],
            NetworkSpec(),
            NetworkSpec(internal=True, labels={"a": "b"}, ipv6=True, attachable=True),
            NetworkSpec(driver="macvlan"),
            NetworkSpec(options={"com.docker.network.driver.mtu": "1400"}),
        ],
        [
            "host",
            NetworkSpec(subnet="10.99.0.0/24"),
            NetworkSpec(driver="ipvlan", parent="eth0"),
            NetworkSpec(options={"com.docker.network.bridge.name": "br-test"}),
            NetworkSpec(options={"new": "1"}),
            NetworkSpec(driver="weave"),
            external("a"),
            NetworkHandle(),
            REF,
            ["isolated", external("a")],
        ],
    ),
    "aliases": ([(), ["a"]], []),
    "extra_hosts": ([{}, {"a": "host-gateway"}], []),
    "host_access": ([False], [True]),
    "labels": ([{}, {"a": "b"}], []),
    "platform": ([None, "linux/amd64"], []),
    "init": ([None, True], []),
    "stop_signal": ([None, "SIGINT"], []),
    "stop_timeout": ([None, 0], []),
    "depends_on": ([(), ["a", "b"]], [[ContainerHandle()], [REF], ["a", REF]]),
    "pull": ([None, "always"], []),
    "docker_options": (
        [
            {},
            {"OomScoreAdj": 500, "Dns": ["1.1.1.1"], "Sysctls": {"net.core.somaxconn": "1"}},
            {"RestartPolicy": {"Name": "no"}},
            {"LogConfig": {"Type": "local"}},
            {"CapAdd": ["NET_ADMIN"]},
            {"CapAdd": None},
        ],
        [
            *(
                {key: value}
                for key in ("Binds", "VolumesFrom", "Links", "Devices", "Mounts")
                for value in ([], ["a"])
            ),
            *(
                {key: "host"}
                for key in ("NetworkMode", "IpcMode", "PidMode", "UTSMode", "UsernsMode", "CgroupnsMode")
            ),
            {"PortBindings": {}},
            {"ContainerIDFile": "/a"},
            {"CgroupParent": "/a"},
            {"Privileged": True},
            {"MaskedPaths": []},
            {"ReadonlyPaths": []},
            {"Ulimits": [{"Name": "nproc", "Soft": 1, "Hard": 1}]},
            {"DeviceRequests": [{}]},
            {"LogConfig": {"Type": "syslog"}},
            {"LogConfig": None},
            {"CapAdd": ["ALL"]},
            {"CapAdd": "NET_ADMIN"},
            {"oomscoreadj": 500},
            {"NewOne": 1},
            {"OomScoreAdj": 500, "Binds": ["/a:/a"]},
        ],
    ),
}
HARMLESS = [(field, value) for field, (harmless, _) in VALUES.items() for value in harmless]
HARMFUL = [(field, value) for field, (_, harmful) in VALUES.items() for value in harmful]


def spec(field: str, value: Any) -> ContainerSpec:
    memory = {"memory": "64m"} if field == "memory_swap" else {}
    return ContainerSpec(**{"image": "a", **memory, field: value})


def test_every_field_was_decided_on() -> None:
    """A new field has to be looked at: can two containers of one spec have it, and neither notices?"""
    assert set(FIELDS) == set(VALUES) == set(spec_fields())
    assert {field for field, check in FIELDS.items() if check is None} == {
        field for field, (_, harmful) in VALUES.items() if not harmful
    }


@pytest.mark.parametrize(("field", "value"), HARMLESS)
def test_another_container_does_not_notice(field: str, value: Any) -> None:
    assert self_contained(spec(field, value))


@pytest.mark.parametrize(("field", "value"), HARMFUL)
def test_another_container_may_notice(field: str, value: Any) -> None:
    assert not self_contained(spec(field, value))


def test_one_field_that_is_noticed_is_enough() -> None:
    assert not self_contained(ContainerSpec(image="a", ports=[80], cap_add=["NET_ADMIN"], network=["internal", REF]))
