"""The request that creates a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, external
from pytest_dockerkit._engine.body import container_body
from pytest_dockerkit._spec.refs import VolumeHandle

NS = 1_000_000_000


def body(spec: ContainerSpec, **changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "image_id": "sha256:1",
        "labels": {"pytest.dockerkit.run": "r"},
        "network": "dockerkit-net",
        "aliases": [],
        "volumes": {},
        "start_interval": True,
    }
    return container_body(spec, **(given | changed))


def test_a_bare_spec_says_nothing_that_was_not_asked_for() -> None:
    assert body(ContainerSpec(image="busybox")) == {
        "Image": "sha256:1",
        "Labels": {"pytest.dockerkit.run": "r"},
        "Env": [],
        "ExposedPorts": {},
        "HostConfig": {
            "NetworkMode": "dockerkit-net",
            "PortBindings": {},
            "CapAdd": [],
            "CapDrop": [],
            "Privileged": False,
            "ReadonlyRootfs": False,
            "SecurityOpt": [],
            "Devices": [],
            "Tmpfs": {},
            "Mounts": [],
            "ExtraHosts": [],
            "Ulimits": [],
        },
    }


def test_every_field_has_its_place(tmp_path: Path) -> None:
    (tmp_path / "x.env").write_text("B=file\nA=file\n", encoding="utf-8")
    handle = VolumeHandle()
    handle.name = "made"
    spec = ContainerSpec(
        image="busybox",
        command=["a", "b c"],
        entrypoint=[],
        env={"A": "1=2", "Q": "{}\"\n'ü"},
        env_file=tmp_path / "x.env",
        user=0,
        workdir="/w",
        hostname="h",
        ports=[80, "8053:53/udp", "0.0.0.0:8443:443", "[::1]::81"],
        healthcheck=HealthCheck(
            test="t", interval="250ms", timeout=1, retries=2, start_period="1m", start_interval="5ms"
        ),
        cpus=0.1,
        memory="64m",
        memory_swap=-1,
        pids=9,
        shm_size=0,
        ulimits={"nofile": (1, 2), "core": 0},
        cap_add=["NET_ADMIN"],
        cap_drop=["ALL"],
        privileged=True,
        read_only=True,
        security_opt=["no-new-privileges"],
        devices=["/dev/fuse", "/dev/a:/dev/b", "/dev/c:r", "/dev/d:/dev/e:rw"],
        tmpfs=["/run", "/tmp:size=1m"],
        volumes={"/a": tmp_path, "/b": "db:ro", "/c": None, "/d": handle, "/e": external("kept")},
        extra_hosts={"x": "10.0.0.1", "me": "host-gateway"},
        labels={"mine": "1"},
        init=False,
        stop_signal="SIGINT",
        stop_timeout=1.2,
    )
    assert body(spec, volumes={"db": "dockerkit-r-db"}, aliases=["db", "db2"]) == {
        "Image": "sha256:1",
        "Labels": {"mine": "1", "pytest.dockerkit.run": "r"},
        "Env": ["B=file", "A=1=2", "Q={}\"\n'ü"],
        "Cmd": ["a", "b c"],
        "Entrypoint": [],
        "User": "0",
        "WorkingDir": "/w",
        "Hostname": "h",
        "StopSignal": "SIGINT",
        # Rounded up: 0 would be a kill at once.
        "StopTimeout": 2,
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "443/tcp": {}, "81/tcp": {}},
        "Healthcheck": {
            "Test": ["CMD-SHELL", "t"],
            "Interval": NS // 4,
            "Timeout": NS,
            "Retries": 2,
            "StartPeriod": 60 * NS,
            "StartInterval": 5_000_000,
        },
        "NetworkingConfig": {"EndpointsConfig": {"dockerkit-net": {"Aliases": ["db", "db2"]}}},
        "HostConfig": {
            "NetworkMode": "dockerkit-net",
            "PortBindings": {
                "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
                "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "8053"}],
                "443/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8443"}],
                "81/tcp": [{"HostIp": "::1", "HostPort": ""}],
            },
            "NanoCpus": 100_000_000,
            "Memory": 64 * 1024**2,
            "MemorySwap": -1,
            "PidsLimit": 9,
            "ShmSize": 0,
            "Init": False,
            "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}, {"Name": "core", "Soft": 0, "Hard": 0}],
            "CapAdd": ["NET_ADMIN"],
            "CapDrop": ["ALL"],
            "Privileged": True,
            "ReadonlyRootfs": True,
            "SecurityOpt": ["no-new-privileges"],
            "Devices": [
                {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"},
                {"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "rwm"},
                {"PathOnHost": "/dev/c", "PathInContainer": "/dev/c", "CgroupPermissions": "r"},
                {"PathOnHost": "/dev/d", "PathInContainer": "/dev/e", "CgroupPermissions": "rw"},
            ],
            "Tmpfs": {"/run": "", "/tmp": "size=1m"},
            "Mounts": [
                {"Target": "/a", "ReadOnly": False, "Type": "bind", "Source": str(tmp_path)},
                {"Target": "/b", "ReadOnly": True, "Type": "volume", "Source": "dockerkit-r-db"},
                {"Target": "/c", "ReadOnly": False, "Type": "volume"},
                {"Target": "/d", "ReadOnly": False, "Type": "volume", "Source": "made"},
                {"Target": "/e", "ReadOnly": False, "Type": "volume", "Source": "kept"},
            ],
            "ExtraHosts": ["x:10.0.0.1", "me:host-gateway"],
        },
    }


def test_zero_is_a_value() -> None:
    made = body(
        ContainerSpec(image="busybox", stop_timeout=0, shm_size=0, user=0, healthcheck=HealthCheck(interval=0))
    )
    assert (made["StopTimeout"], made["User"], made["Healthcheck"]) == (0, "0", {"Interval": 0})
    assert made["HostConfig"]["ShmSize"] == 0


@pytest.mark.parametrize("start_interval", [True, False])
def test_older_engines_are_not_told_of_a_start_interval(*, start_interval: bool) -> None:
    spec = ContainerSpec(image="busybox", healthcheck=HealthCheck(start_interval="1s", retries=1))
    check = body(spec, start_interval=start_interval)["Healthcheck"]
    assert check == ({"Retries": 1, "StartInterval": NS} if start_interval else {"Retries": 1})


def test_the_plugin_s_labels_and_the_raw_options_win() -> None:
    spec = ContainerSpec(
        image="busybox",
        labels={"pytest.dockerkit.fingerprint": "mine"},
        memory="64m",
        docker_options={"Memory": 0, "OomScoreAdj": 5, "NetworkMode": "other"},
    )
    made = body(spec, labels={"pytest.dockerkit.fingerprint": "ours"})
    assert made["Labels"] == {"pytest.dockerkit.fingerprint": "ours"}
    assert made["HostConfig"]["Memory"] == 0
    assert made["HostConfig"]["OomScoreAdj"] == 5
    assert made["HostConfig"]["NetworkMode"] == "other"


def test_the_host_has_a_name_behind_those_of_the_user() -> None:
    """The first one in /etc/hosts counts; raw options win, and stay as they were given."""
    spec = ContainerSpec(image="busybox", extra_hosts={"x": "10.0.0.1"}, host_access=True)
    hosts = ["x:10.0.0.1", "host.docker.internal:10.9.0.1"]
    assert body(spec, host_address="10.9.0.1")["HostConfig"]["ExtraHosts"] == hosts
    given = {"ExtraHosts": ["y:10.0.0.2"]}
    spec = ContainerSpec(image="busybox", host_access=True, docker_options=given)
    assert body(spec, host_address="10.9.0.1")["HostConfig"]["ExtraHosts"] == ["y:10.0.0.2"]
    assert given == {"ExtraHosts": ["y:10.0.0.2"]}


def test_a_health_check_that_is_switched_off_says_so() -> None:
    assert body(ContainerSpec(image="busybox", healthcheck=HealthCheck.none()))["Healthcheck"] == {"Test": ["NONE"]}


def test_secrets_are_not_in_the_request() -> None:
    assert "kept-from-view" not in str(body(ContainerSpec(image="busybox", secrets={"a": "kept-from-view"})))
