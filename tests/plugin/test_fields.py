"""Each field of `ContainerSpec`: what the engine was told, and what the container sees of it."""

from __future__ import annotations

import contextlib
import socket
import uuid
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import docker
import docker.errors
import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, ImageSpec, _run, assert_reachable, external, probes
from pytest_dockerkit.errors import EngineError, ImageNotFoundError, NotReadyError

if TYPE_CHECKING:
    from pytest_dockerkit import Kit, RunningContainer
    from tests.plugin.conftest import Suite

IMAGE = "busybox:stable"
SLEEP = ("sleep", "1000")

#: A container that only lives. A network of its own would take as long to make as the container does.
LONE: dict[str, Any] = {"command": SLEEP, "network": "none"}

#: Kernel capabilities by their bit. Source: linux, include/uapi/linux/capability.h.
CAP_CHOWN, CAP_NET_RAW, CAP_NET_ADMIN, CAP_SYS_ADMIN = 0, 13, 12, 21

T = TypeVar("T", bound=Callable[..., Any])
TESTED: set[str] = set()

#: Fields that are tested elsewhere.
ELSEWHERE = {"secrets"}


def covers(*names: str) -> Callable[[T], T]:
    """Note the fields that a test is about."""

    def note(test: T) -> T:
        TESTED.update(names)
        return test

    return note


def test_every_field_has_a_test() -> None:
    """A field that is added without a test fails here."""
    assert {each.name for each in fields(ContainerSpec)} == TESTED | ELSEWHERE


def inside(container: RunningContainer, script: str) -> str:
    """What a shell script prints in the container, run as the container's own user."""
    return container.exec(["sh", "-c", script], check=True).stdout.strip()


def first_there(container: RunningContainer, *paths: str) -> str:
    """The content of the first of several files that is there: cgroup v1 and v2 name them differently."""
    return inside(container, f"for each in {' '.join(paths)}; do [ -e $each ] && cat $each && exit; done; exit 1")


def host_config(container: RunningContainer) -> dict[str, Any]:
    found: dict[str, Any] = container.inspect()["HostConfig"]
    return found


def config(container: RunningContainer) -> dict[str, Any]:
    found: dict[str, Any] = container.inspect()["Config"]
    return found


