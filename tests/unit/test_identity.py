"""Identities: equal for what is equal, in every process; different for all else."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import os
import pickle
import re
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, ImageSpec, NetworkSpec, Secret, VolumeSpec, external, probes
from pytest_dockerkit._poll import Look
from pytest_dockerkit._spec.identity import NoIdentityError, container_identity, identity
from pytest_dockerkit._spec.keywords import spec_fields
from pytest_dockerkit._spec.mounts import Mount
from pytest_dockerkit._spec.refs import (
    ContainerHandle,
    External,
    FixtureRef,
    ImageHandle,
    NetworkHandle,
    VolumeHandle,
)
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError
from tests.unit.refusals import refusal

KEY = b"k" * 32


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Other(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass(frozen=True)
class UsersProbe:
    """As a user may write one: what it holds is not all that it is."""

    after: int = 1

    def look(self, _container: object) -> Look:
        return Look(ready=True)


class UsersSpec(ContainerSpec):
    """A class of another's."""


def handle(cls: type[Any], **known: str) -> Any:
    made = cls()
    made.__dict__.update(known)
    return made


#: No two of them are alike.
DIFFERENT: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    float("inf"),
    float("-inf"),
    2**63,
    10**5000,
    "",
    "1",
    "1.5",
    "None",
    "True",
    "\ud800",
    "\udcff",
    "ü",
    "u\u0308",
    b"",
    b"1",
    b"\xc3\xbc",
    Path("1"),
    Path(),
    Path("a/b"),
    (),
    ((),),
    ((), ()),
    (((),),),
    (None,),
    ("a", "bc"),
    ("ab", "c"),
    ("abc",),
    (("a", "b"), "c"),
    ("a", ("b", "c")),
    ("text:1:a",),
    {},
    {"a": "b"},
    {"b": "a"},
    {"a": {"b": "c"}},
    {"a": ("b", "c")},
    {1: "a"},
    {"1": "a"},
    {"a": "", "b": ""},
    (("a", "b"),),
    Colour.RED,
    Colour.BLUE,
    Other.RED,
    Level.LOW,
    re.compile("1"),
    re.compile("1", re.IGNORECASE),
    re.compile(b"1"),
    handle(ImageHandle, id="1"),
    handle(ContainerHandle, id="1"),
    handle(NetworkHandle, id="1", name="n"),
    handle(VolumeHandle, name="1"),
    handle(VolumeHandle, name="2"),
    external("1"),
    Secret("a", "1"),
    Secret("b", "1"),
    Secret("a", "2"),
    ImageSpec(build="."),
    ImageSpec(dockerfile_text="FROM a"),
    NetworkSpec(),
    NetworkSpec(internal=True),
    VolumeSpec(),
    HealthCheck(test="1"),
    HealthCheck(test=["1"]),
    HealthCheck.none(),
    Mount("/a", "b"),
    Mount("/a", Path("b")),
    Mount("/a", None),
    probes.healthy(),
    probes.running(),
    probes.exited(),
    probes.exited(None),
    probes.port(1),
    probes.port("1"),
    probes.log("1"),
    probes.log("1", times=2),
    probes.command("1"),
    probes.http("/1"),
    probes.http("/1", tls=True),
    probes.http("/1", headers={"a": "b"}),
    probes.all_of(probes.port(1)),
    probes.any_of(probes.port(1)),
    probes.all_of(probes.port(1), probes.running()),
    ContainerSpec(image="1"),
]


def test_what_differs_in_value_or_type_has_another_identity() -> None:
    found = [identity(each, key=KEY) for each in DIFFERENT]
    alike = [(a, b) for (a, x), (b, y) in itertools.combinations(zip(DIFFERENT, found, strict=True), 2) if x == y]
    assert alike == []
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in found)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ((1, 2), [1, 2]),
        (1, 1.0),
        (0, -0.0),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, FrozenMapping({"a": 1})),
        (Path("a"), PurePosixPath("a")),
        (b"a", bytearray(b"a")),
        (Secret("a", "ü"), Secret("a", "ü".encode())),
        (re.compile("a"), re.compile("a")),
        (external("a"), External("a")),
        (HealthCheck(test="a", interval=1), HealthCheck(test="a", interval=1.0)),
        (probes.http("/", headers={"a": "1", "b": "2"}), probes.http("/", headers={"b": "2", "a": "1"})),
    ],
)
def test_what_is_equal_has_one_identity(one: object, same: object) -> None:
    assert identity(one, key=KEY) == identity(same, key=KEY)


def test_what_was_read_of_a_value_meanwhile_does_not_count() -> None:
    used = HealthCheck(test="a")
    assert used.docker_test == ("CMD-SHELL", "a")
    assert identity(used) == identity(HealthCheck(test="a"))


