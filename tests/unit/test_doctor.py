"""What the doctor says of an engine's answers, of docker's configuration, and of the state directory."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit._engine.base import EngineFacts
from pytest_dockerkit._engine.checkup import of_info, of_logins
from pytest_dockerkit._engine.finding import NOTE, OK, WRONG, Finding
from pytest_dockerkit._engine.looked_at import look_around, none_answers
from pytest_dockerkit._runtime import checkup
from pytest_dockerkit._runtime.ledger import Ledger
from pytest_dockerkit._runtime.settings import Settings, state_dir
from pytest_dockerkit.errors import EngineUnavailableError

LOCAL = EngineFacts("unix:///run/x.sock", "28.5.2", (1, 51), "linux", podman=False, arch="amd64")
REMOTE = dataclasses.replace(LOCAL, host="tcp://build:2375")
ABLE = {"MemoryLimit": True, "SwapLimit": True, "CpuCfsQuota": True, "PidsLimit": True}


def by_subject(findings: Iterator[Finding] | list[Finding]) -> dict[str, Finding]:
    return {each.about: each for each in findings}


def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object) -> None:
    """Let docker's configuration say something; what is a text stands there as it is."""
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


# The engine


def test_an_engine_that_can_all_has_nothing_to_mend() -> None:
    info = {**ABLE, "Driver": "overlay2", "CgroupVersion": "2", "CgroupDriver": "systemd", "NCPU": 8, "Name": "build"}
    found = by_subject(of_info(info | {"MemTotal": 16e9, "OperatingSystem": "Debian"}, REMOTE))
    assert {each.verdict for each in found.values()} == {OK}
    assert {each.mend for each in found.values()} == {""}
    assert found["runs on"].said == "build: Debian, 8 CPUs, 16 GB of memory"
    assert found["cgroups"].said == "version 2, driver systemd"
    assert "space for images" not in found


@pytest.mark.parametrize(
    ("info", "about", "said", "mend"),
    [
        ({"Driver": "vfs"}, "storage driver", "vfs: each container is a copy of its whole image", "overlay2, "),
        (
            {"SwapLimit": False, "CpuCfsQuota": False, "SecurityOptions": ["name=seccomp", "name=rootless"]},
            "caps",
            "has none for memory_swap=, cpus=",
            "cgroup version 2, with its controllers delegated",
        ),
        ({"PidsLimit": False}, "caps", "has none for pids=", "see `docker info`"),
        ({"Warnings": ["WARNING: No blkio"]}, "engine warns", "WARNING: No blkio", ""),
    ],
)
def test_what_an_engine_lacks_is_worth_a_look(info: dict[str, Any], about: str, said: str, mend: str) -> None:
    found = by_subject(of_info({**ABLE, **info}, REMOTE))[about]
    assert (found.said, found.verdict) == (said, NOTE)
    assert found.mend.startswith(mend)


def test_an_older_engine_says_less_and_is_none_the_worse(tmp_path: Path) -> None:
    old = dataclasses.replace(LOCAL, api=(1, 40))
    found = by_subject(of_info({"DockerRootDir": str(tmp_path / "nowhere"), "Warnings": None}, old))
    assert {each.verdict for each in found.values()} == {OK}
    assert found["start_interval="].said.startswith("not the engine's own")


def test_where_images_have_no_room_left_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 3e8}))
    found = by_subject(of_info({**ABLE, "DockerRootDir": str(tmp_path)}, LOCAL))["space for images"]
    assert (found.said, found.verdict) == (f"0.3 GB left in {tmp_path}", WRONG)
    assert found.mend.startswith("`dockerkit prune --images`")


# Where none answers


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without an engine: sockets that could be there are in this directory."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    configured(tmp_path, monkeypatch, {"currentContext": "default"})
    found = [tmp_path / "one.sock", tmp_path / "two.sock"]
    monkeypatch.setattr("pytest_dockerkit._engine.looked_at.usual_sockets", lambda: found)
    return tmp_path


def failure_at(path: Path) -> EngineUnavailableError:
    return EngineUnavailableError(f"no Docker engine answers at unix://{path}", saw="why not", mend="start it")


def test_each_place_says_what_it_is(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@build")
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(nowhere / "one.sock"))
    silent.close()
    assert look_around(None, "desk") == [
        Finding("--dockerkit-host", "not set"),
        Finding("--dockerkit-context", "desk"),
        Finding("DOCKER_HOST", "ssh://me@build"),
        Finding("docker context", "default"),
        Finding(f"unix://{nowhere}/one.sock", "is there, and nobody listens", NOTE),
        Finding(f"unix://{nowhere}/two.sock", "is not there", NOTE),
    ]


