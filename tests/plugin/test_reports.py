"""What a run tells: of containers that could not be had, of failing tests, at its end; and that it clears up."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import docker
import pytest

from pytest_dockerkit._poll import Look, until_ready
from tests.plugin.conftest import leftovers

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

#: Stays until it is killed; quick to start, since it has no network of its own.
STAYS = '"busybox:stable", command="sleep 600", network="none"'


def test_a_failing_test_shows_what_its_containers_said_since_it_began(suite: Suite) -> None:
    """State, health and log of each: not the lines of a session's container that earlier tests have caused."""
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import container_fixture, probes

        SAYS = "mkfifo /said; echo it begins; while true; do cat /said; done"
        db = container_fixture("busybox:stable", command=["sh", "-c", SAYS], scope="session", network="none",
                               healthcheck="test -p /said")

        def say(container, line):
            container.exec(["sh", "-c", f"echo '{line}' > /said"], check=True)
            container.wait(probes.log(line))

        def test_passes(db):
            say(db, "caused by the first")

        @pytest.mark.container("busybox:stable", command="sh -c 'echo api is up; exec sleep 600'", network="none",
                               name="api", wait=probes.log("up"))
        def test_fails(db, container):
            say(db, "caused by the second")
            db_is = "broken"
            assert db_is == "whole"

        def test_shows_an_ended_one(dockerkit):
            ended = dockerkit.run("busybox:stable", name="job", command="sh -c 'echo done; exit 3'",
                                  wait=probes.exited(3), network="none")
            silent = dockerkit.run("busybox:stable", name="silent", command="sleep 600", network="none")
            assert ended is silent
        """
    )
    outcome.ended(passed=1, failed=2)
    shown = re.sub(r"(?m)^-+ (container .*?) -+$", r"== \1", outcome.text)
    assert "\n== container db: busybox:stable, running, healthy\ncaused by the second\n" in shown
    assert "\n== container api: busybox:stable, running\napi is up\n" in shown
    assert "== container job: busybox:stable, exited, exit code 3\ndone\n" in shown
    assert "== container silent: busybox:stable, running\n(its log says nothing since the test began)\n" in shown
    assert "caused by the first" not in shown
    assert "it begins" not in shown


def test_what_a_shared_fixture_said_before_is_not_shown(suite: Suite) -> None:
    """Nor are the containers of other tests; those of a test that passes are not shown at all."""
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import probes

        def says(name, **more):
            return pytest.mark.container("busybox:stable", command=f"sh -c 'echo {name} is up; exec sleep 600'",
                                         network="none", name=name, wait=probes.log("up"), **more)

        @says("shared", scope="module")
        def test_first(containers): pass

        @says("shared", scope="module")
        def test_second(containers): assert False

        @says("own")
        def test_third(containers): pass
        """
    )
    outcome.ended(passed=2, failed=1)
    assert "container shared: busybox:stable, running -" in outcome.text
    assert "(its log says nothing since the test began)" in outcome.text
    assert "is up\n" not in outcome.text
    assert "container own" not in outcome.text


def test_a_block_that_fails_shows_what_its_container_was(suite: Suite) -> None:
    """Though it is removed before the report is made; one whose block ended well is not shown."""
    outcome = suite.run(
        """
        from pytest_dockerkit import probes

        def test_it(dockerkit):
            up = {"wait": probes.log("up"), "network": "none"}
            with dockerkit.run("busybox:stable", name="well", command="sh -c 'echo up; exec sleep 600'", **up):
                pass
            with dockerkit.run("busybox:stable", name="box", command="sh -c 'echo up; exec sleep 600'", **up) as box:
                assert box.exec("true").exit_code == 1
        """
    ).ended(failed=1)
    assert re.search(r"-+ container box: busybox:stable, running -+\nup\n", outcome.text)
    assert "container well" not in outcome.text


