"""Containers: every field's good and bad values, and what goes with what."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, ImageSpec, NetworkSpec, Secret, external, probes
from pytest_dockerkit._spec.keywords import make_spec, spec_fields
from pytest_dockerkit._spec.mounts import Mount
from pytest_dockerkit._spec.refs import ContainerHandle, FixtureRef
from tests.unit.refusals import refusal

HANDLE = ContainerHandle()
REF = FixtureRef(None, lambda: "db")
MIB = 1024**2

#: Field, what is given, what the spec then holds.
GOOD: list[tuple[str, Any, Any]] = [
    ("image", "redis:7", "redis:7"),
    ("image", REF, REF),
    ("name", None, None),
    ("name", "db", "db"),
    ("command", None, None),
    ("command", "a 'b c' \"d\" \\e", ("a", "b c", "d", "e")),
    ("command", "", ()),
    ("command", ["a b", "", "ü", "$X"], ("a b", "", "ü", "$X")),
    ("command", [Path("/bin/x"), "y"], ("/bin/x", "y")),
    ("command", (each for each in ("a", "b")), ("a", "b")),
    ("entrypoint", [], ()),
    ("entrypoint", "x -y", ("x", "-y")),
    ("env", {"A": 1, "B": 1.5, "C": "", "D": "{}\"\n'ü"}, {"A": "1", "B": "1.5", "C": "", "D": "{}\"\n'ü"}),
    ("env", {"a.b-c d": "x"}, {"a.b-c d": "x"}),
    ("env_file", None, None),
    ("env_file", "x.env", Path("x.env")),
    ("env_file", ["x.env", Path("y")], (Path("x.env"), Path("y"))),
    ("user", 0, "0"),
    ("user", 1000, "1000"),
    ("user", "1000:1000", "1000:1000"),
    ("workdir", "/a b/ü", "/a b/ü"),
    ("hostname", "web-1.test", "web-1.test"),
    ("ports", [], ()),
    ("ports", [80, "53/udp", "8080:81"], (80, "53/udp", "8080:81")),
    ("ports", range(80, 82), (80, 81)),
    ("ports", ["80/tcp", "80/udp"], ("80/tcp", "80/udp")),
    ("healthcheck", None, None),
    ("healthcheck", "true", HealthCheck(test="true")),
    ("healthcheck", ["true"], HealthCheck(test=["true"])),
    ("healthcheck", HealthCheck.none(), HealthCheck.none()),
    ("wait", probes.port(80), probes.port(80)),
    ("timeout", 0, 0),
    ("timeout", "1m30s", "1m30s"),
    ("cpus", 1, 1.0),
    ("cpus", 0.01, 0.01),
    ("memory", "6m", "6m"),
    ("memory", 6 * MIB, 6 * MIB),
    ("memory_swap", -1, -1),
    ("memory_swap", "-1", -1),
    ("pids", 1, 1),
    ("shm_size", 0, 0),
    ("shm_size", "64m", "64m"),
    ("ulimits", {"nofile": 5, "core": -1}, {"nofile": (5, 5), "core": (-1, -1)}),
    ("ulimits", {"nofile": (1, 2), "nproc": [5, -1]}, {"nofile": (1, 2), "nproc": (5, -1)}),
    ("ulimits", {"core": 0}, {"core": (0, 0)}),
    ("cap_add", ["NET_ADMIN", "CAP_SYS_PTRACE", "net_raw"], ("NET_ADMIN", "CAP_SYS_PTRACE", "net_raw")),
    ("cap_drop", ["ALL"], ("ALL",)),
    ("privileged", True, True),
    ("read_only", False, False),
    ("security_opt", ["no-new-privileges"], ("no-new-privileges",)),
    (
        "devices",
        ["/dev/fuse", "/dev/a:/dev/b", "/dev/a:r", "/dev/a:/dev/b:rwm"],
        ("/dev/fuse", "/dev/a:/dev/b", "/dev/a:r", "/dev/a:/dev/b:rwm"),
    ),
    ("tmpfs", ["/run", "/tmp:size=1m,mode=1777"], {"/run": "", "/tmp": "size=1m,mode=1777"}),
    ("tmpfs", {"/run": "size=16m"}, {"/run": "size=16m"}),
    ("volumes", ["db:/data"], (Mount("/data", "db"),)),
    ("volumes", {"/data": Path("x")}, (Mount("/data", Path("x")),)),
    (
        "files",
        {"/a b/ü": "ü", "/b": b"\xff", "/c": Path("x"), "/d": ""},
        {"/a b/ü": "ü", "/b": b"\xff", "/c": Path("x"), "/d": ""},
    ),
    ("secrets", {"a.b-c_d": "x", "p": Path("x")}, {"a.b-c_d": Secret("a.b-c_d", "x"), "p": Path("x")}),
    ("secrets", {"a": b"x", "b": Secret("c", "x")}, {"a": Secret("a", b"x"), "b": Secret("c", "x")}),
    ("network", "none", "none"),
    ("network", ["isolated", external("x")], ("isolated", external("x"))),
    ("network", NetworkSpec(internal=True), NetworkSpec(internal=True)),
    ("aliases", ["a", "b"], ("a", "b")),
    (
        "extra_hosts",
        {"a": "10.0.0.1", "b.test": "::1", "me": "host-gateway"},
        {"a": "10.0.0.1", "b.test": "::1", "me": "host-gateway"},
    ),
    ("host_access", True, True),
    ("labels", {"a": 1, "b": ""}, {"a": "1", "b": ""}),
    ("platform", "linux/arm64", "linux/arm64"),
    ("init", None, None),
    ("init", False, False),
    ("stop_signal", "SIGRTMIN+1", "SIGRTMIN+1"),
    ("stop_signal", 9, "9"),
    ("stop_timeout", 0, 0),
    ("depends_on", ["db", HANDLE, REF], ("db", HANDLE, REF)),
    ("pull", "never", "never"),
    ("docker_options", {"OomScoreAdj": 5, "Links": ["a"]}, {"OomScoreAdj": 5, "Links": ["a"]}),
]


def make(**fields: Any) -> ContainerSpec:
    return ContainerSpec(**({"image": "busybox"} | fields))


@pytest.mark.parametrize(
    ("field", "given", "held"), GOOD, ids=[f"{field}-{number}" for number, (field, *_) in enumerate(GOOD)]
)
def test_a_right_value_is_held_in_a_frozen_form(field: str, given: Any, held: Any) -> None:
    assert getattr(make(**{field: given}), field) == held


def wrong(field: str, value: Any, mend: str) -> tuple[str, Any, str]:
    """A value of the wrong type, whose error always has the same form."""
    saw = f"{field}={value!r} ({type(value).__name__})"
    return field, value, f"{field}= is of the wrong type\n  saw:  {saw}\n  mend: {mend}"


def path(field: str, value: Any, better: str) -> tuple[str, Any, str]:
    """A path that is not absolute: the field's value holds it."""
    seen = next(iter(value)) if isinstance(value, list | dict) else value
    return (
        field,
        value,
        f"{field}= needs an absolute path in the container\n  saw:  {seen!r}\n  mend: begin it with '/': {better!r}",
    )