@covers("cpus", "memory", "memory_swap", "pids", "shm_size", "ulimits")
def test_caps_are_the_engines_and_the_kernels(dockerkit: Kit) -> None:
    spec = ContainerSpec(
        image=IMAGE,
        **LONE,
        cpus=0.5,
        memory="64m",
        memory_swap="96m",
        pids=50,
        shm_size="8m",
        ulimits={"nofile": (500, 1000), "core": 0},
    )
    with dockerkit.run(spec) as container:
        told = host_config(container)
        assert told["NanoCpus"] == 500_000_000
        assert told["Memory"] == 64 * 1024**2
        assert told["MemorySwap"] == 96 * 1024**2
        assert told["PidsLimit"] == 50
        assert told["ShmSize"] == 8 * 1024**2
        assert sorted((each["Name"], each["Soft"], each["Hard"]) for each in told["Ulimits"]) == [
            ("core", 0, 0),
            ("nofile", 500, 1000),
        ]
        quota = first_there(container, "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
        assert quota.split()[0] == "50000"
        memory = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
        assert first_there(container, "/sys/fs/cgroup/memory.max", memory) == str(64 * 1024**2)
        assert first_there(container, "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max") == "50"
        # Of the container's own process: runc before 1.1.13 now and then gives an exec'd one the hard limit as soft.
        limits = inside(container, "grep -E 'open files|core file' /proc/1/limits")
        assert sorted(
            line.split()[3:5] if "core" not in line else line.split()[4:6] for line in limits.splitlines()
        ) == [
            ["0", "0"],
            ["500", "1000"],
        ]
        assert "size=8192k" in inside(container, "grep ' /dev/shm ' /proc/mounts")


@covers("memory_swap")
@pytest.mark.parametrize(("given", "told"), [(-1, -1), ("64m", 64 * 1024**2)])
def test_swap_without_a_limit_and_no_swap_at_all(dockerkit: Kit, given: int | str, told: int) -> None:
    with dockerkit.run(IMAGE, **LONE, memory="64m", memory_swap=given) as container:
        assert host_config(container)["MemorySwap"] == told


@covers("command", "entrypoint", "workdir", "hostname")
def test_what_runs_where_and_under_which_name(dockerkit: Kit) -> None:
    spec = ContainerSpec(
        image=IMAGE,
        network="none",
        entrypoint=["sh", "-c", 'exec sleep "$1" # a "quoted" text'],
        command=["zero", "1000"],
        workdir="/tmp/made for it",
        hostname="web-1",
    )
    with dockerkit.run(spec) as container:
        told = config(container)
        assert told["Entrypoint"] == ["sh", "-c", 'exec sleep "$1" # a "quoted" text']
        assert told["Cmd"] == ["zero", "1000"]
        assert told["WorkingDir"] == "/tmp/made for it"
        assert told["Hostname"] == "web-1"
        assert inside(container, "tr '\\0' ' ' < /proc/1/cmdline") == "sleep 1000"
        assert inside(container, "readlink /proc/1/cwd; pwd; hostname") == "/tmp/made for it\n/tmp/made for it\nweb-1"


@covers("command", "entrypoint", "image")
def test_a_text_is_split_and_an_empty_entrypoint_is_none(dockerkit: Kit, made: list[str]) -> None:
    """The image's own entrypoint would end at once."""
    image = dockerkit.build(
        ImageSpec(dockerfile_text=f'FROM {IMAGE}\nENTRYPOINT ["false"]\nLABEL x={uuid.uuid4()}\n')
    )
    made.append(image.reference)
    with dockerkit.run(image, entrypoint=[], command="sh -c 'exec sleep 1000'") as container:
        assert not config(container)["Entrypoint"]
        assert config(container)["Cmd"] == ["sh", "-c", "exec sleep 1000"]
        assert container.inspect()["Image"] == image.id


@covers("env", "env_file")
def test_variables_arrive_as_they_are(dockerkit: Kit, tmp_path: Path) -> None:
    """Nothing is expanded or unquoted, in the files neither; later files win, `env` wins over all of them."""
    first, second = tmp_path / "with space.env", tmp_path / "second.env"
    first.write_text("# a comment\nQUOTED='as is' # too\nWHICH=first\nOVER=first\n\n", encoding="utf-8")
    second.write_text("WHICH=second\nEMPTY_IN_FILE=\n", encoding="utf-8")
    env: dict[str, str | int | float] = {
        "BRACES": "{\"a\": {'b': [1]}} ${HOME} $HOME %PATH%",
        "LINES": "one\ntwo\r\n\ttabbed\n",
        "UNICODE": "käse ☕ 漢字",
        "EQUALS": "a=b=c",
        "EMPTY": "",
        "SPACES": "  around  ",
        "NUMBER": 8,
        "FRACTION": 0.5,
        "OVER": "env",
    }
    with dockerkit.run(IMAGE, **LONE, env=env, env_file=[first, second]) as container:
        wanted = {key: str(value) for key, value in env.items()} | {
            "QUOTED": "'as is' # too",
            "WHICH": "second",
            "EMPTY_IN_FILE": "",
        }
        told = dict(each.split("=", 1) for each in config(container)["Env"])
        assert {key: told[key] for key in wanted} == wanted
        seen = container.exec(["cat", "/proc/1/environ"]).stdout_bytes.decode().rstrip("\0").split("\0")
        assert wanted.items() <= dict(each.split("=", 1) for each in seen).items()


@covers("user")
@pytest.mark.parametrize(
    ("user", "told", "ids"),
    [("nobody", "nobody", None), (1000, "1000", "1000 0"), ("1000:2000", "1000:2000", "1000 2000")],
)
def test_users_by_name_and_by_number(dockerkit: Kit, user: str | int, told: str, ids: str | None) -> None:
    with dockerkit.run(IMAGE, **LONE, user=user) as container:
        assert config(container)["User"] == told
        assert inside(container, "echo $(id -u) $(id -g)") == (
            ids or inside(container, "echo $(id -u nobody) $(id -g nobody)")
        )
        assert inside(container, "stat -c %u /proc/1") == inside(container, "id -u")


@covers("cap_add", "cap_drop", "security_opt", "devices")
def test_what_it_may_and_may_not(dockerkit: Kit) -> None:
    # One that Docker's default rules do not allow anyway.
    device = next(each for each in ("/dev/fuse", "/dev/net/tun", "/dev/loop-control") if Path(each).exists())
    spec = ContainerSpec(
        image=IMAGE,
        **LONE,
        cap_add=["NET_ADMIN"],
        cap_drop=["CHOWN"],
        security_opt=["no-new-privileges"],
        devices=["/dev/null:/dev/hole", f"{device}:/dev/readable:r", device],
    )
    with dockerkit.run(spec) as container:
        told = host_config(container)
        assert [each.removeprefix("CAP_") for each in told["CapAdd"]] == ["NET_ADMIN"]
        assert [each.removeprefix("CAP_") for each in told["CapDrop"]] == ["CHOWN"]
        assert told["SecurityOpt"] == ["no-new-privileges"]
        assert told["Devices"] == [
            {"PathOnHost": "/dev/null", "PathInContainer": "/dev/hole", "CgroupPermissions": "rwm"},
            {"PathOnHost": device, "PathInContainer": "/dev/readable", "CgroupPermissions": "r"},
            {"PathOnHost": device, "PathInContainer": device, "CgroupPermissions": "rwm"},
        ]
        bounds = capabilities(container)
        assert bounds & 1 << CAP_NET_ADMIN
        assert not bounds & 1 << CAP_CHOWN
        assert inside(container, "grep NoNewPrivs /proc/1/status").split()[1] == "1"
        assert container.exec(["chown", "1", "/tmp"]).exit_code != 0
        assert container.exec(["ip", "link", "set", "lo", "mtu", "1400"]).exit_code == 0
        assert (
            inside(container, f"echo gone > /dev/hole; cat /dev/hole; stat -c %F {device}")
            == "character special file"
        )


@covers("devices")
def test_a_device_that_may_be_read_only(dockerkit: Kit) -> None:
    device = next(each for each in ("/dev/fuse", "/dev/net/tun", "/dev/loop-control") if Path(each).exists())
    with dockerkit.run(IMAGE, **LONE, devices=[f"{device}:/dev/readable:r"]) as container:
        assert container.exec(["sh", "-c", ": < /dev/readable"]).exit_code == 0
        refused = container.exec(["sh", "-c", ": > /dev/readable"])
        assert (refused.exit_code, "Operation not permitted" in refused.stderr) == (1, True)


@covers("cap_add", "cap_drop")
def test_all_capabilities_can_be_dropped(dockerkit: Kit) -> None:
    with dockerkit.run(IMAGE, **LONE, cap_drop=["ALL"], cap_add=["CAP_NET_RAW"]) as container:
        assert host_config(container)["CapDrop"] == ["ALL"]
        assert capabilities(container) == 1 << CAP_NET_RAW


def capabilities(container: RunningContainer) -> int:
    """The capabilities that the container's process can ever have."""
    return int(inside(container, "grep CapBnd /proc/1/status").split()[1], 16)


@covers("privileged")
def test_privileged_is_asked_of_the_engine(
    request: pytest.FixtureRequest, dockerkit: Kit, docker_client: docker.DockerClient
) -> None:
    """Read back from a container that is never started, since not every machine lets one run."""
    session = _run.session_of(request.config)
    for wanted in (True, False):
        spec = ContainerSpec(image=IMAGE, command=SLEEP, network="none", privileged=wanted)
        with session.starter.created(spec, dockerkit.build(IMAGE), alias="privileged") as container:
            assert docker_client.containers.get(container).attrs["HostConfig"]["Privileged"] is wanted


@covers("privileged")
def test_a_privileged_container_has_what_the_machine_has(dockerkit: Kit, docker_client: docker.DockerClient) -> None:
    tried = docker_client.containers.create(IMAGE, ["true"], privileged=True)
    try:
        tried.start()
    except docker.errors.APIError as failure:
        pytest.skip(f"this machine runs no privileged container: {failure.explanation}")
    finally:
        tried.remove(force=True)
    with dockerkit.run(IMAGE, **LONE, privileged=True) as container:
        assert capabilities(container) & 1 << CAP_SYS_ADMIN
        assert inside(container, "test -e /dev/kmsg && echo there") == "there"


@covers("read_only", "tmpfs", "files", "user")
def test_a_read_only_root_with_files_and_places_in_memory(
    dockerkit: Kit, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    """The files are there before the start, for a user who is not root; what was made for it is removed."""
    spec = ContainerSpec(
        image=IMAGE,
        network="none",
        command=["sh", "-c", "cat /etc/app/deep/app.toml && exec sleep 1000"],
        user="nobody",
        read_only=True,
        tmpfs={"/open": "size=1m,mode=1777", "/run": ""},
        files={"/etc/app/deep/app.toml": "key = 'wert ☕'\n"},
        wait=probes.log("wert ☕"),
        env={"KEPT": "yes"},
        workdir="/tmp",
    )
    with dockerkit.run(spec) as container:
        told = host_config(container)
        assert told["ReadonlyRootfs"] is True
        assert told["Tmpfs"] == {"/open": "size=1m,mode=1777", "/run": ""}
        refused = container.exec(["touch", "/tmp/x"])
        assert (refused.exit_code, refused.stderr) == (1, "touch: /tmp/x: Read-only file system\n")
        mounted = inside(container, "grep -E ' /(open|run) ' /proc/mounts")
        assert [line.split()[2] for line in mounted.splitlines()] == ["tmpfs", "tmpfs"]
        assert "size=1024k" in mounted
        assert (
            inside(container, "echo written > /open/x; cat /open/x; whoami; echo $KEPT; pwd")
            == "written\nnobody\nyes\n/tmp"
        )
        assert inside(container, "stat -c '%a %u' /etc/app/deep /etc/app/deep/app.toml") == "755 0\n644 0"
        assert config(container)["Cmd"] == ["sh", "-c", "cat /etc/app/deep/app.toml && exec sleep 1000"]
        made_for_it = container.inspect()["Image"]
        assert made_for_it != container.image.id
    with pytest.raises(docker.errors.ImageNotFound):
        docker_client.images.get(made_for_it)
    with dockerkit.run(IMAGE, **LONE, tmpfs=["/run"]) as container:
        assert host_config(container)["Tmpfs"] == {"/run": ""}


@covers("files")
def test_files_are_there_before_the_start(dockerkit: Kit, tmp_path: Path) -> None:
    """Texts, bytes, files and directories, into directories that are and that are not there, through links."""
    (tmp_path / "tree/sub dir").mkdir(parents=True)
    (tmp_path / "tree").chmod(0o755)
    (tmp_path / "tree/run.sh").write_text("#!/bin/sh\necho run\n", encoding="utf-8")
    (tmp_path / "tree/run.sh").chmod(0o755)
    (tmp_path / "tree/sub dir/ü.txt").write_text("deep", encoding="utf-8")
    (tmp_path / "tree/link").symlink_to("sub dir/ü.txt")
    (tmp_path / "private").write_bytes(b"for root alone")
    (tmp_path / "private").chmod(0o600)
    (tmp_path / "alias").symlink_to("private")
    spec = ContainerSpec(
        image=IMAGE,
        network="none",
        command=["sh", "-c", "/srv/tree/run.sh && exec sleep 1000"],
        user="nobody",
        wait=probes.log("^run$"),
        files={
            "/etc/app.toml": "text with ☕ and {braces}\n",
            "/srv/a b/c/bytes.bin": b"\x00\xff\n",
            "/srv/tree": tmp_path / "tree",
            "/root/private": tmp_path / "private",
            "/srv/from-a-link": tmp_path / "alias",
            "/var/empty": "",
        },
    )
    with dockerkit.run(spec) as container:
        assert inside(container, "cat /etc/app.toml") == "text with ☕ and {braces}"
        assert container.exec(["cat", "/srv/a b/c/bytes.bin"]).stdout_bytes == b"\x00\xff\n"
        assert inside(container, "cat '/srv/tree/sub dir/ü.txt' /srv/tree/link") == "deepdeep"
        assert inside(container, "stat -c '%a %u:%g' '/srv/a b/c' '/srv/a b/c/bytes.bin' /srv/tree/run.sh") == (
            "755 0:0\n644 0:0\n755 0:0"
        )
        assert container.exec(["stat", "-c", "%a %F", "/root/private", "/srv/from-a-link"], user="root").stdout == (
            "600 regular file\n600 regular file\n"
        )
        assert container.exec(["cat", "/root/private"], user="root").stdout == "for root alone"
        assert container.exec(["cat", "/srv/from-a-link"]).exit_code == 1
        assert inside(container, "stat -c %s /var/empty") == "0"


@covers("volumes")
def test_directories_and_files_of_this_machine(dockerkit: Kit, tmp_path: Path) -> None:
    """Both forms, read-only and not; a path may have spaces and colons in it."""
    for name in ("to read", "to write", "a:colon"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "here").write_text(name, encoding="utf-8")
    single = tmp_path / "single.txt"
    single.write_text("single", encoding="utf-8")
    as_list = [f"{tmp_path}/to read:/read:ro", f"{tmp_path}/to write:/write", f"{tmp_path}/a:colon:/colon:rw"]
    with dockerkit.run(IMAGE, **LONE, volumes=[*as_list, f"{single}:/etc/single.txt:ro"]) as container:
        mounts = {each["Destination"]: each for each in container.inspect()["Mounts"]}
        assert {key: (each["Type"], each["RW"]) for key, each in mounts.items()} == {
            "/read": ("bind", False),
            "/write": ("bind", True),
            "/colon": ("bind", True),
            "/etc/single.txt": ("bind", False),
        }
        assert mounts["/read"]["Source"] == f"{tmp_path}/to read"
        assert inside(container, "cat /read/here /colon/here /etc/single.txt") == "to reada:colonsingle"
        refused = container.exec(["touch", "/read/x"])
        assert (refused.exit_code, refused.stderr) == (1, "touch: /read/x: Read-only file system\n")
        inside(container, "echo back > /write/x")
        assert (tmp_path / "to write/x").read_text(encoding="utf-8") == "back\n"
    by_path = {"/read": f"{tmp_path}/to read:ro", "/write": tmp_path / "to write"}
    with dockerkit.run(IMAGE, **LONE, volumes=by_path) as container:
        assert inside(container, "cat /read/here /write/x") == "to readback"
        assert {each["Destination"]: each["RW"] for each in container.inspect()["Mounts"]} == {
            "/read": False,
            "/write": True,
        }


@pytest.fixture
def kept_volume(docker_client: docker.DockerClient) -> Iterator[str]:
    kept = docker_client.volumes.create(f"kept-{uuid.uuid4().hex[:8]}")
    yield str(kept.name)
    kept.remove()


@covers("volumes")
def test_volumes_of_every_kind(dockerkit: Kit, docker_client: docker.DockerClient, kept_volume: str) -> None:
    """One of the test's own by name, an unnamed one, one of the kit's, and one that the user keeps.

    The first is there for all containers of the test, one after another too.
    """

    def names() -> set[str]:
        return {str(each.name) for each in docker_client.volumes.list()}

    with dockerkit.volume(name="mine") as mine:
        everything = {"/own": "shared", "/unnamed": None, "/mine": mine, "/kept": external(kept_volume)}
        with dockerkit.run(IMAGE, **LONE, volumes=everything) as one:
            sources = {each["Destination"]: each["Name"] for each in one.inspect()["Mounts"]}
            assert sources["/mine"] == mine.name
            assert sources["/kept"] == kept_volume
            inside(one, "for each in own unnamed mine kept; do echo from one > /$each/x; done")
            as_list = ["shared:/own:ro", "/unnamed"]
            with dockerkit.run(IMAGE, **LONE, volumes=as_list) as two:
                assert inside(two, "cat /own/x; ls /unnamed") == "from one"
                assert two.exec(["touch", "/own/y"]).stderr == "touch: /own/y: Read-only file system\n"
        assert sources["/unnamed"] not in names()
        assert {mine.name, kept_volume, sources["/own"]} <= names()
        with dockerkit.run(IMAGE, **LONE, volumes={"/kept": external(kept_volume), "/own": "shared"}) as three:
            assert inside(three, "cat /kept/x /own/x") == "from one\nfrom one"
    assert mine.name not in names()
    assert kept_volume in names()


@covers("volumes", "depends_on", "name", "network", "aliases")
def test_containers_of_one_test_share_a_volume_a_network_and_an_order(suite: Suite) -> None:
    """And those of another test do not, though they name it alike; relative paths start from the test's file."""
    suite.write({"data dir/x": "from the host"})
    outcome = suite.run(
        """
        import pytest

        writer = pytest.mark.container(
            "busybox:stable", name="writer", depends_on=["db"], volumes=["shared:/data", "./data dir:/host:ro"],
            command=["sh", "-c", "echo $NUMBER >> /data/x; exec sleep 1000"], env={"NUMBER": 1})

        @pytest.mark.parametrize("number", range(2))
        @writer
        @pytest.mark.container("busybox:stable", name="reader", volumes=["shared:/data"], depends_on=["writer"],
                               aliases=["second-name", "third.name"], command=["sleep", "1000"])
        @pytest.mark.container("busybox:stable", name="db", network="internal", command=["sleep", "1000"])
        def test_stack(containers, number):
            reader, writer = containers["reader"], containers["writer"]
            assert reader.read_file("/data/x") == "1\\n"
            assert writer.read_file("/host/x") == "from the host"
            assert reader.alias == "reader"
            assert reader.labels["pytest.dockerkit.name"] == "reader"
            for name in ("reader", "second-name", "third.name"):
                assert reader.ip in writer.exec(["nslookup", name], check=True).stdout
        """
    )
    outcome.ended(passed=2)
    assert outcome.names == ["db", "writer", "reader"] * 2


@covers("network")
def test_the_network_it_starts_in(dockerkit: Kit) -> None:
    with dockerkit.run(IMAGE, command=SLEEP, network="none") as container:
        assert host_config(container)["NetworkMode"] == "none"
        assert inside(container, "ls /sys/class/net") == "lo"


@covers("ports", "wait", "timeout")
def test_ports_are_published_on_the_loopback_and_awaited(dockerkit: Kit) -> None:
    """Without a `wait=`, ready is when the first of them is open."""
    command = ["httpd", "-f", "-p", "8080", "-h", "/bin"]
    with dockerkit.run(IMAGE, command=command, ports=[8080, "53/udp"], timeout="30s") as container:
        told = host_config(container)["PortBindings"]
        assert told == {
            "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
            "53/udp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
        }
        assert container.spec.timeout_s == 30.0
        assert container.port(8080) != container.port("53/udp")


@covers("wait", "timeout")
def test_what_never_becomes_ready_is_told_after_the_timeout(dockerkit: Kit) -> None:
    command = ["sh", "-c", "echo still thinking; exec sleep 1000"]
    spec = ContainerSpec(image=IMAGE, name="slow", command=command, wait=probes.log("done"), timeout="750ms")
    with pytest.raises(NotReadyError) as caught:
        dockerkit.run(spec)
    assert str(caught.value) == (
        "container 'slow' is not ready after 0.75 s\n"
        "  saw:  'done' 0 times in its log, of 1\n"
        "  mend: read its log below; raise timeout= if it is only slow, or wait for something else with wait=\n"
        "  last lines of its log (slow):\n"
        "    still thinking"
    )


@covers("labels", "name")
def test_labels_beside_the_plugins_own(request: pytest.FixtureRequest, dockerkit: Kit) -> None:
    labels = {"com.example/key": "a value with ☕", "empty": ""}
    with dockerkit.run(IMAGE, **LONE, labels=labels, name="labelled") as container:
        ours = {"pytest.dockerkit.run": _run.run_id(request.config), "pytest.dockerkit.name": "labelled"}
        if owner := container.labels.get("pytest.dockerkit.owner"):
            # Where this user can be told from others: see test_sweep.
            ours["pytest.dockerkit.owner"] = owner
        everything = dict(container.image.config.labels) | labels | ours
        assert config(container)["Labels"] == everything
        assert container.labels == everything
        assert container.name.startswith(f"dockerkit-{_run.run_id(request.config)}-labelled-")


@covers("extra_hosts")
def test_further_hosts(dockerkit: Kit) -> None:
    hosts = {"db.example": "10.9.8.7", "six.example": "fd00::1"}
    with dockerkit.run(IMAGE, command=SLEEP, extra_hosts=hosts) as container:
        assert host_config(container)["ExtraHosts"] == ["db.example:10.9.8.7", "six.example:fd00::1"]
        lines = [line.split() for line in inside(container, "cat /etc/hosts").splitlines()]
        assert ["10.9.8.7", "db.example"] in lines
        assert ["fd00::1", "six.example"] in lines


@covers("host_access")
@pytest.mark.parametrize("kind", ["isolated", "internal", "bridge", "host"])
def test_a_server_of_the_test_is_reached(dockerkit: Kit, kind: str) -> None:
    """Also where there is no way out, and at the gateway alone."""
    own = dockerkit.network(internal=kind == "internal") if kind in ("isolated", "internal") else None
    address = "127.0.0.1" if kind == "host" else "0.0.0.0" if own is None else own.gateway or ""
    with (
        own if own is not None else contextlib.nullcontext(),
        socket.create_server((address, 0)) as server,
        dockerkit.run(IMAGE, command=SLEEP, network=kind if own is None else own, host_access=True) as container,
    ):
        assert_reachable(container, "host.docker.internal", server.getsockname()[1])
        assert "host.docker.internal" in inside(container, "cat /etc/hosts")


@covers("init")
@pytest.mark.parametrize("init", [True, False])
def test_an_init_is_the_first_process(dockerkit: Kit, init: bool) -> None:
    with dockerkit.run(IMAGE, **LONE, init=init) as container:
        assert host_config(container)["Init"] is init
        assert (inside(container, "cat /proc/1/comm") == "sleep") is not init
        assert "sleep" in inside(container, "cat /proc/[0-9]*/comm").splitlines()


@covers("stop_signal", "stop_timeout")
def test_how_it_is_stopped(dockerkit: Kit) -> None:
    """It ends by its own handler of the signal that it has asked for; what heeds none is killed."""
    polite = "trap 'exit 7' INT; echo set; while :; do sleep 1000 & wait; done"
    spec = ContainerSpec(
        image=IMAGE, command=["sh", "-c", polite], stop_signal="SIGINT", stop_timeout="20s", wait=probes.log("set")
    )
    with dockerkit.run(spec) as container:
        assert config(container)["StopSignal"] == "SIGINT"
        assert config(container)["StopTimeout"] == 20
        container.stop()
        assert container.inspect()["State"]["ExitCode"] == 7
    deaf = ContainerSpec(
        image=IMAGE, command=["sh", "-c", "trap '' TERM; echo set; sleep 1000"], wait=probes.log("set")
    )
    with dockerkit.run(deaf, stop_timeout=1) as container:
        assert config(container)["StopTimeout"] == 1
        container.stop()
        assert container.inspect()["State"]["ExitCode"] == 137


@covers("stop_timeout")
def test_a_part_of_a_second_is_no_kill_at_once(dockerkit: Kit) -> None:
    """The engine knows whole seconds only, and none would leave no time at all."""
    with dockerkit.run(IMAGE, **LONE, stop_timeout="250ms") as container:
        assert config(container)["StopTimeout"] == 1


@covers("healthcheck")
@pytest.mark.parametrize(
    ("given", "test"),
    [
        ("test -d /tmp && true", ["CMD-SHELL", "test -d /tmp && true"]),
        (["test", "-d", "/tmp"], ["CMD", "test", "-d", "/tmp"]),
        (["CMD-SHELL", "test -d /tmp"], ["CMD-SHELL", "test -d /tmp"]),
    ],
)
def test_a_health_check_as_a_text_or_a_list(dockerkit: Kit, given: str | list[str], test: list[str]) -> None:
    with dockerkit.run(IMAGE, **LONE, healthcheck=given) as container:
        assert config(container)["Healthcheck"] == {"Test": test}
        assert container.health == "healthy"


@pytest.fixture
def made(docker_client: docker.DockerClient) -> Iterator[list[str]]:
    """References of images that are removed at the end."""
    names: list[str] = []
    yield names
    for name in names:
        docker_client.images.remove(name, force=True)


@covers("healthcheck")
def test_a_health_check_in_all_its_parts(dockerkit: Kit, made: list[str]) -> None:
    """It takes the place of the image's, in whole or in part; or there is none."""
    text = f"FROM {IMAGE}\nLABEL x={uuid.uuid4()}\nHEALTHCHECK --interval=1h --retries=9 CMD false\n"
    image = dockerkit.build(ImageSpec(dockerfile_text=text))
    made.append(image.reference)
    check = HealthCheck(
        test="true", interval="200ms", timeout=2, retries=5, start_period="1m30s", start_interval=0.25
    )
    with dockerkit.run(image, **LONE, healthcheck=check) as container:
        told = config(container)["Healthcheck"]
        # Engines before 25.0 do not have it.
        assert told.pop("StartInterval", 250_000_000) == 250_000_000
        assert told == {
            "Test": ["CMD-SHELL", "true"],
            "Interval": 200_000_000,
            "Timeout": 2_000_000_000,
            "StartPeriod": 90_000_000_000,
            "Retries": 5,
        }
        assert container.health == "healthy"
    partly = HealthCheck(interval="1s")
    with dockerkit.run(image, **LONE, healthcheck=partly, wait=probes.running()) as container:
        told = config(container)["Healthcheck"]
        assert (told["Test"], told["Interval"], told["Retries"]) == (["CMD-SHELL", "false"], 1_000_000_000, 9)
    with dockerkit.run(image, **LONE, healthcheck=HealthCheck.none()) as container:
        assert config(container)["Healthcheck"]["Test"] == ["NONE"]
        assert container.health is None


@covers("platform")
def test_the_engines_own_platform(dockerkit: Kit, docker_client: docker.DockerClient) -> None:
    said = docker_client.version()
    platform = f"{said['Os']}/{said['Arch']}"
    with dockerkit.run(IMAGE, **LONE, platform=platform) as container:
        image = docker_client.images.get(container.inspect()["Image"]).attrs
        assert f"{image['Os']}/{image['Architecture']}" == platform


@pytest.fixture
def unreachable(docker_client: docker.DockerClient) -> Iterator[str]:
    """A name that busybox has on this engine, of a registry that nobody runs."""
    name = f"127.0.0.1:1/dockerkit-{uuid.uuid4().hex[:8]}"
    docker_client.images.get(IMAGE).tag(name, "1")
    yield f"{name}:1"
    docker_client.images.remove(f"{name}:1")


@covers("pull", "image")
def test_when_an_image_is_pulled(dockerkit: Kit, unreachable: str) -> None:
    """Never and missing take the one that is there; always asks the registry, which does not answer."""
    for policy in ("never", "missing"):
        with dockerkit.run(unreachable, **LONE, pull=policy) as container:
            assert unreachable in container.image.tags
            assert container.image.cached
            assert config(container)["Image"] == container.image.id


@covers("pull")
def test_a_pull_that_fails_is_told(dockerkit: Kit, unreachable: str) -> None:
    with pytest.raises(ImageNotFoundError) as caught:
        dockerkit.run(unreachable, **LONE, pull="always")
    assert caught.value.what == f"the image {unreachable} is on the engine, but cannot be pulled anew"
    assert "127.0.0.1:1" in caught.value.saw
    assert caught.value.mend == (
        "pull='missing' takes the one that is there; else correct the registry's name, or see whether the engine "
        "reaches it"
    )
    absent = f"dockerkit-absent-{uuid.uuid4().hex[:8]}:1"
    with pytest.raises(ImageNotFoundError) as caught:
        dockerkit.run(absent, **LONE, pull="never")
    assert str(caught.value) == (
        f"the image {absent} is not on the engine, and pulling is switched off\n"
        "  saw:  pull='never'\n"
        f"  mend: docker pull {absent}, or pull='missing' (--dockerkit-pull=missing)"
    )


@covers("docker_options")
def test_raw_options_win(dockerkit: Kit) -> None:
    options = {"OomScoreAdj": 500, "Memory": 32 * 1024**2, "MemorySwap": 32 * 1024**2, "Dns": ["10.9.8.7"]}
    spec = ContainerSpec(image=IMAGE, command=SLEEP, memory="64m", docker_options=options)
    with dockerkit.run(spec, network="bridge") as container:
        assert {key: host_config(container)[key] for key in options} == options
        assert container.limits.memory_bytes == 32 * 1024**2
        assert inside(container, "cat /proc/1/oom_score_adj; grep ^nameserver /etc/resolv.conf") == (
            "500\nnameserver 10.9.8.7"
        )


def test_what_the_engine_refuses_is_told_and_leaves_nothing(
    request: pytest.FixtureRequest, dockerkit: Kit, docker_client: docker.DockerClient
) -> None:
    with pytest.raises(EngineError) as caught:
        dockerkit.run(IMAGE, **LONE, name="refused", security_opt=["no-such-option"])
    assert str(caught.value).startswith("the engine could not create the container dockerkit-")
    assert "no-such-option" in caught.value.saw
    assert caught.value.mend == "see the engine's answer above; correct the field it names"
    label = f"pytest.dockerkit.run={_run.run_id(request.config)}"
    left = docker_client.containers.list(all=True, filters={"label": [label, "pytest.dockerkit.name=refused"]})
    assert left == []