@pytest.mark.parametrize(
    ("value", "field", "why"),
    [
        (UsersProbe(), "", "an object of tests.unit.test_identity.UsersProbe"),
        (UsersSpec(image="a"), "", "an object of tests.unit.test_identity.UsersSpec"),
        (object(), "", "an object of builtins.object"),
        ({"a": [1, {2}]}, "['a'][1]", "an object of builtins.set"),
        ((len,), "[0]", "an object of builtins.builtin_function_or_method"),
        (FixtureRef(None, lambda: "a"), "", "a fixture"),
    ],
)
def test_what_is_not_known_by_what_it_holds_has_no_identity(value: object, field: str, why: str) -> None:
    with pytest.raises(NoIdentityError) as caught:
        identity(value)
    assert (caught.value.field, caught.value.why) == (field, why)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.field) == (f"{field or 'the value'} has no identity: {why}", field)


# Secrets


def test_the_identity_of_a_secret_depends_on_the_key_and_never_holds_the_value() -> None:
    secret = Secret("token", "swordfish")
    assert identity(secret, key=KEY) == identity(Secret("token", "swordfish"), key=KEY)
    assert identity(secret, key=KEY) != identity(secret, key=b"other")
    with pytest.raises(NoIdentityError, match=r"^the value has no identity: a secret, and there is no key$"):
        identity(secret)


# Containers

#: Two values of each field that are not the same container; of some more than two.
FIELDS: dict[str, list[Any]] = {
    "image": ["a", "b", ImageSpec(build="."), handle(ImageHandle, id="a")],
    "name": [None, "a", "b"],
    "command": [None, (), "a b", "'a b'"],
    "entrypoint": [None, (), "a"],
    "env": [{}, {"A": "1"}, {"A": "2"}, {"B": "1"}],
    "user": [None, 0, "a"],
    "workdir": [None, "/a", "/b"],
    "hostname": [None, "a", "b"],
    "ports": [(), [80], ["80/udp"], ["8080:80"], ["0.0.0.0::80"], [80, 81], [81, 80]],
    "healthcheck": [None, "a", ["a"], HealthCheck(test="a", interval=1)],
    "wait": [None, probes.port(80), probes.running()],
    "timeout": [None, 0, 1, 1.5],
    "cpus": [None, 0.5, 1],
    "memory": [None, "6m", "7m"],
    "memory_swap": [None, -1, "9m"],
    "pids": [None, 1, 2],
    "shm_size": [None, 0, "1m"],
    "ulimits": [{}, {"nofile": 1}, {"nofile": (1, 2)}],
    "cap_add": [(), ["NET_ADMIN"], ["NET_ADMIN", "SYS_TIME"]],
    "cap_drop": [(), ["ALL"]],
    "privileged": [False, True],
    "read_only": [False, True],
    "security_opt": [(), ["no-new-privileges"]],
    "devices": [(), ["/dev/null"], ["/dev/null:/dev/x"]],
    "tmpfs": [{}, ["/a"], {"/a": "size=1m"}],
    "volumes": [(), ["/a"], ["a:/a"], ["/a:/a"], ["/a:/a:ro"], [("/a", "/b")], {"/a": external("a")}],
    "files": [{}, {"/a": ""}, {"/a": b""}, {"/b": ""}],
    "secrets": [{}, {"a": "1"}, {"a": "2"}, {"b": "1"}],
    "network": ["isolated", "internal", "bridge", "host", "none", NetworkSpec(), external("a")],
    "aliases": [(), ["a"], ["a", "b"]],
    "extra_hosts": [{}, {"a": "10.0.0.1"}],
    "host_access": [False, True],
    "labels": [{}, {"a": "1"}],
    "platform": [None, "linux/amd64"],
    "init": [None, True, False],
    "stop_signal": [None, "SIGINT"],
    "stop_timeout": [None, 0, 1],
    "depends_on": [(), ["a"], ["a", "b"], [handle(ContainerHandle, id="a")]],
    "pull": [None, "always", "never"],
    "docker_options": [{}, {"A": 1}, {"A": True}, {"A": [1]}, {"A": {"B": None}}],
}


def spec(**given: Any) -> ContainerSpec:
    if given.get("memory_swap") is not None:
        given.setdefault("memory", "8m")
    return ContainerSpec(**{"image": "a", **given})


def digest(given: ContainerSpec) -> str:
    return container_identity(given, key=KEY)


def test_every_field_has_its_values_here() -> None:
    # That of the files of variables is tested by what is in them.
    assert {*FIELDS, "env_file"} == set(spec_fields())


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_counts(field: str) -> None:
    found = [digest(spec(**{field: each})) for each in FIELDS[field]]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("field", FIELDS)