COMMAND = 'command=["redis-server", "--save", ""], or command="redis-server --save"'
LIMIT = 'ulimits={"nofile": 1024} or ulimits={"nofile": (1024, 2048)}'
FILES = 'files={"/etc/app.toml": "text", "/etc/logo.png": Path("logo.png")}'
HOSTS = 'extra_hosts={"name": "10.0.0.1"}, or "host-gateway" for this machine'
SECRETS = 'secrets={"db_password": "…"}, bytes, a Path or a Secret'
DURATION = 'a number of seconds, or a text such as "30s", "1m30s" or "250ms"'
SIZE = 'a number of bytes, or a text such as "256m" or "1.5g"'

BAD: list[tuple[str, Any, str]] = [
    wrong("image", None, 'image="redis:7", an ImageSpec or an image fixture'),
    wrong("image", 5, 'image="redis:7", an ImageSpec or an image fixture'),
    (
        "image",
        "Redis",
        (
            "image= is not an image reference\n  saw:  image='Redis'\n"
            '  mend: [registry/]name[:tag] in lower case, such as "redis"; a Dockerfile goes into build='
        ),
    ),
    (
        "name",
        "my db",
        (
            "name= cannot be a DNS name, and other containers find this one by it\n  saw:  name='my db'\n"
            '  mend: name="my-db": letters, digits, ".", "_" and "-", at most 63'
        ),
    ),
    ("name", True, 'name= must be a text\n  saw:  name=True\n  mend: name="db"'),
    wrong("command", ["a", 1], COMMAND),
    wrong("command", [None], COMMAND),
    wrong("command", b"a", COMMAND),
    wrong("command", {"a": 1}, COMMAND),
    wrong("command", {"a"}, COMMAND),
    wrong("command", 5, COMMAND),
    (
        "command",
        'a "b',
        f"command= cannot be split into arguments\n  saw:  'a \"b': No closing quotation\n  mend: {COMMAND}",
    ),
    wrong("entrypoint", 5, COMMAND.replace("command", "entrypoint")),
    wrong("env", ["A=1"], 'env={"NAME": "value"}'),
    wrong("env", None, 'env={"NAME": "value"}'),
    ("env", {"A": True}, 'env[\'A\'] must be a text or a number\n  saw:  True (bool)\n  mend: env={"NAME": "value"}'),
    (
        "env",
        {"A": None},
        'env[\'A\'] must be a text or a number\n  saw:  None (NoneType)\n  mend: env={"NAME": "value"}',
    ),
    ("env", {"A=": "x"}, "env= has a name with '=' in it\n  saw:  'A='\n  mend: env={\"NAME\": \"value\"}"),
    ("env", {"": "x"}, 'env= has a key that is not a text\n  saw:  \'\'\n  mend: env={"NAME": "value"}'),
    ("env", {1: "x"}, 'env= has a key that is not a text\n  saw:  1\n  mend: env={"NAME": "value"}'),
    (
        "env",
        {"A": "x\0"},
        "env['A'] has a NUL in it\n  saw:  a NUL after 1 of 2 characters\n  mend: a text that ends where its NUL is",
    ),
    wrong("env_file", "", 'env_file="some/path"'),
    wrong("env_file", 5, 'env_file="some/path"'),
    wrong("env_file", {"x"}, 'env_file="some/path"'),
    wrong("user", "", 'user="1000:1000", user=1000 or user="nobody"'),
    wrong("user", -1, 'user="1000:1000", user=1000 or user="nobody"'),
    wrong("user", True, 'user="1000:1000", user=1000 or user="nobody"'),
    path("workdir", "app", "/app"),
    path("workdir", "", "/"),
    path("workdir", "./app", "/app"),
    path("workdir", r"C:\app", r"/C:\app"),
    path("workdir", 5, "/5"),
    (
        "hostname",
        "my host",
        (
            "hostname= cannot be a DNS name, and other containers find this one by it\n"
            "  saw:  hostname='my host'\n"
            '  mend: hostname="my-host": letters, digits, ".", "_" and "-", at most 63'
        ),
    ),
    wrong("ports", 80, 'ports=[3080], ports=["53/udp"] or ports=["8080:80"]'),
    wrong("ports", "80", 'ports=[3080], ports=["53/udp"] or ports=["8080:80"]'),
    wrong("ports", None, 'ports=[3080], ports=["53/udp"] or ports=["8080:80"]'),
    wrong("ports", {80: 8080}, 'ports=[3080], ports=["53/udp"] or ports=["8080:80"]'),
    ("ports", [0], "ports= has a port out of range\n  saw:  0\n  mend: a port from 1 to 65535"),
    ("ports", [80, 80], "ports= publishes one port twice\n  saw:  80/tcp in [80, 80]\n  mend: name it once"),
    (
        "ports",
        [80, "8080:80"],
        "ports= publishes one port twice\n  saw:  80/tcp in [80, '8080:80']\n  mend: name it once",
    ),
    wrong("healthcheck", 5, 'healthcheck=HealthCheck(test="redis-cli ping"), or HealthCheck.none()'),
    wrong("healthcheck", True, 'healthcheck=HealthCheck(test="redis-cli ping"), or HealthCheck.none()'),
    wrong("wait", "healthy", "wait=probes.port(6379), probes.log(…), or an object with look(container)"),
    wrong("wait", probes.Probe, "wait=probes.port(6379), probes.log(…), or an object with look(container)"),
    wrong("wait", len, "wait=probes.port(6379), probes.log(…), or an object with look(container)"),
    ("timeout", -1, f"timeout= is not a duration\n  saw:  timeout=-1 (int)\n  mend: {DURATION}"),
    ("timeout", "soon", f"timeout= is not a duration\n  saw:  timeout='soon' (str)\n  mend: {DURATION}"),
    ("cpus", 0, "cpus= must be above zero\n  saw:  cpus=0\n  mend: cpus=0.5"),
    ("cpus", math.nan, "cpus= must be above zero\n  saw:  cpus=nan\n  mend: cpus=0.5"),
    ("cpus", math.inf, "cpus= must be above zero\n  saw:  cpus=inf\n  mend: cpus=0.5"),
    (
        "cpus",
        0.001,
        "CPU cap is below the engine's minimum of 0.01 cores\n  saw:  cpus=0.001\n  mend: cpus=0.1 or more",
    ),
    wrong("cpus", "0.5", "cpus=0.5"),
    wrong("cpus", True, "cpus=0.5"),
    wrong("cpus", Decimal("0.5"), "cpus=0.5"),
    (
        "memory",
        "5m",
        (
            "memory cap is below the engine's minimum of 6 MiB\n  saw:  memory='5m', which is 5 MiB\n"
            '  mend: memory="6m" or more'
        ),
    ),
    (
        "memory",
        0,
        (
            "memory cap is below the engine's minimum of 6 MiB\n  saw:  memory=0, which is 0 bytes\n"
            '  mend: memory="6m" or more'
        ),
    ),
    (
        "memory",
        6 * MIB - 1,
        (
            "memory cap is below the engine's minimum of 6 MiB\n"
            '  saw:  memory=6291455, which is 5.9 MiB\n  mend: memory="6m" or more'
        ),
    ),
    ("memory", -1, f"memory= is not a size\n  saw:  memory=-1 (int)\n  mend: {SIZE}"),
    ("memory", "half", f"memory= is not a size\n  saw:  memory='half' (str)\n  mend: {SIZE}"),
    (
        "memory_swap",
        "1g",
        (
            "memory_swap= caps memory and swap together, so it cannot be below memory=\n"
            "  saw:  memory=None, memory_swap='1g'\n"
            "  mend: memory_swap= equal to memory= for no swap, or -1 for any"
        ),
    ),
    ("memory_swap", -2, f"memory_swap= is not a size\n  saw:  memory_swap=-2 (int)\n  mend: {SIZE}"),
    ("pids", 0, "pids= is too small\n  saw:  pids=0\n  mend: a whole number from 1 on"),
    wrong("pids", 1.0, "pids=1"),
    wrong("pids", True, "pids=1"),
    ("shm_size", "x", f"shm_size= is not a size\n  saw:  shm_size='x' (str)\n  mend: {SIZE}"),
    wrong("ulimits", [("nofile", 1)], LIMIT),
    wrong("ulimits", {"nofile": "1"}, LIMIT),
    wrong("ulimits", {"nofile": True}, LIMIT),
    wrong("ulimits", {"nofile": None}, LIMIT),
    wrong("ulimits", {"nofile": (1, 2, 3)}, LIMIT),
    wrong("ulimits", {"nofile": -2}, LIMIT),
    wrong("ulimits", {1: 2}, LIMIT),
    (
        "ulimits",
        {"nofile": (2, 1)},
        f"ulimits= has a soft limit above its hard one\n  saw:  nofile: (2, 1)\n  mend: {LIMIT}",
    ),
    (
        "ulimits",
        {"nofile": (-1, 5)},
        f"ulimits= has a soft limit above its hard one\n  saw:  nofile: (-1, 5)\n  mend: {LIMIT}",
    ),
    wrong("cap_add", "NET_ADMIN", 'cap_add=["NET_ADMIN"]'),
    (
        "cap_add",
        ["NET-ADMIN"],
        'cap_add= is no kernel capability\n  saw:  \'NET-ADMIN\'\n  mend: cap_add=["NET_ADMIN"] or ["ALL"]',
    ),
    wrong("cap_drop", None, 'cap_drop=["NET_ADMIN"]'),
    wrong("privileged", 1, "privileged=True or privileged=False"),
    wrong("privileged", None, "privileged=True or privileged=False"),
    wrong("read_only", "yes", "read_only=True or read_only=False"),
    wrong("security_opt", "x", 'security_opt=["…"]'),
    wrong("devices", "/dev/fuse", 'devices=["/dev/fuse"]'),
    path("devices", ["dev/fuse"], "/dev/fuse"),
    *(
        (
            "devices",
            [each],
            (
                f"devices= is no device\n  saw:  {each!r}\n"
                '  mend: devices=["/dev/fuse"] or devices=["/dev/a:/dev/b:rwm"]'
            ),
        )
        for each in ("/", "/dev/a:", "/dev/a:b", "/dev/a:/dev/b:xyz", "/dev/a:/dev/b:rwm:r")
    ),
    wrong("tmpfs", "/run", 'tmpfs=["/run"] or tmpfs={"/run": "size=16m"}'),
    wrong("tmpfs", None, 'tmpfs=["/run"] or tmpfs={"/run": "size=16m"}'),
    path("tmpfs", ["run"], "/run"),
    (
        "tmpfs",
        {"/run": None},
        'tmpfs= is of the wrong type\n  saw:  tmpfs=None (NoneType)\n  mend: tmpfs={"/run": "size=16m,mode=1777"}',
    ),
    (
        "volumes",
        ["data/x:/y"],
        (
            "volumes= has a source that is neither a path nor the name of a volume\n"
            "  saw:  'data/x'\n"
            "  mend: './data/x' for a path, which begins with '/', './', '../' or '~'"
        ),
    ),
    wrong("files", [("/a", "x")], FILES),
    wrong("files", None, FILES),
    path("files", {"a": "x"}, "/a"),
    ("files", {"/a/": "x"}, f"files= needs the name of a file, not of a directory\n  saw:  '/a/'\n  mend: {FILES}"),
    ("files", {"/../a": "x"}, "files= has a path with '..' in it\n  saw:  '/../a'\n  mend: write the path out"),
    ("files", {"/a": 5}, f"files['/a']= is of the wrong type\n  saw:  files['/a']=5 (int)\n  mend: {FILES}"),
    ("secrets", ["x"], f"secrets= is of the wrong type\n  saw:  secrets=<class 'list'> (type)\n  mend: {SECRETS}"),
    *(
        ("secrets", {key: "x"}, f"secrets= has a name that cannot be a file's\n  saw:  {key!r}\n  mend: {SECRETS}")
        for key in ("", "a/b", ".a", "..", "a b", "ü", "a\n", "a" * 256, 5)
    ),
    ("secrets", {"a": ["hidden"]}, f"secrets['a'] is of the wrong type\n  saw:  list\n  mend: {SECRETS}"),
    *(
        (
            "secrets",
            {"a": value},
            (
                "the secret 'a' is too large\n  saw:  512001 bytes\n"
                "  mend: at most 512000; a larger file goes in by files= or volumes="
            ),
        )
        for value in ("x" * 512001, b"x" * 512001, Secret("b", "x" * 512001))
    ),
    (
        "secrets",
        {"a": "hidden \ud800"},
        (
            "a secret is a text that cannot be written as UTF-8\n  saw:  surrogates not allowed\n"
            "  mend: give it as bytes"
        ),
    ),
    (
        "network",
        "hots",
        (
            "network= is not a network that is known\n  saw:  network='hots'\n"
            "  mend: did you mean 'host'? Or external(\"hots\") for one that exists on the engine"
        ),
    ),
    wrong("network", None, 'network="isolated", a NetworkSpec or a network fixture'),
    wrong("aliases", "db", 'aliases=["db"]'),
    ("aliases", [5], 'aliases= must be a text\n  saw:  aliases=5\n  mend: aliases="db"'),
    wrong("extra_hosts", ["a:10.0.0.1"], HOSTS),
    (
        "extra_hosts",
        {"a": "b"},
        f"extra_hosts['a'] is no address\n  saw:  'b' does not appear to be an IPv4 or IPv6 address\n  mend: {HOSTS}",
    ),
    (
        "extra_hosts",
        {"a": 5},
        f"extra_hosts['a'] is no address\n  saw:  '5' does not appear to be an IPv4 or IPv6 address\n  mend: {HOSTS}",
    ),
    (
        "extra_hosts",
        {"a b": "10.0.0.1"},
        (
            "extra_hosts= cannot be a DNS name, and other containers find this one by it\n"
            "  saw:  extra_hosts='a b'\n"
            '  mend: extra_hosts="a-b": letters, digits, ".", "_" and "-", at most 63'
        ),
    ),
    (
        "labels",
        {"pytest.dockerkit.run": "x"},
        "labels= holds a label of the plugin's own\n  saw:  pytest.dockerkit.run\n  mend: choose another key",
    ),
    (
        "labels",
        {"pytest.dockerkit.name": "x"},
        "labels= holds a label of the plugin's own\n  saw:  pytest.dockerkit.name\n  mend: choose another key",
    ),
    wrong("platform", "", 'platform="linux/amd64"'),
    wrong("host_access", "yes", "host_access=True or host_access=False"),
    wrong("init", 1, "init=True or init=False"),
    *(
        (
            "stop_signal",
            each,
            f'stop_signal= is not a signal\n  saw:  stop_signal={each!r}\n  mend: stop_signal="SIGINT"',
        )
        for each in ("int", "+", "SIG INT", 0, -1, 100, "SIGINT\n")
    ),
    wrong("stop_signal", True, 'stop_signal="SIGINT"'),
    ("stop_timeout", -1, f"stop_timeout= is not a duration\n  saw:  stop_timeout=-1 (int)\n  mend: {DURATION}"),
    wrong("depends_on", "db", 'depends_on=["db"], the names of other containers, or their fixtures'),
    (
        "depends_on",
        [5],
        (
            "depends_on= is of the wrong type\n  saw:  depends_on=5 (int)\n"
            '  mend: depends_on=["db"], the names of other containers, or their fixtures'
        ),
    ),
    (
        "pull",
        "Always",
        "pull= is not one of its values\n  saw:  'Always'\n  mend: one of: 'missing', 'always', 'never'",
    ),
    wrong("docker_options", None, 'docker_options={"OomScoreAdj": 500}, keys of the Engine API\'s HostConfig'),
    wrong("docker_options", {1: 2}, 'docker_options={"OomScoreAdj": 500}, keys of the Engine API\'s HostConfig'),
]