ENDINGS = {
    "exited": (
        'command=["sh", "-c", "for i in $(seq 25); do echo line $i; done; exit 3"]',
        """
        container 'container' has ended before it was ready
          saw:  exit code 3
          mend: read its log below, and correct its command, env or files
          last lines of its log (container):
        """.rstrip(" ")
        + "".join(f"{' ' * 12}line {number}\n" for number in range(6, 26)),
    ),
    "ended by itself": (
        'command="true"',
        """
        container 'container' has ended before it was ready
          saw:  exit code 0
          mend: it ended by itself: wait=probes.exited(0) for a one-shot container, else give it a command that stays
          its log (container) is empty
        """,
    ),
    "a program that is missing in a shell": (
        'command="sh -c no-such-program"',
        """
        container 'container' has ended before it was ready
          saw:  exit code 127
          mend: its command was not found in the image; correct command= or entrypoint=
          last lines of its log (container):
            sh: no-such-program: not found
        """,
    ),
    "killed where the engine has not seen why": (
        'command=["sh", "-c", "kill -9 $$"], memory="8m", init=True',
        """
        container 'container' was killed, most likely for reaching its memory cap
          saw:  exit code 137 at memory=8 MiB; the engine has not seen what killed it
          mend: raise memory=, or make it use less
          its log (container) is empty
        """,
    ),
    "unhealthy": (
        (
            "command=\"sh -c 'echo begins; exec sleep 600'\", wait=None, "
            'healthcheck=HealthCheck(test="echo no table; exit 4", interval="100ms", retries=2)'
        ),
        """
        container 'container' is unhealthy
          saw:  its health check failed 2 times in a row, at last with 4: no table
          mend: read its log below; correct the service, or the healthcheck= (start_period= for a slow start)
          last lines of its log (container):
            begins
        """,
    ),
    "never ready": (
        'command="sh -c \'echo begins; exec sleep 600\'", timeout="200ms"',
        """
        container 'container' is not ready after 0.2 s
          saw:  'never' 0 times in its log, of 1
          mend: read its log below; raise timeout= if it is only slow, or wait for something else with wait=
          last lines of its log (container):
            begins
        """,
    ),
}

CLASSES = {
    "exited": "ContainerExitedError",
    "ended by itself": "ContainerExitedError",
    "a program that is missing in a shell": "ContainerExitedError",
    "killed where the engine has not seen why": "OutOfMemoryError",
    "unhealthy": "UnhealthyError",
    "never ready": "NotReadyError",
}


def source_of(ending: str) -> str:
    """Write a test whose container does not become ready; only `never ready` may wait, and not for long."""
    fields = ENDINGS[ending][0]
    wait = "" if "wait=" in fields else ', wait=probes.log("never")'
    return f"""
        import pytest
        from pytest_dockerkit import HealthCheck, probes

        @pytest.mark.container("busybox:stable", network="none", {fields}{wait})
        def test_it(container): pass
        """


FAILED_HOOK = """
    told = []

    def pytest_dockerkit_container_failed(spec, error):
        told.append(type(error).__name__)

    def pytest_terminal_summary(terminalreporter):
        terminalreporter.write_line(f"failed with {told}")
    """


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_container_that_is_not_ready_tells_why(suite: Suite, ending: str) -> None:
    """At once, with what it said last; the default timeout of a minute would not end within this suite's patience."""
    outcome = suite.run(source_of(ending), conftest=FAILED_HOOK).ended(errors=1)
    outcome.says(ENDINGS[ending][1])
    outcome.says(f"failed with ['{CLASSES[ending]}']")
    outcome.says("1 container; all removed, images kept")


def test_a_container_that_reaches_its_memory_cap_tells_so(suite: Suite) -> None:
    """Some of the kernel's kills an engine misses on cgroup v1; then it is told as what is most likely."""
    outcome = suite.run(
        """
        import pytest
        from pytest_dockerkit import probes

        @pytest.mark.container("busybox:stable", network="none", memory="8m", wait=probes.log("never"),
                               command=["sh", "-c", "echo begins; exec tail -c 100m /dev/zero"])
        def test_it(container): pass
        """,
        conftest=FAILED_HOOK,
    ).ended(errors=1)
    what, saw = (" for", "exit code 137, OOM-killed at memory=8 MiB")
    if "OOM-killed" not in outcome.text:
        what, saw = (", most likely for", "exit code 137 at memory=8 MiB; the engine has not seen what killed it")
    outcome.says(
        f"""
        container 'container' was killed{what} reaching its memory cap
          saw:  {saw}
          mend: raise memory=, or make it use less
          last lines of its log (container):
            begins
        """
    )
    outcome.says("failed with ['OutOfMemoryError']")