def test_equal_specs_have_equal_identities(field: str) -> None:
    for value in FIELDS[field]:
        one, other = spec(**{field: value}), spec(**{field: value})
        copied = dataclasses.replace(one)
        assert one == other == copied
        assert digest(one) == digest(other) == digest(copied)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"timeout": 30}, {"timeout": 30.0}),
        ({"cpus": 1}, {"cpus": 1.0}),
        ({"stop_timeout": 0}, {"stop_timeout": 0.0}),
        ({"command": "a b"}, {"command": ["a", "b"]}),
        ({"env": {"A": 1, "B": 2}}, {"env": {"B": "2", "A": "1"}}),
        ({"ulimits": {"nofile": 1}}, {"ulimits": {"nofile": [1, 1]}}),
        ({"user": 0}, {"user": "0"}),
        ({"memory_swap": -1}, {"memory_swap": "-1"}),
        ({"volumes": ["a:/b:ro"]}, {"volumes": {"/b": "a:ro"}}),
        ({"healthcheck": "a"}, {"healthcheck": HealthCheck(test="a")}),
        ({"tmpfs": ["/a:size=1m"]}, {"tmpfs": {"/a": "size=1m"}}),
        ({"secrets": {"a": "x"}}, {"secrets": {"a": Secret("a", "x")}}),
        ({"docker_options": {"A": 1}}, {"docker_options": {"A": 1.0}}),
    ],
)
def test_specs_that_were_written_differently_and_are_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert spec(**one) == spec(**other)
    assert digest(spec(**one)) == digest(spec(**other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"network": "internal"}, {"network": ["internal"]}),
        ({"aliases": ["a", "b"]}, {"aliases": ["b", "a"]}),
        ({"cap_add": ["NET_ADMIN", "SYS_TIME"]}, {"cap_add": ["SYS_TIME", "NET_ADMIN"]}),
        ({"cap_drop": ["KILL", "CHOWN"]}, {"cap_drop": ["CHOWN", "KILL"]}),
        ({"depends_on": ["a", "b"]}, {"depends_on": ["b", "a"]}),
        ({"volumes": ["/a", "/b"]}, {"volumes": ["/b", "/a"]}),
    ],
)
def test_the_order_of_what_may_be_given_as_a_set_does_not_count(one: dict[str, Any], other: dict[str, Any]) -> None:
    """A set of texts has another order in every process."""
    assert digest(spec(**one)) == digest(spec(**other))


def test_specs_keep_what_was_written_and_so_does_their_identity() -> None:
    assert spec(ports=[80]) != spec(ports=["80"])
    assert digest(spec(ports=[80])) != digest(spec(ports=["80"]))
    assert digest(spec(memory="1g")) != digest(spec(memory="1024m"))


@pytest.mark.parametrize(
    ("given", "field", "why"),
    [
        ({"wait": UsersProbe()}, "wait", "an object of tests.unit.test_identity.UsersProbe"),
        (
            {"wait": probes.all_of(probes.running(), UsersProbe())},
            "wait.probes[1]",
            "an object of tests.unit.test_identity.UsersProbe",
        ),
        (
            {"wait": probes.http("/", tls=ssl.create_default_context())},
            "wait.tls",
            "an object of ssl.SSLContext",
        ),
        ({"image": FixtureRef(None, lambda: "a")}, "image", "a fixture"),
        ({"depends_on": ["a", FixtureRef(None, lambda: "a")]}, "depends_on", "a fixture"),
        ({"network": FixtureRef(None, lambda: "a")}, "network[0]", "a fixture"),
        ({"volumes": {"/a": FixtureRef(None, lambda: "a")}}, "volumes.source", "a fixture"),
        ({"docker_options": {"A": [{"B": len}]}}, "docker_options['A'][0]['B']", None),
    ],
)
def test_a_field_that_has_no_identity_is_named(given: dict[str, Any], field: str, why: str | None) -> None:
    with pytest.raises(NoIdentityError) as caught:
        digest(spec(**given))
    assert caught.value.field == field
    assert why is None or caught.value.why == why


def test_a_secret_needs_a_key_wherever_it_is() -> None:
    in_container = spec(secrets={"a": "1"})
    in_image = spec(image=ImageSpec(build=".", build_secrets={"a": Secret("a", "1")}))
    for each, field in ((in_container, "secrets['a']"), (in_image, "image.build_secrets['a']")):
        with pytest.raises(NoIdentityError) as caught:
            container_identity(each)
        assert (caught.value.field, caught.value.why) == (field, "a secret, and there is no key")
        assert container_identity(each, key=b"1") != container_identity(each, key=b"2")
    plain = spec()
    assert container_identity(plain) == container_identity(plain, key=KEY)


# Files