@pytest.mark.parametrize(
    ("field", "given", "text"), BAD, ids=[f"{field}-{number}" for number, (field, *_) in enumerate(BAD)]
)
def test_a_wrong_value_is_refused(field: str, given: Any, text: str) -> None:
    assert refusal(lambda: make(**{field: given})) == text


def test_every_field_has_right_and_wrong_values_here() -> None:
    assert {field for field, *_ in GOOD} == {field for field, *_ in BAD} == set(spec_fields())


def test_none_is_refused_where_it_does_not_mean_that_nothing_is_given() -> None:
    optional = {each.name for each in dataclasses.fields(ContainerSpec) if each.default is None}
    for name in spec_fields():
        if name in optional:
            assert make(**{name: None}) == make()
        else:
            assert f"{name}= " in refusal(lambda name=name: make(**{name: None}))  # type: ignore[misc]


@pytest.mark.parametrize("network", ["host", ["host"]])
def test_host_networking_publishes_no_ports(network: Any) -> None:
    assert refusal(lambda: make(network=network, ports=[80, "53/udp"])) == (
        "host networking publishes no ports\n"
        "  saw:  network='host' with ports=[80, '53/udp']\n"
        "  mend: drop ports=: the service answers on its own port of the host; or use a bridge network"
    )


def test_no_network_publishes_no_ports() -> None:
    assert refusal(lambda: make(network="none", ports=[80])) == (
        "a container without a network publishes no ports\n"
        "  saw:  network='none' with ports=[80]\n"
        '  mend: drop ports=, or network="isolated"'
    )