def test_the_end_of_a_run_tells_what_was_made(suite: Suite, request: pytest.FixtureRequest) -> None:
    """Images built and taken from the cache, containers, networks and volumes; and that all is removed."""
    client = docker.from_env()
    request.addfinalizer(client.close)
    dockerfile = f"FROM busybox:stable\nENV PLACE={suite.path}\n"
    suite.write({"one/Dockerfile": dockerfile + "ENV N=1", "two/Dockerfile": dockerfile + "ENV N=2"})
    source = """
        import pytest
        from pytest_dockerkit import image_fixture, volume_fixture

        one = image_fixture(build="one")
        data = volume_fixture()

        @pytest.mark.container(build="two", name="db", command="sleep 600")
        @pytest.mark.container(build="one", name="api", command="sleep 600")
        def test_it(containers, one, data):
            print(*[each.image.tags[0] for each in containers.values()])
        """
    first = suite.run(source, "-s").ended(passed=1)
    tags = set(re.findall(r"pytest-dockerkit:\w+", first.text))
    assert len(tags) == 2
    for each in tags:
        request.addfinalizer(partial(client.images.remove, each))
    first.says("images: 2 built, 0 from cache, 2 containers, 1 network, 1 volume; all removed, images kept")
    again = suite.run(source).ended(passed=1)
    again.says("images: 0 built, 2 from cache, 2 containers, 1 network, 1 volume; all removed, images kept")


@pytest.mark.parametrize("args", [["-q"], ["-qq"], ["--no-summary"]])
def test_the_end_is_told_though_pytest_is_quiet(suite: Suite, args: list[str]) -> None:
    outcome = suite.run(f"import pytest\n@pytest.mark.container({STAYS})\ndef test_it(container): pass\n", *args)
    assert outcome.result.ret == 0
    outcome.says("1 container; all removed, images kept")


def test_a_run_without_containers_tells_nothing(suite: Suite) -> None:
    outcome = suite.run("def test_it(dockerkit): pass").ended(passed=1)
    assert "dockerkit ==" not in outcome.text
    assert "removed" not in outcome.text


def test_xdist_workers_share_one_run(suite: Suite) -> None:
    """Errors keep their text on their way, and sections their logs; one summary is told, and nothing is left."""
    suite.write(
        {
            "test_ok.py": f"""
            import pytest
            from pytest_dockerkit import container_fixture

            db = container_fixture({STAYS}, scope="session")

            @pytest.mark.parametrize("case", [1, 2])
            def test_each(db, case): pass
            """,
            "test_sections.py": """
            import pytest
            from pytest_dockerkit import probes

            @pytest.mark.container("busybox:stable", command="sh -c 'echo up; exec sleep 600'", network="none",
                                   wait=probes.log("up"), name="box")
            def test_fails(container): assert False
            """,
            "test_body.py": """
            from pytest_dockerkit import ContainerSpec

            def test_body(): ContainerSpec(image="busybox:stable", cpus=0)
            """,
            "test_exited.py": source_of("exited"),
            "test_unhealthy.py": source_of("unhealthy"),
        }
    )
    outcome = suite.run_files("-n", "2", subprocess=True).ended(passed=2, failed=2, errors=2)
    outcome.says(ENDINGS["exited"][1]).says(ENDINGS["unhealthy"][1])
    outcome.says(
        """
        pytest_dockerkit.errors.SpecError: cpus= must be above zero
          saw:  cpus=0
          mend: cpus=0.5
        """
    )
    assert re.search(r"-+ container box: busybox:stable, running -+\nup\n", outcome.text)
    assert outcome.text.count("all removed, images kept") == 1
    runs = {each["Config"]["Labels"]["pytest.dockerkit.run"] for each in outcome.containers}
    assert len(runs) == 1