def test_a_file_counts_by_its_content_and_permissions_and_not_by_its_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one file", tmp_path / "other\udcff"
    for each in (one, other):
        each.write_text("same")
        each.chmod(0o644)
    first = digest(spec(files={"/a": one}))
    assert digest(spec(files={"/a": other})) == first
    other.chmod(0o755)
    executable = digest(spec(files={"/a": other}))
    other.chmod(0o644)
    other.write_text("else")
    assert len({first, executable, digest(spec(files={"/a": other})), digest(spec(files={"/a": "same"}))}) == 4


def test_a_directory_counts_with_all_that_is_in_it(tmp_path: Path) -> None:
    inner, link = tmp_path / "a", tmp_path / "link"
    (inner / "b").mkdir(parents=True)
    changes: list[Callable[[], object]] = [
        lambda: (inner / "c").write_text("1"),
        lambda: (inner / "c").write_text("2"),
        lambda: (inner / "c").rename(tmp_path / "c"),
        lambda: (tmp_path / "c").rename(tmp_path / "d"),
        (inner / "b").rmdir,
        lambda: inner.chmod(0o700),
        lambda: link.symlink_to("d"),
        lambda: link.rename(tmp_path / "other link"),
        lambda: link.symlink_to("nowhere"),
        lambda: os.mkfifo(tmp_path / "pipe"),
    ]
    seen = {digest(spec(files={"/a": tmp_path}))}
    for number, change in enumerate(changes, 2):
        change()
        seen.add(digest(spec(files={"/a": tmp_path})))
        assert len(seen) == number


def test_the_file_of_a_secret_counts_by_its_content_and_needs_the_key(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("1")
    given = spec(secrets={"a": file})
    first = digest(given)
    with pytest.raises(NoIdentityError, match=r"secrets\['a'\]"):
        container_identity(given)
    file.write_text("2")
    assert digest(given) != first
    file.unlink()
    assert refusal(lambda: digest(given)) == (
        f"the file of secrets['a'] cannot be read\n  saw:  {file}: No such file or directory\n"
        "  mend: write the secret there, readable for the user who runs the tests"
    )


def test_a_file_that_is_missing_raises_what_reading_it_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digest(spec(files={"/a": tmp_path / "missing"}))
    with pytest.raises(SpecError, match="env_file= cannot be read"):
        digest(spec(env_file=tmp_path / "missing"))


def test_a_file_of_variables_counts_by_the_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("A=1\nB=2\nMINE\n")
    other.write_text("# as well\nB=2\nA=1\nMINE\n")
    monkeypatch.setenv("MINE", "x")
    first = digest(spec(env_file=one))
    assert digest(spec(env_file=[other])) == first
    assert digest(spec(env={"A": "1", "B": "2", "MINE": "x"})) == first
    monkeypatch.setenv("MINE", "y")
    assert digest(spec(env_file=one)) != first


def test_a_bind_mount_counts_by_its_path_alone(tmp_path: Path) -> None:
    first = digest(spec(volumes=[(tmp_path, "/a")]))
    (tmp_path / "new").write_text("")
    assert digest(spec(volumes=[(tmp_path, "/a")])) == first
    assert digest(spec(volumes=[(tmp_path / "new", "/a")])) != first


def test_an_image_counts_by_its_fields_alone(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a\n")
    first = digest(spec(image=ImageSpec(build=tmp_path)))
    (tmp_path / "Dockerfile").write_text("FROM b\n")
    assert digest(spec(image=ImageSpec(build=tmp_path))) == first
    assert digest(spec(image=ImageSpec(build=tmp_path, target="b"))) != first


# Processes

ELSEWHERE = """
from pytest_dockerkit import ContainerSpec, HealthCheck, ImageSpec, NetworkSpec, probes
from pytest_dockerkit._spec.identity import container_identity
print(container_identity(ContainerSpec(
    image=ImageSpec(build=".", build_args={"x": "1", "y": "2"}, labels={"l": "1", "k": "2"}),
    env={name: "1" for name in {"A", "B", "C", "D", "E"}}, aliases={"a", "b", "c", "d"},
    cap_add={"CHOWN", "KILL", "NET_RAW"}, depends_on={"e", "f", "g"}, volumes={"/a", "/b", "n:/c"},
    wait=probes.all_of(probes.http("/", headers={"x": "1", "y": "2"}), probes.log("a")), secrets={"s": "1"},
    healthcheck=HealthCheck(test="a"), network=[NetworkSpec(options={"a": "1", "b": "2"}), "internal"],
    docker_options={"Sysctls": {"a": "1", "b": "2"}, "OomScoreAdj": 1}), key=b"key"))
"""


def test_the_identity_is_the_same_in_every_process() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(found) == 1