@pytest.mark.parametrize(("memory", "swap"), [("64m", "64m"), ("64m", "1g"), ("64m", -1), (None, -1)])
def test_swap_is_not_below_memory(memory: str | None, swap: Any) -> None:
    assert make(memory=memory, memory_swap=swap).memory_swap == swap


def test_swap_below_memory_is_refused() -> None:
    assert refusal(lambda: make(memory="64m", memory_swap="32m")) == (
        "memory_swap= caps memory and swap together, so it cannot be below memory=\n"
        "  saw:  memory='64m', memory_swap='32m'\n"
        "  mend: memory_swap= equal to memory= for no swap, or -1 for any"
    )


def test_what_is_written_is_read_with_units() -> None:
    spec = make(
        memory="64m", memory_swap=-1, shm_size="1m", timeout="1m", stop_timeout=0, healthcheck="true", volumes=["/x"]
    )
    assert (spec.memory_bytes, spec.memory_swap_bytes, spec.shm_bytes) == (64 * MIB, -1, MIB)
    assert (spec.timeout_s, spec.stop_timeout_s) == (60.0, 0.0)
    assert spec.health == HealthCheck(test="true")
    assert spec.mounts == (Mount("/x", None),)
    bare = make()
    assert (bare.memory_bytes, bare.memory_swap_bytes, bare.shm_bytes) == (None, None, None)
    assert (bare.timeout_s, bare.stop_timeout_s, bare.health) == (60.0, None, None)
    assert (bare.networks, bare.published_ports, bare.env_files) == (("isolated",), (), ())
    assert make(timeout=0).timeout_s == 0.0


