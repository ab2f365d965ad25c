"""Logs that are read as they come: nothing is missed, nothing counts twice, and nothing is left behind."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import Look, probes
from pytest_dockerkit._poll import until_ready
from pytest_dockerkit._runtime.log_watch import LogWatch
from pytest_dockerkit.errors import ContainerExitedError, ContainerRemovedError, EngineError, NotReadyError

if TYPE_CHECKING:
    from pytest_dockerkit import Kit, RunningContainer
    from pytest_dockerkit._engine.daemon import Daemon

IMAGE = "busybox:stable"
#: Says what is written to its pipe, and ends when that is closed.
REPEATS = ["sh", "-c", "mkfifo /tmp/pipe; echo begun; exec cat /tmp/pipe"]


def readers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "pytest-dockerkit reads a log"]


def watch(daemon: Daemon, container: RunningContainer, pattern: str, times: int, rung: threading.Event) -> LogWatch:
    return LogWatch(daemon.containers, container.id, pattern, times, since_s=None, ring=rung.set)


def say(container: RunningContainer, what: str | bytes) -> None:
    container.exec(["sh", "-c", "cat > /proc/1/fd/1"], stdin=what, check=True)


def test_what_is_said_is_known_without_a_question(dockerkit: Kit, daemon: Daemon) -> None:
    rung = threading.Event()
    with dockerkit.run(IMAGE, command=["sleep", "1000"]) as container:
        say(container, "one\n")
        log = watch(daemon, container, "^(one|two|dr€i)$", 3, rung)
        with contextlib.closing(log):
            assert until_ready(lambda: Look(log.look(runs=True) == 1), timeout_s=30).ready
            assert len(readers()) == 1
            say(container, "two\n")
            say(container, "dr€i\n")
            assert rung.wait(30)
            assert log.satisfied
            assert log.look(runs=True) == 3
            # It has heard enough.
            assert until_ready(lambda: Look(not readers()), timeout_s=30).ready


@pytest.mark.parametrize("begun", [False, True])
def test_it_ends_in_the_midst_of_reading(dockerkit: Kit, daemon: Daemon, begun: bool) -> None:
    with dockerkit.run(IMAGE, command=["sleep", "1000"]) as container:
        log = watch(daemon, container, "one", 2, threading.Event())
        assert log.look(runs=True) == 0
        if begun:
            say(container, "one\n")
            # Only the reader can have heard it, and it waits for more now.
            assert until_ready(lambda: Look(log.look(runs=True) == 1), timeout_s=30).ready
        log.close()
        assert readers() == []


def test_the_last_lines_count_and_none_counts_twice(dockerkit: Kit, daemon: Daemon) -> None:
    """The engine may hang up before it has passed them on."""
    for _ in range(3):
        with dockerkit.run(IMAGE, command=REPEATS, wait=probes.log("begun")) as container:
            rung = threading.Event()
            log = watch(daemon, container, "line|^end", 1000, rung)
            with contextlib.closing(log):
                assert log.look(runs=True) == 0
                lines = "".join(f"line {number}\n" for number in range(200))
                container.exec(["sh", "-c", "cat > /tmp/pipe"], stdin=f"{lines}end", check=True)
                assert rung.wait(30)
                container.wait_exit()
                for _ in range(3):
                    assert log.look(runs=False) == 201
                    assert readers() == []


def test_a_log_that_cannot_be_read_is_told(dockerkit: Kit, daemon: Daemon) -> None:
    with dockerkit.run(IMAGE, command=["sleep", "1000"]) as container:
        pass
    with pytest.raises(ContainerRemovedError):
        watch(daemon, container, "x", 1, threading.Event()).look(runs=True)
    with pytest.raises(EngineError) as caught:
        dockerkit.run(
            IMAGE,
            command=["sleep", "1000"],
            docker_options={"LogConfig": {"Type": "none"}},
            wait=probes.log("x"),
            timeout="1h",
        )
    assert caught.value.saw == "configured logging driver does not support reading"


# As probes


def test_several_patterns_are_awaited_together(dockerkit: Kit) -> None:
    script = "echo a; sleep 0.2; echo b >&2; sleep 0.2; printf 'c\\n  d\\n'; exec sleep 1000"
    several = probes.all_of(
        probes.log("^b$"),
        probes.log("^[a-d]$", times=3),
        probes.log(r"^c\n  d$"),
        probes.any_of(probes.log("never"), probes.log("^a")),
    )
    with dockerkit.run(IMAGE, command=["sh", "-c", script], wait=several) as container:
        assert readers() == []
        container.wait(several, timeout=0)


def test_the_log_of_the_run_before_does_not_count(dockerkit: Kit) -> None:
    with dockerkit.run(IMAGE, command=["sh", "-c", "echo up; exec sleep 1000"], wait=probes.log("up")) as container:
        container.restart(timeout=0)
        container.wait(probes.log("up"), timeout=0)
        with pytest.raises(NotReadyError) as caught:
            container.wait(probes.log("up", times=2), timeout=0.2)
        assert caught.value.saw == "'up' 1 times in its log, of 2"
        assert readers() == []


def test_one_that_docker_starts_again_is_read_on(dockerkit: Kit) -> None:
    script = "test -e /second && echo second && exec sleep 1000; touch /second; echo first; sleep 0.3; exit 1"
    with dockerkit.run(
        IMAGE,
        command=["sh", "-c", script],
        wait=probes.all_of(probes.log("first"), probes.log("second")),
        docker_options={"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1}},
    ) as container:
        assert container.logs() == "first\nsecond\n"


def test_one_that_prints_without_end_is_read_to_where_it_says_so(dockerkit: Kit) -> None:
    script = "yes 'a line among many' | head -n 20000; echo here; exec yes 'and more'"
    with dockerkit.run(IMAGE, command=["sh", "-c", script], cpus=0.2, wait=probes.log("^here$")) as container:
        assert container.status == "running"
        assert readers() == []


def test_a_wait_that_ends_otherwise_leaves_no_reader(dockerkit: Kit) -> None:
    class Interrupted(Exception):  # noqa: N818  - it stands for Ctrl-C
        pass

    class Interrupts:
        looks = 0

        def look(self, container: RunningContainer) -> bool:  # noqa: ARG002  - what a probe is given
            self.looks += 1
            if self.looks == 3:
                raise Interrupted
            return False

    with dockerkit.run(IMAGE, command=["sleep", "1000"]) as container:
        with pytest.raises(Interrupted):
            container.wait(probes.all_of(probes.log("never"), Interrupts()))
        assert readers() == []
        with pytest.raises(NotReadyError):
            container.wait(probes.log("never"), timeout=0.1)
        assert readers() == []
        # Outside of a wait it is looked through once.
        assert probes.log("never").look(container) == Look(False, "'never' 0 times in its log, of 1")
    with pytest.raises(ContainerExitedError):
        dockerkit.run(IMAGE, command=["sh", "-c", "sleep 0.3; exit 3"], wait=probes.log("never"), timeout="1h")
    assert readers() == []


def test_the_last_words_of_a_one_shot_container_count(dockerkit: Kit) -> None:
    script = "sleep 0.2; echo last words; printf 'of all'"
    both = probes.all_of(probes.log("last words"), probes.log("of all$"), probes.exited(0))
    with dockerkit.run(IMAGE, command=["sh", "-c", script], wait=both) as container:
        assert container.status == "exited"
        with pytest.raises(NotReadyError) as caught:
            container.wait(probes.all_of(probes.exited(), probes.log("never")), timeout=0.2)
        assert caught.value.saw == "'never' 0 times in its log, of 1"