def test_what_would_mend_it_is_told_by_what_was_seen(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing, silent = nowhere / "one.sock", nowhere / "two.sock"
    closed = socket.socket(socket.AF_UNIX)
    closed.bind(str(silent))
    closed.close()
    assert none_answers(failure_at(missing), f"unix://{missing}", None).mend.startswith("install an engine, or start")
    assert none_answers(failure_at(silent), f"unix://{silent}", None).mend.startswith("start the engine: ")
    found = none_answers(failure_at(silent), "tcp://127.0.0.1:1", None)
    assert (found.said, found.verdict) == (
        "none answers at tcp://127.0.0.1:1 (given as --dockerkit-host): why not",
        WRONG,
    )
    assert found.mend == "start it"

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = none_answers(failure_at(missing), f"unix://{missing}", None)
    assert found.mend.startswith("let your user reach it: `sudo usermod -aG docker $USER`")
    assert look_around(None, None)[-1].said == "is there, and your user may not use it"


# Registries


def test_registries_are_named_and_no_secret_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    helper = tmp_path / "docker-credential-vault"
    helper.write_text("#!/bin/sh\n", encoding="utf-8")
    helper.chmod(0o755)
    auths = {
        "https://index.docker.io/v1/": {"auth": "c2VjcmV0"},
        "ghcr.io": {"identitytoken": "c2VjcmV0"},
        "https://me:c2VjcmV0@old.example.com/v1/": {},
        "me:c2VjcmV0@bare.example.com": {},
    }
    configured(
        tmp_path, monkeypatch, {"auths": auths, "credHelpers": {"ecr.example.com": "vault"}, "credsStore": "none"}
    )
    findings = list(of_logins())
    assert findings == [
        Finding("logged in at", "docker.io, ghcr.io, old.example.com/v1/, bare.example.com, ecr.example.com"),
        Finding(
            "passwords",
            "are kept by docker-credential-none, which is not there",
            WRONG,
            "install it; or take it out of docker's configuration (credsStore, credHelpers), and log in anew",
        ),
        Finding("passwords", "are kept by docker-credential-vault"),
    ]
    assert "c2VjcmV0" not in repr(findings)


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_configuration_that_makes_no_sense_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    configured(tmp_path, monkeypatch, content)
    [found] = of_logins()
    assert found.verdict == WRONG


def test_odd_entries_of_the_configuration_are_no_registries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path, monkeypatch, {"auths": ["x"], "credHelpers": None})
    assert list(of_logins()) == [Finding("logged in at", "no registry")]


# State


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


def test_a_state_directory_as_it_should_be(settings: Settings) -> None:
    found = by_subject(checkup.of_state(settings))
    assert found["directory"].said == f"{settings.state_dir}, mode 0700"
    assert found["locks"].said == "work"
    assert {each.verdict for each in found.values() if each.about != "file system"} == {OK}


def test_one_that_others_may_look_into_is_wrong(settings: Settings) -> None:
    settings.directory()
    settings.state_dir.chmod(0o755)
    found = by_subject(checkup.of_state(settings))["directory"]
    assert (found.verdict, found.mend) == (WRONG, f"chmod 700 {settings.state_dir}")
    assert found.said.endswith("others may look into it (mode 0755)")


def test_one_that_cannot_be_made_is_wrong(settings: Settings) -> None:
    settings.state_dir.write_text("a file", encoding="utf-8")
    [found] = checkup.of_state(settings)
    assert found.verdict == WRONG
    assert found.mend == "make it one that can be written to, or name another in XDG_CACHE_HOME"


def test_one_on_another_machine_is_worth_a_look(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = settings.directory() / "mounts"
    parent = str(settings.state_dir.resolve().parent).replace(" ", "\\040")
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nnas:/home {parent} nfs4 rw 0 0\nodd\n", encoding="utf-8")
    monkeypatch.setattr(checkup, "_MOUNTS", mounts)
    found = by_subject(checkup.of_state(settings))["file system"]
    assert (found.said, found.verdict) == ("nfs4, of another machine: its locks may not hold", NOTE)


def test_runs_that_are_another_users_are_wrong(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `sudo pytest` leaves them."""
    settings.directory("runs", "0" * 12)
    settings.directory("runs", "1" * 12)
    monkeypatch.setattr(os, "getuid", lambda: 4711, raising=False)
    [found] = checkup._others(settings.state_dir)
    assert found.verdict == WRONG
    assert found.said.startswith("3 directories of runs belong to another user, such as ")
    assert found.mend.startswith("sudo chown -R ")


def test_what_dead_runs_have_left_is_worth_a_look(settings: Settings) -> None:
    assert [each.said for each in checkup.of_runs(settings, (0, 0))] == ["0", "nothing"]
    assert [each.said for each in checkup.of_runs(settings, None)] == ["0"]
    Ledger(settings.directory("runs", "0" * 12) / "main.jsonl").making("container", "a")
    assert [each.said for each in checkup.of_runs(settings, (1, 3))] == ["0", "3 things of 1 run"]
    [_, unsure] = checkup.of_runs(settings, None)
    assert (unsure.said, unsure.verdict) == ("perhaps something of 1 run", NOTE)


# Networks


def test_the_subnets_that_are_left_are_counted() -> None:
    pools = Settings(subnets="base=10.9.0.0/24,size=26 base=10.8.0.0/24,size=25")
    subnets = ["10.9.0.64/26", "10.9.0.128/25", "fd00::/64", "no subnet", "172.17.0.0/16"]
    [found] = checkup.of_pools(pools, subnets, local=False)
    assert found.said == "1 of 4 free in base=10.9.0.0/24,size=26, 2 of 2 free in base=10.8.0.0/24,size=25"
    assert found.verdict == OK
    [found] = checkup.of_pools(pools, ["10.8.0.0/15"], local=False)
    assert found.verdict == WRONG
    assert found.mend.startswith("`dockerkit prune`")
    [found] = checkup.of_pools(Settings(subnets="engine"), subnets, local=True)
    assert found == Finding("subnets", "are left to the engine, which has 3 networks with one")


def test_where_the_home_is_read_only_the_state_is_among_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a directory of this user's alone; the superuser, as whom tests may run, could write anywhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    assert state_dir() == tmp_path / "home" / "cache" / "pytest-dockerkit"
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    found = state_dir()
    assert found.parent == tmp_path / "tmp"
    made = Settings(state_dir=found).directory("runs", "0" * 12)
    assert {each.stat().st_mode & 0o777 for each in (found, found / "runs", made)} == {0o700}