def test_equal_specs_are_the_same_request() -> None:
    fields: dict[str, Any] = {"env": {"B": "2", "A": 1}, "docker_options": {"Links": ["a"]}}
    one = make(ports=[80], command="a b", network=["isolated"], tmpfs=["/run"], volumes={"/d": "v"}, **fields)
    two = make(ports=(80,), command=["a", "b"], network=("isolated",), tmpfs={"/run": ""}, volumes=["v:/d"], **fields)
    assert one == two
    assert hash(one) == hash(two)
    assert len({one, two, make()}) == 2
    assert make(docker_options={"OomScoreAdj": 1}) != make(docker_options={"OomScoreAdj": 2})


def test_what_was_given_can_change_without_the_spec() -> None:
    ports, env = [80], {"A": "1"}
    spec = make(ports=ports, env=env)
    ports.append(81)
    env["B"] = "2"
    assert (spec.ports, spec.env) == ((80,), {"A": "1"})


def test_replace_checks_again_and_reads_again() -> None:
    spec = make(memory="64m", ports=[80])
    assert (spec.memory_bytes, len(spec.published_ports)) == (64 * MIB, 1)
    other = dataclasses.replace(spec, memory="32m", ports=())
    assert (other.memory_bytes, other.published_ports) == (32 * MIB, ())
    assert refusal(lambda: dataclasses.replace(spec, memory="1m")).startswith("memory cap is below")