def test_wrong_markers_are_told_by_xdist_as_well(suite: Suite) -> None:
    outcome = suite.run(
        """
        import pytest

        @pytest.mark.container("busybox:stable", comand="true")
        def test_it(container): pass
        """,
        "-n",
        "2",
        subprocess=True,
    )
    outcome.says(
        """
        test_inner.py::test_it: @pytest.mark.container: comand= is no keyword here
          saw:  comand='true'
          mend: did you mean 'command'?
        """,
        times=outcome.text.count("comand= is no keyword here\n"),
    )
    assert "comand= is no keyword here" in outcome.text


def test_no_engine_is_told_by_xdist_as_well(suite: Suite) -> None:
    source = f"""
        import pytest

        @pytest.mark.container({STAYS})
        @pytest.mark.parametrize("case", [1, 2])
        def test_it(container, case): pass
        """
    nowhere = "--dockerkit-host=unix:///nonexistent/docker.sock"
    outcome = suite.run(source, "-n", "1", nowhere, subprocess=True).ended(errors=2)
    outcome.says(
        """
        no Docker engine answers at unix:///nonexistent/docker.sock
          saw:  FileNotFoundError: [Errno 2] No such file or directory
          mend: start it (`docker info` should answer), or name another: --dockerkit-host, DOCKER_HOST (given as """
        "--dockerkit-host)",
        times=2,
    )
    suite.run_files("-n", "1", nowhere, "--dockerkit-missing-engine=skip", subprocess=True).ended(skipped=2)


def test_what_was_removed_behind_our_back_is_no_failure(suite: Suite) -> None:
    """Containers, networks and volumes that are gone already; the rest is removed all the same."""
    suite.run(
        """
        import pytest
        from pytest_dockerkit import container_fixture, network_fixture, volume_fixture

        net = network_fixture()
        data = volume_fixture()
        db = container_fixture("busybox:stable", command="sleep 600", network=net, volumes={"/data": data})

        @pytest.mark.container("busybox:stable", command="sleep 600")
        def test_it(container, db, net, data, docker_client, dockerkit):
            kit = dockerkit.run("busybox:stable", command="sleep 600")
            for each in (container, db, kit):
                docker_client.containers.get(each.id).remove(force=True)
            docker_client.networks.get(net.id).remove()
            docker_client.volumes.get(data.name).remove()
        """
    ).ended(passed=1)


