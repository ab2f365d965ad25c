"""Runs that are killed, at any moment and in any way: nothing is left of them."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._poll import Look, pause, until_ready
from tests.faults.conftest import PATIENCE_S
from tests.plugin.conftest import leftovers

if TYPE_CHECKING:
    from pytest_dockerkit import Kit
    from tests.faults.conftest import Doomed
    from tests.plugin.conftest import Suite

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at processes as Linux shows them")

#: How many runs are killed at random moments; `make soak` has more.
KILLS = int(os.environ.get("DOCKERKIT_KILLS", "4"))

STAYS = '"busybox:stable", command=["sleep", "1000"]'

#: Longer than any of its runs is let live: what lives as long as the session, what is made ahead and removed behind.
LONG = f"""
    import pytest
    from pytest_dockerkit import container_fixture, network_fixture, volume_fixture

    data = volume_fixture(scope="session")
    net = network_fixture(scope="session")
    box = container_fixture({STAYS}, scope="session", network=net, volumes={{"/data": data}})
    other = container_fixture({STAYS}, scope="module", read_only=True, files={{"/etc/greeting": "hello"}})

    @pytest.mark.container({STAYS})
    @pytest.mark.parametrize("number", range(500))
    def test_it(box, other, container, dockerkit, number):
        pass
"""

#: Waits in its test.
WAITS = f"""
    import pytest
    from conftest import mark, stay
    from pytest_dockerkit import container_fixture

    box = container_fixture({STAYS}, scope="session")

    @pytest.fixture
    def torn_down(box):
        yield
        mark("torn-down")

    def test_it(box, torn_down):
        mark("waiting")
        stay()
"""


def test_killed_at_random_moments_nothing_is_left(doomed: Doomed) -> None:
    """Of pytest alone, of all of its processes, of the controller alone: whatever the engine was doing."""
    seed = int(os.environ.get("DOCKERKIT_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    chance = random.Random(seed)
    for number in range(KILLS):
        args = chance.choice([(), (), ("-n2",)])
        group, late, wait_s = chance.random() < 0.5, chance.random() < 0.8, chance.uniform(0, 1.5)
        # Shown where it fails; the same seed gives the same moments.
        print(f"DOCKERKIT_SEED={seed} kill {number}: {args} {group=} {late=} {wait_s:.3f} s")  # noqa: T201
        doomed.start(LONG, *args)
        if late:
            doomed.await_ledger()
        pause(wait_s)
        doomed.kill(group=group)
        doomed.nothing_is_left()
        doomed.end()
    doomed.nothing_comes_back()


def test_the_process_group_a_worker_and_the_controller(doomed: Doomed) -> None:
    """The worker first: what the controller would have removed of it, it cannot any more."""
    doomed.start(LONG, "-n2")
    doomed.await_file(f"state/pytest-dockerkit/runs/{doomed.run_id}/gw1.jsonl")
    worker, *_ = doomed.workers()
    os.kill(worker, signal.SIGKILL)
    doomed.kill()
    doomed.nothing_is_left()
    doomed.end()


@pytest.mark.parametrize(("number", "args"), [(signal.SIGTERM, ()), (signal.SIGHUP, ("-n1",))])
def test_signals_end_a_run_as_ctrl_c_does(number: signal.Signals, args: tuple[str, ...], doomed: Doomed) -> None:
    """Fixtures are torn down, what was made is removed and told; with xdist the controller is asked to end."""
    doomed.start(WAITS, *args)
    doomed.await_file("waiting.mark")
    doomed.kill(number, group=bool(args))
    said = doomed.end()
    assert doomed.process.returncode == 128 + number, said
    assert (doomed.path / "torn-down.mark").exists()
    assert "1 container, 1 network; all removed, images kept" in said
    if not args:
        assert f"KeyboardInterrupt: {number.name}" in said
    assert leftovers(doomed.run_id) == []
    doomed.nothing_comes_back()


def test_what_nohup_ignores_stays_ignored_and_handlers_of_others_stay(doomed: Doomed) -> None:
    doomed.start(
        f"""
        import os, signal
        from pytest_dockerkit import container_fixture

        heard = []
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: heard.append("SIGTERM"))
        box = container_fixture({STAYS}, scope="session")

        def test_it(box):
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            assert heard == ["SIGTERM"]
        """
    )
    assert "1 passed" in doomed.end()
    doomed.nothing_comes_back()


def test_another_ctrl_c_is_quick_and_clean(doomed: Doomed) -> None:
    """It ends the teardown of a fixture that does not; what is left goes without being waited for."""
    doomed.start(
        f"""
        import pytest
        from conftest import mark, stay
        from pytest_dockerkit import container_fixture

        box = container_fixture({STAYS}, scope="session")

        @pytest.fixture(scope="session")
        def stuck(box):
            yield
            mark("stuck")
            stay()

        def test_it(stuck):
            mark("waiting")
            stay()
        """
    )
    doomed.await_file("waiting.mark")
    doomed.kill(signal.SIGINT)
    doomed.await_file("stuck.mark")
    doomed.kill(signal.SIGINT)
    doomed.end()
    doomed.nothing_is_left()
    doomed.nothing_comes_back()


@pytest.mark.parametrize("args", [(), ("-n1",)])
def test_a_test_that_ends_the_process_leaves_nothing(args: tuple[str, ...], doomed: Doomed) -> None:
    doomed.start(
        f"""
        import os
        from pytest_dockerkit import container_fixture

        box = container_fixture({STAYS}, scope="session")

        def test_it(box):
            os._exit(0)
        """,
        *args,
    )
    doomed.end()
    doomed.nothing_is_left()
    doomed.nothing_comes_back()


def test_a_child_of_a_fork_that_lives_on_keeps_nothing(doomed: Doomed) -> None:
    """It has no hand on the run's lock; and signals end it as they end any process."""
    doomed.start(
        f"""
        import os, signal
        from conftest import mark, stay
        from pytest_dockerkit import container_fixture

        box = container_fixture({STAYS}, scope="session")

        def test_it(box):
            ended = os.fork()
            if not ended:
                stay()
            os.kill(ended, signal.SIGTERM)
            assert os.waitstatus_to_exitcode(os.waitpid(ended, 0)[1]) == -signal.SIGTERM
            child = os.fork()
            if not child:
                stay()
            with open("child", "w") as file:
                file.write(str(child))
            mark("waiting")
            stay()
        """
    )
    doomed.await_file("waiting.mark")
    child = int((doomed.path / "child").read_text(encoding="ascii"))
    doomed.kill()
    doomed.nothing_is_left()
    os.kill(child, signal.SIGKILL)
    doomed.end()
    doomed.nothing_comes_back()