def test_replace_with_nothing_gives_an_equal_spec() -> None:
    fields = {name: value for name, value, _ in GOOD if name not in ("memory_swap", "network")}
    del fields["command"]
    spec = make(**fields)
    assert dataclasses.replace(spec) == spec


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().image = "x"  # type: ignore[misc]  # that is what is tested
    with pytest.raises(TypeError):
        make(env={"A": "1"}).env["B"] = "2"  # type: ignore[index]  # that is what is tested
    with pytest.raises(TypeError):
        ContainerSpec("busybox")  # type: ignore[call-arg]  # keywords only


def test_a_spec_survives_a_process_boundary_and_copying() -> None:
    spec = make(env={"A": 1}, healthcheck="true", network=NetworkSpec(), volumes=["/x"], docker_options={"a": [1]})
    assert pickle.loads(pickle.dumps(spec)) == copy.deepcopy(spec) == spec


def test_paths_start_from_the_file_that_says_them(tmp_path: Path) -> None:
    base = tmp_path.resolve()
    (base / "dä ta").mkdir()
    (base / "the env").touch()
    (base / "Dockerfile").write_text("FROM busybox\n", encoding="utf-8")
    spec = make(
        image=ImageSpec(build="."),
        env_file="the env",
        volumes=["./dä ta:/data:ro", "db:/db"],
        files={"/env": Path("the env"), "/text": "the env"},
        secrets={"token": Path("the env"), "text": "the env"},
    ).anchored(base)
    assert spec.image == ImageSpec(build=base, dockerfile=base / "Dockerfile")
    assert spec.env_file == (base / "the env",)
    assert spec.mounts == (Mount("/data", base / "dä ta", read_only=True), Mount("/db", "db"))
    assert spec.files == {"/env": base / "the env", "/text": "the env"}
    assert spec.secrets == {"token": base / "the env", "text": Secret("text", "the env")}
    assert spec.anchored(Path("/elsewhere")) == spec