def test_a_failing_test_whose_container_is_gone_says_so(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        import pytest

        @pytest.mark.container({STAYS})
        def test_it(container, docker_client):
            docker_client.containers.get(container.id).remove(force=True)
            assert False
        """
    ).ended(failed=1)
    assert re.search(r"-+ container container -+\ncontainer 'container' was removed", outcome.text)
    assert "pytest_dockerkit/" not in outcome.text


def test_a_foreign_container_does_not_keep_a_network(suite: Suite) -> None:
    """It is cut off, and stays: only what the run has made is removed."""
    foreign: list[str] = []
    client = docker.from_env()
    try:
        suite.write({"foreign": ""})
        suite.run(
            """
            from pathlib import Path
            from pytest_dockerkit import network_fixture

            net = network_fixture()

            def test_it(net, docker_client):
                made = docker_client.containers.run("busybox:stable", "sleep 600", network=net.name, detach=True)
                Path("foreign").write_text(made.id)
            """
        ).ended(passed=1)
        foreign.append((suite.path / "foreign").read_text())
        assert client.containers.get(foreign[0]).status == "running"
    finally:
        for each in foreign:
            client.containers.get(each).remove(force=True)
        client.close()


def test_teardown_goes_on_after_a_removal_failed(suite: Suite) -> None:
    """What could not be removed is told, all the rest is gone, and what was left can be found by its label."""
    client = docker.from_env()
    try:
        outcome = suite.run(
            """
            from pathlib import Path
            from pytest_dockerkit import container_fixture, network_fixture, volume_fixture

            first = network_fixture(scope="session")
            data = volume_fixture(scope="session")
            db = container_fixture("busybox:stable", command="sleep 600", scope="session", network=first,
                                   volumes={"/data": data})
            last = network_fixture(scope="session")

            def test_it(db, last, data, docker_client):
                # A volume that is in use cannot be removed.
                made = docker_client.containers.create("busybox:stable", volumes=[f"{data.name}:/data"])
                Path("foreign").write_text(made.id)
                Path("kept").write_text(data.name)
                Path("run").write_text(db.labels["pytest.dockerkit.run"])
            """,
            expect_clean=False,
        )
        run, kept = ((suite.path / name).read_text() for name in ("run", "kept"))
        assert leftovers(run) == [kept]
        assert outcome.result.ret != 0
        assert "something could not be removed" in outcome.text
        assert f"volume {kept}: the engine could not remove the volume {kept}" in outcome.text
        assert (
            "mend: the next run tries again, or `dockerkit prune`; by hand: docker rm -f, docker network rm, …"
            in outcome.text
        )
        assert "pytest_dockerkit/" not in outcome.text
        assert "container db" not in outcome.text
        assert len(list(suite.path.glob(f"state/pytest-dockerkit/runs/{run}"))) == 1
    finally:
        if (suite.path / "foreign").exists():
            client.containers.get((suite.path / "foreign").read_text()).remove(force=True)
        client.close()
    # The run's watcher goes on.
    until_ready(lambda: Look(not leftovers(run)), timeout_s=60)
    assert leftovers(run) == []


@pytest.mark.parametrize("args", [["-x"], ["--maxfail=2"]])
def test_stopping_early_leaves_nothing(suite: Suite, args: list[str]) -> None:
    outcome = suite.run(
        f"""
        import pytest
        from pytest_dockerkit import container_fixture

        db = container_fixture({STAYS}, scope="session")

        @pytest.mark.container({STAYS})
        @pytest.mark.parametrize("case", [1, 2, 3])
        def test_it(db, container, case): assert False
        """,
        *args,
    )
    stopped_after = {"-x": 1}.get(args[0], 2)
    outcome.ended(failed=stopped_after)
    outcome.says(f"{stopped_after + 1} containers; all removed, images kept")


#: What a shell starts in the background ignores SIGINT, and passes that on to what it starts itself.
HEEDS_CTRL_C = """
    import signal

    signal.signal(signal.SIGINT, signal.default_int_handler)
"""


@pytest.mark.parametrize("where", ["test", "wait"])
def test_ctrl_c_leaves_nothing(suite: Suite, where: str) -> None:
    """In a test, and while a container is waited for."""
    outcome = suite.run(
        f"""
        import os, signal
        import pytest
        from pytest_dockerkit import container_fixture

        class Interrupts:
            def look(self, container):
                os.kill(os.getpid(), signal.SIGINT)
                return False

        db = container_fixture({STAYS}, scope="session")
        waited = container_fixture({STAYS}, wait=Interrupts())

        @pytest.mark.container("busybox:stable", command="sleep 600")
        def test_in_test(db, container, dockerkit):
            dockerkit.run({STAYS})
            os.kill(os.getpid(), signal.SIGINT)

        def test_in_wait(db, waited): pass
        """,
        "-k",
        f"in_{where}",
        conftest=HEEDS_CTRL_C,
        subprocess=True,
    )
    assert outcome.result.ret == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in outcome.text
    assert "all removed, images kept" in outcome.text


def test_ctrl_c_under_xdist_leaves_nothing(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        import os, signal
        import pytest
        from pytest_dockerkit import container_fixture

        db = container_fixture({STAYS}, scope="session")

        @pytest.mark.parametrize("case", range(4))
        def test_it(db, case):
            if case == 3:
                os.kill(os.getppid(), signal.SIGINT)
        """,
        "-n",
        "2",
        conftest=HEEDS_CTRL_C,
        subprocess=True,
    )
    assert outcome.result.ret == pytest.ExitCode.INTERRUPTED
