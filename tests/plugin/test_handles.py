"""What a test does with a running container: reach it, run commands in it, move files, stop and start it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from typing import TYPE_CHECKING
from urllib.request import urlopen

import docker
import docker.errors
import docker.models.containers
import pytest

from pytest_dockerkit import ContainerSpec, HealthCheck, Limits, RunningContainer, _run, container_fixture, probes
from pytest_dockerkit.errors import (
    ContainerError,
    ContainerExitedError,
    ContainerFileError,
    EngineError,
    ExecError,
    ExecTimeoutError,
    NotReadyError,
    PortNotPublishedError,
    PortTakenError,
    SpecError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_dockerkit import Kit

IMAGE = "busybox:stable"
SLEEP = ("sleep", "1000")

#: Longer than the buffers on the way, in bytes.
MUCH = 1024 * 1024

box = container_fixture(IMAGE, command=SLEEP, env={"OWN": "yes"}, workdir="/tmp", scope="module")


def is_there(docker_client: docker.DockerClient, container: RunningContainer) -> bool:
    return bool(docker_client.containers.list(all=True, filters={"id": container.id}))


# What it is, and how it is reached


@pytest.mark.container(
    IMAGE, name="web", ports=["8080/tcp", "53/udp"], command=["httpd", "-f", "-p", "8080", "-h", "/bin"]
)
def test_what_it_is_and_how_it_is_reached(container: RunningContainer) -> None:
    told = container.inspect()
    assert container.id == told["Id"]
    assert container.name == told["Name"].lstrip("/")
    assert container.alias == "web"
    assert container.image.id == told["Image"]
    assert container.status == "running"
    assert container.health is None
    assert container.labels == told["Config"]["Labels"]
    assert container.networks == (container.network,)
    assert container.ip == told["NetworkSettings"]["Networks"][container.network.name]["IPAddress"]
    assert repr(container) == f"<RunningContainer web {container.id[:12]}>"
    number = int(told["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"])
    assert container.host == "127.0.0.1"
    assert container.port(8080) == container.port("8080") == container.port("8080/tcp") == number
    assert container.address(8080) == ("127.0.0.1", number)
    assert container.port("53/udp") == int(told["NetworkSettings"]["Ports"]["53/udp"][0]["HostPort"])
    assert container.url(8080) == f"http://127.0.0.1:{number}/"
    assert container.url(8080, "a/b?c=d") == f"http://127.0.0.1:{number}/a/b?c=d"
    assert container.url(8080, "/0", scheme="redis") == f"redis://127.0.0.1:{number}/0"
    assert urlopen(container.url(8080, "/busybox")).status == 200
    with pytest.raises(PortNotPublishedError) as caught:
        container.url(53)
    assert str(caught.value) == (
        "container 'web' does not publish port 53/tcp\n"
        "  saw:  published: 8080/tcp, 53/udp; status running\n"
        "  mend: ports=[53]"
    )


def test_a_port_of_a_container_that_publishes_none(box: RunningContainer) -> None:
    with pytest.raises(PortNotPublishedError) as caught:
        box.port("53/udp")
    assert str(caught.value) == (
        "container 'box' does not publish port 53/udp\n"
        "  saw:  published: none; status running\n"
        "  mend: ports=['53/udp']"
    )
    with pytest.raises(SpecError) as wrong:
        box.address("http")
    assert wrong.value.saw == "'http' (str)"


def test_a_port_of_the_host_that_is_taken_is_told(dockerkit: Kit, docker_client: docker.DockerClient) -> None:
    """By a program of the machine, or by another container; the one that could not have it is removed."""
    mend = "free it, or name only the container's port (ports=[80]) and let the engine choose a free one"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            dockerkit.run(IMAGE, command=SLEEP, name="late", ports=[f"{number}:80"], wait=probes.running())
    assert caught.value.what == f"the host port 127.0.0.1:{number} is taken"
    assert caught.value.mend == mend
    with dockerkit.run(IMAGE, command=SLEEP, ports=[80], wait=probes.running()) as holder:
        number = holder.port(80)
        with pytest.raises(PortTakenError) as caught:
            dockerkit.run(IMAGE, command=SLEEP, name="late", ports=[f"{number}:80"], wait=probes.running())
        assert caught.value.what == f"the host port 127.0.0.1:{number} is taken"
        run = holder.labels["pytest.dockerkit.run"]
    mine = [f"pytest.dockerkit.run={run}", "pytest.dockerkit.name=late"]
    assert docker_client.containers.list(all=True, filters={"label": mine}) == []


def test_the_raw_object_for_what_has_no_method(box: RunningContainer) -> None:
    raw = box.docker
    assert isinstance(raw, docker.models.containers.Container)
    assert raw.id == box.id
    assert box.inspect()["State"]["Pid"] == raw.attrs["State"]["Pid"]
    assert "sleep" in str(raw.top()["Processes"])


def test_the_caps_that_it_is_held_to(dockerkit: Kit, box: RunningContainer) -> None:
    spec = ContainerSpec(
        image=IMAGE,
        command=SLEEP,
        cpus=0.25,
        memory="32m",
        memory_swap=-1,
        pids=64,
        shm_size="4m",
        ulimits={"nofile": (100, 200)},
    )
    with dockerkit.run(spec) as capped:
        assert capped.limits == Limits(
            cpus=0.25,
            memory_bytes=32 * 1024**2,
            memory_swap_bytes=-1,
            pids=64,
            shm_bytes=4 * 1024**2,
            ulimits={"nofile": (100, 200)},
        )
        stats = capped.stats()
        assert 0 < stats.memory_bytes < 32 * 1024**2
        assert stats.peak_memory_bytes is None or stats.peak_memory_bytes >= stats.memory_bytes
        assert stats.pids == 1
        assert stats.cpu_percent >= 0.0
    free = box.limits
    assert (free.cpus, free.memory_bytes, free.memory_swap_bytes, free.pids) == (None, None, None, None)
    assert (free.shm_bytes, free.ulimits) == (64 * 1024**2, {})


def test_how_much_it_works(dockerkit: Kit) -> None:
    """A busy loop in each of two processes, beside the one that waits for them."""
    loops = "while :; do :; done & while :; do :; done & wait"
    with dockerkit.run(IMAGE, command=["sh", "-c", loops], cpus=0.5) as container:
        stats = container.stats()
        assert stats.cpu_percent > 0.0
        assert stats.pids == 3


def test_a_container_is_removed_at_the_end_of_its_block(dockerkit: Kit, docker_client: docker.DockerClient) -> None:
    with contextlib.suppress(ZeroDivisionError), dockerkit.run(IMAGE, command=SLEEP) as container:
        assert is_there(docker_client, container)
        raise ZeroDivisionError
    assert not is_there(docker_client, container)
    assert container.removed
    container.remove()
    with pytest.raises(EngineError) as caught:
        container.exec(["true"])
    assert caught.value.saw == f"No such container: {container.id}"


# Commands


def test_output_is_told_apart_and_exit_codes_are_given(box: RunningContainer) -> None:
    result = box.exec(["sh", "-c", "echo käse; echo oh >&2; exit 3"])
    assert (result.exit_code, result.stdout, result.stderr) == (3, "käse\n", "oh\n")
    assert (result.stdout_bytes, result.stderr_bytes) == ("käse\n".encode(), b"oh\n")
    assert box.exec("echo 'one  argument' \"$OWN\"").stdout == "one  argument $OWN\n"
    assert box.exec(["true"]).stdout == ""


def test_bytes_that_are_no_text(box: RunningContainer) -> None:
    result = box.exec(["printf", r"\377 ok\0"])
    assert result.stdout == "\N{REPLACEMENT CHARACTER} ok\0"
    assert result.stdout_bytes == b"\xff ok\0"


def test_a_command_is_given_its_user_variables_and_directory(box: RunningContainer) -> None:
    script = ["sh", "-c", 'echo "$(id -u) $OWN $MORE $(pwd)"']
    assert box.exec(script).stdout == "0 yes  /tmp\n"
    more = box.exec(script, user="nobody", env={"MORE": "a 'b' {c}\nd"}, workdir="/bin")
    assert more.stdout == f"{box.exec(['id', '-u', 'nobody']).stdout.strip()} yes a 'b' {{c}}\nd /bin\n"
    assert box.exec(script, user=1234, env={"OWN": ""}).stdout == "1234   /tmp\n"


def test_a_command_reads_what_it_is_given(box: RunningContainer) -> None:
    """Text, much of it, and more than it wants; without any it reads nothing."""
    assert box.exec(["cat"], stdin="käse\n").stdout == "käse\n"
    assert box.exec(["cat"], stdin=b"").stdout == ""
    assert box.exec(["cat"]).stdout == ""
    much = os.urandom(MUCH)
    assert box.exec(["cat"], stdin=much).stdout_bytes == much
    assert box.exec(["wc", "-c"], stdin=much).stdout == f"{MUCH}\n"
    assert box.exec(["head", "-c", "2"], stdin=b"ab" * MUCH).stdout == "ab"


def test_a_failing_command_is_told_when_it_is_to_be_checked(box: RunningContainer) -> None:
    assert box.exec(["true"], check=True).exit_code == 0
    with pytest.raises(ExecError) as caught:
        box.exec(["sh", "-c", "echo said; echo why >&2; echo more >&2; exit 4"], check=True)
    assert str(caught.value) == (
        "'sh' in container 'box' ended with exit code 4\n"
        "  saw:  ['sh', '-c', 'echo said; echo why >&2; echo more >&2; exit 4']\n"
        "        why\n"
        "        more\n"
        "  mend: correct the command, or read exit_code without check=True"
    )


def test_a_command_that_takes_too_long_is_told(box: RunningContainer) -> None:
    assert box.exec(["echo", "in time"], timeout="30s").stdout == "in time\n"
    with pytest.raises(ExecTimeoutError) as caught:
        box.exec(["sh", "-c", "echo before; sleep 1000"], timeout=0.25)
    assert str(caught.value) == (
        "'sh' in container 'box' has not ended after 0.25 s\n"
        "  saw:  ['sh', '-c', 'echo before; sleep 1000']\n"
        "  mend: raise timeout=, or find out what it waits for"
    )


def test_commands_that_cannot_be_run(box: RunningContainer) -> None:
    """A missing program is an exit code, as it is for a shell: 126 or 127, as the engine is old or new."""
    missing = box.exec(["no-such-program"])
    assert missing.exit_code in (126, 127)
    assert "no-such-program" in missing.stdout + missing.stderr
    nothing: list[str] | str
    for nothing in ([], ""):
        with pytest.raises(SpecError) as caught:
            box.exec(nothing)
        assert str(caught.value) == f'the command is empty\n  saw:  {nothing!r}\n  mend: container.exec(["ls", "-l"])'


# Logs


def test_the_log_in_parts(dockerkit: Kit) -> None:
    script = "echo one; echo zwei ☕; echo three >&2; printf '\\377 four\\n'; exec sleep 1000"
    with dockerkit.run(IMAGE, command=["sh", "-c", script], wait=probes.log("four")) as container:
        container.wait(probes.log("three"))
        assert container.logs(stream="stdout") == "one\nzwei ☕\n\N{REPLACEMENT CHARACTER} four\n"
        assert container.logs(stream="stderr") == "three\n"
        assert sorted(container.logs().split()) == ["four", "one", "three", "zwei", "☕", "\N{REPLACEMENT CHARACTER}"]
        assert container.logs(stream="stdout", tail=2) == "zwei ☕\n\N{REPLACEMENT CHARACTER} four\n"
        assert container.logs(tail=0) == ""
        assert container.logs(since=0) == container.logs()
        now = time.time()
        container.exec(["sh", "-c", "echo later > /proc/1/fd/1"], check=True)
        container.wait(probes.log("later"))
        assert container.logs(since=now) == "later\n"
        with pytest.raises(SpecError) as caught:
            container.logs(stream="both")
        assert str(caught.value) == (
            "stream= is not one of its values\n  saw:  'both'\n  mend: one of: 'stdout', 'stderr'"
        )


def test_the_log_is_followed(dockerkit: Kit) -> None:
    """To its end, or as long as one likes; lines come while the container still runs."""
    script = "echo first; printf 'with return\\r\\n'; cat /tmp/pipe; printf 'no newline'"
    before = "mkfifo /tmp/pipe; "
    with dockerkit.run(IMAGE, command=["sh", "-c", before + script], wait=probes.log("return")) as container:
        early = container.follow()
        assert next(early) == "first"
        del early
        lines = container.follow()
        assert next(lines) == "first"
        assert next(lines) == "with return"
        assert container.status == "running"
        container.exec(["sh", "-c", "cat > /tmp/pipe"], stdin="käse\n", check=True)
        assert list(lines) == ["käse", "no newline"]
        assert list(container.follow()) == ["first", "with return", "käse", "no newline"]


# Files


def test_files_are_written_and_read(box: RunningContainer) -> None:
    """Missing directories are made, for everybody to enter; names may be anything."""
    place = f"/srv/{uuid.uuid4().hex}"
    box.write_file(f"{place}/a dir/käse ☕.txt", "text ☕\n")
    assert box.read_file(f"{place}/a dir/käse ☕.txt") == "text ☕\n"
    box.write_file(f"{place}/a dir/käse ☕.txt", b"\xff\x00")
    assert box.read_bytes(f"{place}/a dir/käse ☕.txt") == b"\xff\x00"
    box.write_file(f"{place}/empty", "")
    assert box.read_file(f"{place}/empty") == ""
    much = os.urandom(MUCH)
    box.write_file(f"{place}/much", much)
    assert box.read_bytes(f"{place}/much") == much
    modes = box.exec(["stat", "-c", "%a %u", f"{place}/a dir", f"{place}/a dir/käse ☕.txt"], check=True).stdout
    assert modes == "755 0\n644 0\n"


def test_links_are_followed_when_a_file_is_read(box: RunningContainer) -> None:
    place = f"/srv/{uuid.uuid4().hex}"
    box.write_file(f"{place}/real/deep/file", "real")
    box.write_file(f"{place}/real/beside", "beside")
    script = """
        ln -s real/deep/file relative
        ln -s $PWD/relative absolute
        ln -s real/deep directory
        ln -s ../beside real/deep/up
        ln -s round round
        ln -s nowhere broken
    """
    box.exec(["sh", "-c", script], workdir=place, check=True)
    assert box.read_file(f"{place}/relative") == "real"
    assert box.read_file(f"{place}/absolute") == "real"
    assert box.read_file(f"{place}/directory/file") == "real"
    assert box.read_file(f"{place}/directory/up") == "beside"
    seen = {
        "round": "links in a circle",
        "broken": f"it leads to {place}/nowhere, which does not exist",
        "missing": "it does not exist",
    }
    for name, saw in seen.items():
        with pytest.raises(ContainerFileError) as caught:
            box.read_file(f"{place}/{name}")
        assert (caught.value.what, caught.value.saw) == (f"{place}/{name} cannot be read", saw)
    assert str(caught.value) == (
        f"{place}/missing cannot be read\n"
        "  saw:  it does not exist\n"
        f'  mend: container.exec(["ls", "-la", {place!r}]) shows what is there'
    )
    with pytest.raises(ContainerFileError) as caught:
        box.read_file(f"{place}/real")
    assert caught.value.saw == "it is no regular file"


def test_paths_in_a_container_are_absolute(box: RunningContainer, tmp_path: Path) -> None:
    calls: dict[str, Callable[[], object]] = {
        "path": lambda: box.read_file("etc/hosts"),
        "source": lambda: box.copy_out("etc/hosts", tmp_path),
        "target": lambda: box.copy_in(tmp_path, "etc/hosts"),
    }
    for name, call in calls.items():
        with pytest.raises(SpecError) as caught:
            call()
        assert str(caught.value) == (
            f"{name}= needs an absolute path in the container\n"
            "  saw:  'etc/hosts'\n"
            "  mend: begin it with '/': '/etc/hosts'"
        )
    with pytest.raises(SpecError):
        box.write_file("etc/x", "")


def test_a_read_only_root_takes_no_files_after_its_start(dockerkit: Kit) -> None:
    with dockerkit.run(IMAGE, command=SLEEP, read_only=True, volumes=["/data"]) as container:
        with pytest.raises(EngineError) as caught:
            container.write_file("/etc/x", "x")
        assert "read-only" in caught.value.saw
        assert caught.value.mend == (
            "the directory has to exist in the image, and a read-only root takes no files after its start"
        )
        container.write_file("/data/sub/x", "into the volume")
        assert container.read_file("/data/sub/x") == "into the volume"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with what directories have in them."""
    root = tmp_path / "a tree"
    (root / "sub dir/empty").mkdir(parents=True)
    (root / "sub dir/ü ☕.txt").write_text("deep", encoding="utf-8")
    (root / "run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (root / "run.sh").chmod(0o750)
    (root / "link").symlink_to("sub dir/ü ☕.txt")
    return root


def test_directories_are_copied_in_and_out(box: RunningContainer, tree: Path, tmp_path: Path) -> None:
    place = f"/srv/{uuid.uuid4().hex}"
    box.copy_in(tree, f"{place}/in it")
    found = box.exec(
        ["sh", "-c", "find . | sort; stat -c '%a %u' run.sh; cat link"], workdir=f"{place}/in it", check=True
    )
    assert found.stdout == (".\n./link\n./run.sh\n./sub dir\n./sub dir/empty\n./sub dir/ü ☕.txt\n750 0\ndeep")
    box.exec(["ln", "run.sh", "second name"], workdir=f"{place}/in it", check=True)
    copy = box.copy_out(f"{place}/in it", tmp_path / "new/name")
    assert copy == tmp_path / "new/name"
    assert sorted(str(each.relative_to(copy)) for each in copy.rglob("*")) == [
        "link",
        "run.sh",
        "second name",
        "sub dir",
        "sub dir/empty",
        "sub dir/ü ☕.txt",
    ]
    assert (copy / "link").read_text(encoding="utf-8") == "deep"
    assert (copy / "second name").read_text(encoding="utf-8") == "#!/bin/sh\n"
    assert (copy / "run.sh").stat().st_mode & 0o777 == 0o750
    (tmp_path / "there").mkdir()
    assert box.copy_out(f"{place}/in it/", tmp_path / "there") == tmp_path / "there/in it"
    assert (tmp_path / "there/in it/sub dir/empty").is_dir()


def test_files_are_copied_in_and_out(box: RunningContainer, tree: Path, tmp_path: Path) -> None:
    """A link that was named is the file that it leads to, on both sides."""
    place = f"/srv/{uuid.uuid4().hex}"
    box.copy_in(tree / "run.sh", f"{place}/a file")
    box.copy_in(str(tree / "link"), f"{place}/followed")
    assert box.exec(["stat", "-c", "%F %a", f"{place}/a file", f"{place}/followed"]).stdout.splitlines() == [
        "regular file 750",
        f"regular file {(tree / 'sub dir/ü ☕.txt').stat().st_mode & 0o777:o}",
    ]
    assert box.copy_out(f"{place}/a file", tmp_path / "x/renamed") == tmp_path / "x/renamed"
    assert (tmp_path / "x/renamed").read_text(encoding="utf-8") == "#!/bin/sh\n"
    assert box.copy_out(f"{place}/a file", tmp_path / "x") == tmp_path / "x/a file"
    box.exec(["ln", "-s", f"{place}/a file", f"{place}/absolute"], check=True)
    assert box.copy_out(f"{place}/absolute", tmp_path / "x") == tmp_path / "x/absolute"
    assert (tmp_path / "x/absolute").read_text(encoding="utf-8") == "#!/bin/sh\n"
    assert not (tmp_path / "x/absolute").is_symlink()
    box.copy_in(tree / "run.sh", f"{place}/into/")
    assert box.read_file(f"{place}/into/run.sh") == "#!/bin/sh\n"


@pytest.mark.parametrize("link", ["/etc/passwd", "../outside", "sub/../../outside"])
def test_links_that_lead_out_are_not_copied_out(box: RunningContainer, tmp_path: Path, link: str) -> None:
    """Neither as a link, nor as the file of this machine that it would lead to."""
    (tmp_path / "outside").write_text("not yours", encoding="utf-8")
    place = f"/srv/{uuid.uuid4().hex}"
    box.exec(["mkdir", "-p", f"{place}/tree/sub"], check=True)
    box.exec(["ln", "-s", link, f"{place}/tree/link"], check=True)
    with pytest.raises(ContainerFileError) as caught:
        box.copy_out(f"{place}/tree", tmp_path / "copy")
    assert caught.value.what == "tree cannot be copied out"
    assert "link" in caught.value.saw
    assert caught.value.mend.startswith("partial=True leaves out what cannot be copied; or copy")
    assert not (tmp_path / "copy/link").is_symlink()


def test_what_is_not_there_cannot_be_copied(box: RunningContainer, tmp_path: Path) -> None:
    with pytest.raises(ContainerFileError) as caught:
        box.copy_in(tmp_path / "missing", "/srv/missing")
    assert str(caught.value) == (
        f"{tmp_path}/missing cannot be copied in\n  saw:  it does not exist\n  mend: correct the path"
    )
    with pytest.raises(ContainerFileError) as caught:
        box.copy_out("/srv/no such thing", tmp_path / "x")
    assert (
        str(caught.value)
        == "/srv/no such thing cannot be copied out\n  saw:  it does not exist\n  mend: correct the path"
    )
    assert not (tmp_path / "x").exists()


# Its life


@pytest.mark.container(
    IMAGE, name="web", ports=[80], command=["httpd", "-f", "-p", "80", "-h", "/bin"], stop_timeout=1
)
def test_a_service_is_stopped_started_and_restarted(container: RunningContainer) -> None:
    """Its port may be another one each time; it is reached as soon as the call returns."""
    container.write_file("/bin/kept", "kept")
    container.stop()
    assert container.status == "exited"
    with pytest.raises(PortNotPublishedError) as caught:
        container.port(80)
    assert caught.value.saw == "published: 80/tcp; status exited"
    with pytest.raises(EngineError) as refused:
        container.exec(["true"])
    assert refused.value.mend == "the container has to be running"
    container.start()
    assert urlopen(container.url(80, "kept")).read() == b"kept"
    first = container.inspect()["State"]["StartedAt"]
    container.restart()
    assert urlopen(container.url(80, "kept")).read() == b"kept"
    assert container.inspect()["State"]["StartedAt"] != first
    assert container.port(80) == int(container.seen["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])


def test_its_health_is_awaited_anew(dockerkit: Kit) -> None:
    """What made it healthy is gone with the restart; its health check passes once that is back."""
    script = "rm -f /tmp/fine; [ -e /tmp/slow ] && cat /tmp/slow; touch /tmp/fine; exec sleep 1000"
    spec = ContainerSpec(
        image=IMAGE, command=["sh", "-c", script], healthcheck=HealthCheck(test="test -e /tmp/fine"), stop_timeout=0
    )
    with dockerkit.run(spec) as container:
        assert container.health == "healthy"
        container.restart()
        assert container.exec(["test", "-e", "/tmp/fine"]).exit_code == 0
        container.exec(["mkfifo", "/tmp/slow"], check=True)
        with pytest.raises(NotReadyError) as caught:
            with_timeout(container, "1s").restart()
        assert caught.value.what == f"container {container.alias!r} is not ready after 1 s"
        assert container.health == "starting"


def with_timeout(container: RunningContainer, timeout: str) -> RunningContainer:
    """The same container, with less patience."""
    given = {key: getattr(container.spec, key) for key in container.spec.__dataclass_fields__}
    container.spec = ContainerSpec(**{**given, "timeout": timeout})
    return container


def test_a_log_line_of_the_run_before_does_not_count_after_a_restart(dockerkit: Kit) -> None:
    script = "[ -e /tmp/again ] || echo ready; touch /tmp/again; exec sleep 1000"
    spec = ContainerSpec(image=IMAGE, command=["sh", "-c", script], wait=probes.log("ready"), stop_timeout=0)
    with dockerkit.run(spec) as container:
        with pytest.raises(NotReadyError) as caught:
            with_timeout(container, "1s").restart()
        assert caught.value.saw == "'ready' 0 times in its log, of 1"
        assert container.logs() == "ready\n"


def test_signals_and_the_end(dockerkit: Kit) -> None:
    script = "trap 'echo reloaded' HUP; trap 'exit 5' USR1; echo set; while :; do sleep 1000 & wait; done"
    with dockerkit.run(IMAGE, command=["sh", "-c", script], name="signals", wait=probes.log("set")) as container:
        container.kill("SIGHUP")
        container.wait(probes.log("reloaded"))
        assert container.status == "running"
        with pytest.raises(NotReadyError) as caught:
            container.wait_exit(timeout=0.25)
        assert str(caught.value) == (
            "container 'signals' has not ended after 0.25 s\n"
            "  saw:  status running\n"
            "  mend: raise timeout=, or stop() it\n"
            "  last lines of its log (signals):\n"
            "    set\n"
            "    reloaded"
        )
        container.kill("USR1")
        assert container.wait_exit(timeout="20s") == 5
        container.start()
        container.kill()
        assert container.wait_exit() == 137
        with pytest.raises(EngineError) as refused:
            container.kill()
        assert refused.value.mend == "it has to be running"


def test_it_is_frozen_for_a_block(dockerkit: Kit) -> None:
    with dockerkit.run(IMAGE, command=SLEEP) as container:
        with contextlib.suppress(ZeroDivisionError), container.paused():
            assert container.status == "paused"
            raise ZeroDivisionError
        assert container.status == "running"
        container.pause()
        assert container.status == "paused"
        with pytest.raises(EngineError) as refused:
            container.pause()
        assert refused.value.mend == "it has to be running, and not to be paused"
        container.unpause()
        assert container.status == "running"
        with pytest.raises(EngineError) as refused:
            container.unpause()
        assert refused.value.mend == "it has to be paused"


def test_it_is_cut_off_for_a_block(dockerkit: Kit) -> None:
    """Also when the block fails; its names in the network are back with it, those given later too."""
    serve = ["sh", "-c", "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp"]
    with (
        dockerkit.run(IMAGE, command=serve, ports=[80], name="web", aliases=["second"]) as web,
        dockerkit.run(IMAGE, command=SLEEP) as client,
    ):
        with contextlib.suppress(ZeroDivisionError), web.disconnect():
            assert web.inspect()["NetworkSettings"]["Networks"] == {}
            assert web.ip == ""
            with pytest.raises(ContainerError) as caught:
                assert web.network
            assert str(caught.value) == (
                "container 'web' is in no network\n"
                "  saw:  it was disconnected from all of them\n"
                "  mend: network.connect(container), or look at it after the disconnect() block"
            )
            with pytest.raises(PortNotPublishedError):
                web.port(80)
            assert client.exec(["nslookup", "-timeout=1", "-retry=1", "web"]).exit_code != 0
            raise ZeroDivisionError
        assert client.exec(["wget", "-q", "-O", "-", "http://second/"]).stdout == "hello\n"
        with dockerkit.network() as other:
            other.connect(web, aliases=["guest"])
            other.connect(client)
            with web.disconnect(other):
                assert other not in web.networks
            assert list(web.networks) == [client.network, other]
            assert client.exec(["nslookup", "guest"]).exit_code == 0
        assert web.networks == (client.network,)
        assert web.ip == web.inspect()["NetworkSettings"]["Networks"][web.network.name]["IPAddress"]
        assert urlopen(web.url(80)).read() == b"hello\n"


def test_what_is_waited_for_and_what_ends_the_wait(dockerkit: Kit) -> None:
    script = "echo up; cat /tmp/pipe; exit 9"
    command = ["sh", "-c", "mkfifo /tmp/pipe; " + script]
    with dockerkit.run(IMAGE, command=command, name="worker", wait=probes.log("up")) as container:
        container.wait(probes.command(["test", "-p", "/tmp/pipe"]), timeout="20s")
        with pytest.raises(NotReadyError) as caught:
            container.wait(probes.log("done", times=2), timeout="250ms")
        assert str(caught.value) == (
            "container 'worker' is not ready after 0.25 s\n"
            "  saw:  'done' 0 times in its log, of 2\n"
            "  mend: read its log below; raise timeout= if it is only slow, or wait for something else with wait=\n"
            "  last lines of its log (worker):\n"
            "    up"
        )
        container.exec(["sh", "-c", "echo bye > /tmp/pipe"], check=True)
        with pytest.raises(ContainerExitedError) as ended:
            container.wait(probes.log("never"))
        assert str(ended.value) == (
            "container 'worker' has ended before it was ready\n"
            "  saw:  exit code 9\n"
            "  mend: read its log below, and correct its command, env or files\n"
            "  last lines of its log (worker):\n"
            "    up\n"
            "    bye"
        )
        container.wait(probes.exited(9))


def test_handles_of_a_fixture_belong_to_the_run(request: pytest.FixtureRequest, box: RunningContainer) -> None:
    assert box.alias == "box"
    assert box.labels["pytest.dockerkit.run"] == _run.run_id(request.config)
    assert box.spec.command == SLEEP