def test_nothing_changes_where_there_are_no_paths(tmp_path: Path) -> None:
    assert make(ports=[80]).anchored(tmp_path) == make(ports=[80])


@pytest.mark.parametrize(
    ("field", "value"),
    [("env_file", "no"), ("env_file", ["no"]), ("files", {"/a": Path("no")}), ("secrets", {"a": Path("no")})],
)
def test_a_file_that_is_not_there_is_refused(field: str, value: Any, tmp_path: Path) -> None:
    base = tmp_path.resolve()
    assert refusal(lambda: make(**{field: value}).anchored(base)) == (
        f"{field}= names a file that does not exist\n  saw:  {base}/no\n  mend: relative paths start from {base}"
    )


def test_a_home_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.env").touch()
    assert make(env_file="~/x.env").anchored(Path("/elsewhere")).env_files == (tmp_path.resolve() / "x.env",)


def test_keywords_that_there_are_not_are_refused_with_the_nearest() -> None:
    assert refusal(lambda: make_spec({"image": "x", "prots": [80]})) == (
        "prots= is no keyword here\n  saw:  prots=[80]\n  mend: did you mean 'ports'?"
    )
    assert refusal(lambda: make_spec({"ports": [80]})) == (
        'no image is given\n  saw:  keywords: ports\n  mend: an image such as "redis:7", or build='
    )
    assert refusal(lambda: make_spec({})) == (
        'no image is given\n  saw:  keywords: none\n  mend: an image such as "redis:7", or build='
    )
