"""`--dockerkit-teardown=handover`: pytest returns at once, and all is gone in the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime import watcher
from tests.plugin.conftest import leftovers
from tests.plugin.engine_relay import EngineRelay, relayed

if TYPE_CHECKING:
    from pytest_dockerkit import Kit
    from tests.plugin.conftest import Suite

HANDOVER = "--dockerkit-teardown=handover"
STAYS = '"busybox:stable", command=["sleep", "1000"]'
#: One container and one network for the whole run.
ONE = f"""
    from pytest_dockerkit import container_fixture

    box = container_fixture({STAYS}, scope="session")

    def test_it(box):
        assert box.status == "running"
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at processes as Linux shows them")


@pytest.fixture
def relay(dockerkit: Kit) -> Iterator[EngineRelay]:
    """What stands before the engine, and may hold removals back."""
    with relayed(socket_of(dockerkit)) as made:
        yield made


def socket_of(dockerkit: Kit) -> str:
    if not dockerkit.engine.host.startswith("unix://"):
        pytest.skip("the engine has no local socket")
    return dockerkit.engine.host.removeprefix("unix://")


def runs(suite: Suite) -> list[str]:
    """Give the ids of the runs that the suite has seen."""
    notes = [
        json.loads(line)
        for path in suite.path.glob("recorded-*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return list({value for what, value in notes if what == "run" and value})


def states(suite: Suite) -> list[Path]:
    return list(suite.path.glob("state/pytest-dockerkit/runs/*"))


def undoers(suite: Suite) -> list[int]:
    """Give the processes that undo runs of a suite."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"watching.py" in command and bytes(suite.path) in command:
            found.append(int(entry.name))
    return found


def ends(suite: Suite) -> None:
    """See that of the runs nothing is left in the end: on the engine, on the disk, among the processes."""
    left: list[object] = []

    def look() -> Look:
        left[:] = [*states(suite), *undoers(suite), *(each for run in runs(suite) for each in leftovers(run))]
        return Look(not left)

    assert runs(suite)
    until_ready(look, timeout_s=90, longest_s=0.2)
    logs = [each.read_text(encoding="utf-8") for each in suite.path.glob("state/pytest-dockerkit/runs/*/*.log")]
    assert (left, logs) == ([], [])


def watchers_end(suite: Suite) -> None:
    """See that no process of the plugin's lingers."""
    assert until_ready(lambda: Look(not undoers(suite)), timeout_s=30).ready


def pytest_command(suite: Suite, *args: str) -> list[str]:
    """Give the command of an inner run, for a process that a test watches itself."""
    options = ["-p", "no:randomly", "-p", "no:cacheprovider", "-p", "dockerkit_recorder", "-W", "error"]
    return [sys.executable, "-m", "pytest", *options, HANDOVER, *args]


def test_all_is_gone_in_the_end(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        from pytest_dockerkit import container_fixture, volume_fixture

        data = volume_fixture(scope="session")
        first = container_fixture({STAYS}, scope="session", read_only=True, files={{"/etc/greeting": "hello"}})
        second = container_fixture({STAYS}, scope="module", volumes={{"/data": "data"}})

        def test_it(first, second, data):
            assert first.exec(["cat", "/etc/greeting"]).stdout == "hello"
        """,
        HANDOVER,
        expect_clean=False,
    )
    outcome.ended(passed=1).says("2 containers, 2 networks, 2 volumes; being removed in the background, images kept")
    ends(suite)


def test_where_nothing_is_left_there_is_nothing_to_hand_over(suite: Suite) -> None:
    """What was removed by the tests themselves was; no process lingers."""
    outcome = suite.run(
        """
        from pytest_dockerkit import ContainerSpec

        def test_it(dockerkit):
            with dockerkit.run(ContainerSpec(image="busybox:stable", command=["sleep", "1000"], network="none")):
                pass
        """,
        HANDOVER,
    )
    outcome.ended(passed=1).says("1 container; all removed, images kept")
    watchers_end(suite)


def test_a_run_without_containers_starts_no_process(suite: Suite) -> None:
    outcome = suite.run("def test_it(): pass", HANDOVER).ended(passed=1)
    assert "dockerkit ==" not in outcome.text
    assert undoers(suite) == []


@pytest.mark.parametrize("source", ["ini", "environment"])
def test_it_is_chosen_as_every_option_is(source: str, suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    if source == "ini":
        suite.write({"pytest.ini": "[pytest]\ndockerkit_teardown = handover\n"})
    else:
        monkeypatch.setenv("DOCKERKIT_TEARDOWN", "handover")
    suite.run(ONE, expect_clean=False).says(
        "1 container, 1 network; being removed in the background, images kept"
    ).ended(passed=1)
    ends(suite)


def test_the_first_failure_and_ctrl_c_hand_over_too(suite: Suite) -> None:
    source = f"""
        import pytest
        from pytest_dockerkit import container_fixture

        box = container_fixture({STAYS}, scope="session")

        def test_it(box):
            raise KeyboardInterrupt if __file__.endswith("test_ctrl_c.py") else AssertionError

        def test_never(box):
            raise AssertionError
    """
    for name, args in (("test_ctrl_c.py", ()), ("test_first.py", ("-x",))):
        suite.write({name: source})
        outcome = suite.run_files(HANDOVER, name, *args, expect_clean=False, subprocess=True)
        assert "1 container, 1 network; being removed in the background, images kept" in outcome.text
        assert outcome.result.ret == (pytest.ExitCode.TESTS_FAILED if args else pytest.ExitCode.INTERRUPTED)
        ends(suite)


def test_ctrl_c_while_the_fixtures_end_hands_over_too(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        import pytest
        from pytest_dockerkit import container_fixture

        box = container_fixture({STAYS}, scope="session")

        @pytest.fixture(scope="session")
        def slow(box):
            yield
            raise KeyboardInterrupt

        def test_it(slow):
            pass
        """,
        HANDOVER,
        expect_clean=False,
        subprocess=True,
    )
    assert "1 container, 1 network; being removed in the background, images kept" in outcome.text
    ends(suite)


def test_what_is_made_ahead_when_the_run_ends_is_gone_too(suite: Suite) -> None:
    source = f"""
        import pytest

        @pytest.mark.container({STAYS})
        @pytest.mark.parametrize("number", range(6))
        def test_it(container, number):
            assert number != 1
    """
    for args in (("-x",), ("-x", "-n2")):
        outcome = suite.run(source, HANDOVER, *args, expect_clean=False, subprocess=True)
        assert "; being removed in the background, images kept" in outcome.text
        assert outcome.result.ret == (pytest.ExitCode.TESTS_FAILED if len(args) == 1 else pytest.ExitCode.INTERRUPTED)
        ends(suite)


def test_workers_leave_theirs_to_the_controller(suite: Suite) -> None:
    outcome = suite.run(
        f"""
        import pytest
        from pytest_dockerkit import container_fixture

        box = container_fixture({STAYS}, scope="session")
        mine = container_fixture({STAYS}, scope="module", network="none")

        @pytest.mark.parametrize("number", range(4))
        def test_it(box, mine, number):
            pass
        """,
        HANDOVER,
        "-n2",
        expect_clean=False,
        subprocess=True,
    )
    outcome.ended(passed=4)
    assert "; being removed in the background, images kept" in outcome.text
    ends(suite)


def test_pytest_waits_for_nothing_and_leaves_nothing_of_its_own_behind(
    suite: Suite, relay: EngineRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No removal comes through while the run lasts: neither those behind the tests, nor those at the end."""
    relay.open.clear()
    monkeypatch.setenv("TOKEN_OF_THE_RUN", "hunter2")
    behind = f"""
        import pytest

        @pytest.mark.container({STAYS}, network="none")
        @pytest.mark.parametrize("number", range(2))
        def test_behind(container, number):
            pass
    """
    suite.write({"test_behind.py": behind, "test_one.py": ONE})
    outcome = suite.run_files(HANDOVER, f"--dockerkit-host={relay.address}", expect_clean=False, subprocess=True)
    outcome.ended(passed=3)
    assert "3 containers, 1 network; being removed in the background, images kept" in outcome.text
    (pid,) = undoers(suite)
    process = Path("/proc") / str(pid)
    assert os.getsid(pid) != os.getsid(0)
    assert (process / "cwd").readlink() == Path("/")
    (state,) = states(suite)
    streams = {name: (process / "fd" / name).readlink() for name in ("0", "1", "2")}
    assert streams == {"0": Path("/dev/null"), "1": Path("/dev/null"), "2": state / "undoing.log"}
    others = {str(each.readlink()) for each in (process / "fd").iterdir() if each.name not in streams}
    others.remove(str(state / "watcher.alive.lock"))
    assert all(each.startswith("socket:") for each in others), others
    environment = (process / "environ").read_bytes()
    assert b"hunter2" not in environment
    assert b"PATH=" in environment
    relay.open.set()
    ends(suite)


def test_another_run_is_not_disturbed(suite: Suite, relay: EngineRelay) -> None:
    relay.open.clear()
    suite.run(ONE, HANDOVER, f"--dockerkit-host={relay.address}", expect_clean=False).ended(passed=1)
    (first,) = runs(suite)
    (mine,) = states(suite)
    suite.run(ONE, expect_clean=False).ended(passed=1).says("1 container, 1 network; all removed, images kept")
    assert states(suite) == [mine]
    assert len(leftovers(first)) == 2
    relay.open.set()
    ends(suite)
    assert leftovers(first) == []


def test_it_outlives_the_process_group(suite: Suite, relay: EngineRelay) -> None:
    relay.open.clear()
    suite.write({"test_inner.py": ONE, "dockerkit_recorder.py": ""})
    command = pytest_command(suite, "-q", f"--dockerkit-host={relay.address}")
    script = ["sh", "-c", '"$@"; kill -KILL 0', "sh", *command]
    ended = subprocess.run(
        script, cwd=suite.path, start_new_session=True, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == -9, ended.stdout
    assert "1 passed" in ended.stdout
    assert len(undoers(suite)) == 1
    (state,) = states(suite)
    relay.open.set()
    (suite.path / "recorded-1.jsonl").write_text(json.dumps(["run", state.name]), encoding="utf-8")
    ends(suite)


@pytest.mark.parametrize("refusals", [1, 3])
def test_what_the_engine_refuses_at_first_is_tried_again(refusals: int, suite: Suite, relay: EngineRelay) -> None:
    relay.refusals = refusals
    outcome = suite.run(ONE, HANDOVER, f"--dockerkit-host={relay.address}", expect_clean=False)
    outcome.ended(passed=1)
    assert outcome.result.ret == pytest.ExitCode.OK
    ends(suite)
    assert len(relay.removals) > refusals


def test_an_engine_that_docker_py_reaches_is_found_by_the_other_process_too(
    suite: Suite, dockerkit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with relayed(socket_of(dockerkit), tcp=True) as relay:
        monkeypatch.setenv("DOCKER_HOST", relay.address)
        suite.run(ONE, HANDOVER, expect_clean=False).ended(passed=1)
        ends(suite)
        assert relay.removals
        relay.removals.clear()
        monkeypatch.delenv("DOCKER_HOST")
        suite.run(ONE, HANDOVER, f"--dockerkit-host={relay.address}", expect_clean=False).ended(passed=1)
        ends(suite)
        assert relay.removals


def test_no_process_is_left_to_be_waited_for(suite: Suite) -> None:
    def children() -> set[str]:
        return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split())

    before = children()
    suite.run(ONE, HANDOVER, expect_clean=False).ended(passed=1)
    assert children() <= before
    ends(suite)


@pytest.mark.parametrize(
    ("executable", "reason"),
    [
        (None, "there is no Python to start a process with"),
        ("", "there is no Python to start a process with"),
        ("/no/such/python", "no process can be started: [Errno 2] No such file or directory: '/no/such/python'"),
    ],
)
def test_where_no_process_can_be_started_pytest_waits(
    executable: str | None, reason: str, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    suite.run(ONE, HANDOVER).ended(passed=1).says(
        f"""
        1 container, 1 network; all removed, images kept
        pytest has waited for the removals, and not handed them over: {reason}
        """
    )


def test_what_is_no_python_is_found_out(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    outcome = suite.run(ONE, HANDOVER).ended(passed=1)
    assert "pytest has waited for the removals, and not handed them over: its process has ended" in outcome.text


def test_what_never_answers_is_ended(suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "watching python"
    program.write_text("#!/bin/sh\nexec sleep 1000\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(watcher, "ANSWER_TIMEOUT_S", 0.1)
    suite.run(ONE, HANDOVER).ended(passed=1).says(
        """
        1 container, 1 network; all removed, images kept
        pytest has waited for the removals, and not handed them over: its process does not answer
        """
    )


def test_a_test_that_is_run_once_more_finds_nothing_of_the_time_before(suite: Suite) -> None:
    conftest = """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            for _ in range(2):
                runtestprotocol(item, nextitem=nextitem)
            return True
    """
    outcome = suite.run(
        f"""
        from pytest_dockerkit import container_fixture

        before = []
        box = container_fixture({STAYS}, scope="session")

        def test_it(box, docker_client):
            found = [each.id for each in docker_client.containers.list(all=True, sparse=True)]
            assert box.id in found
            assert not set(before) & set(found)
            before.append(box.id)
        """,
        HANDOVER,
        conftest=conftest,
        expect_clean=False,
    )
    outcome.ended(passed=2)
    ends(suite)