def test_an_engine_that_is_down_for_a_while_is_waited_for(doomed: Doomed, dockerkit: Kit, tmp_path: Path) -> None:
    """As the watcher finds it: nobody listens where the engine did."""
    host = dockerkit.engine.host
    if not host.startswith("unix:///"):
        pytest.skip("the engine has no local socket")
    way = Path(f"/tmp/{os.urandom(6).hex()}.sock")
    way.symlink_to(host.removeprefix("unix://"))
    try:
        doomed.start(WAITS, f"--dockerkit-host=unix://{way}")
        doomed.await_file("waiting.mark")
        way.unlink()
        doomed.kill()
        doomed.end()
        doomed.await_file(f"state/pytest-dockerkit/runs/{doomed.run_id}/undoing.log")
        assert until_ready(lambda: Look(doomed.log() != ""), timeout_s=PATIENCE_S).ready
        assert len(leftovers(doomed.run_id)) == 2
    finally:
        way.symlink_to(host.removeprefix("unix://"))
        try:
            doomed.nothing_is_left()
            doomed.nothing_comes_back()
        finally:
            way.unlink()


def test_what_is_kept_for_the_next_run_stays(suite: Suite, doomed: Doomed) -> None:
    """A run is killed, and the next one takes what it has kept."""
    reuse = ("--dockerkit-reuse",)
    box = f"""
        from pytest_dockerkit import container_fixture

        box = container_fixture({STAYS}, scope="session")

        def test_it(box):
            pass
    """
    suite.run(box, *reuse, expect_clean=False).ended(passed=1)
    doomed.start(f"{box}\n            __import__('os')._exit(9)\n", *reuse)
    doomed.end()
    doomed.nothing_is_left()
    doomed.nothing_comes_back()
    try:
        outcome = suite.run(box, *reuse, expect_clean=False).ended(passed=1)
        assert "1 container reused" in outcome.text
    finally:
        suite.run(box, *reuse, "--dockerkit-reuse-lifetime=0s", expect_clean=False)


@pytest.mark.parametrize(
    ("end", "alone"),
    [("pytest.exit('enough')", True), ("raise KeyboardInterrupt", True), ("pytest.fail()", False), ("pass", False)],
)
def test_orderly_ends_leave_nothing(end: str, alone: bool, suite: Suite) -> None:
    """`pytest.exit`, Ctrl-C, -x, and an internal error of another plugin."""
    outcome = suite.run(
        f"""
        import pytest
        from pytest_dockerkit import container_fixture

        box = container_fixture({STAYS}, scope="session")

        @pytest.mark.container({STAYS})
        @pytest.mark.parametrize("number", range(5))
        def test_it(box, container, number):
            {end}
        """,
        "-x",
        conftest="""
        def pytest_runtest_logreport(report):
            if report.when == "call" and report.passed:
                raise RuntimeError("broken")
        """,
        subprocess=alone,
    )
    # After an internal error pytest shows no summary.
    assert ("INTERNALERROR" if end == "pass" else "all removed, images kept") in outcome.text
