"""Being alive: locks that the system frees, whatever becomes of who holds them."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime import alive
from pytest_dockerkit._runtime.alive import Alive, is_alive, is_owner_gone, others_alive
from pytest_dockerkit._runtime.watching import wait_until_free

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

#: Holds the lock of a run until its standard input ends.
HOLDER = """
import sys
from pathlib import Path
from pytest_dockerkit._runtime.alive import Alive

held = Alive(lambda: Path(sys.argv[1]), *sys.argv[2:])
held.hold()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a run, which nobody has begun."""
    directory = tmp_path / "run of mine"
    directory.mkdir()
    return directory


def holder(run: Path, *process: str) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run), *process], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "held\n"
    return started


def ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_run_lives_as_long_as_its_owner(run: Path) -> None:
    owner = Alive(lambda: run)
    assert owner.is_owner
    assert (owner.is_held, is_alive(run), is_owner_gone(run)) == (False, False, False)
    owner.hold()
    owner.hold()
    assert (owner.is_held, is_alive(run), is_owner_gone(run)) == (True, True, False)
    owner.release()
    owner.release()
    assert (owner.is_held, is_alive(run), is_owner_gone(run)) == (False, False, True)
    # Whoever looks must not take the file away from whoever waits.
    assert (run / alive.OWNER).exists()


@pytest.mark.parametrize("process", [(), ("gw0",)])
def test_a_run_lives_no_longer_than_a_process_that_is_killed(run: Path, process: tuple[str, ...]) -> None:
    started = holder(run, *process)
    assert is_alive(run)
    assert [each.name for each in others_alive(run)] == [f"{each}.alive.lock" for each in process]
    # Nobody owns it, or its owner lives.
    assert not is_owner_gone(run)
    ended(started)
    assert not is_alive(run)
    assert others_alive(run) == []


def test_who_waits_is_woken(run: Path) -> None:
    started = holder(run)
    woken: list[bool] = []
    waiting = threading.Thread(target=lambda: woken.append(wait_until_free(str(run / alive.OWNER))))
    waiting.start()
    ended(started)
    waiting.join(60)
    assert woken == [True]


def test_a_watcher_keeps_a_run_alive_that_it_undoes(run: Path) -> None:
    """Nobody else need undo it."""
    held = alive.lock(run / alive.WATCHER)
    assert is_alive(run)
    assert others_alive(run) == []
    alive.let_go(held)
    assert not is_alive(run)


def test_of_what_nobody_has_begun_nobody_is_gone(run: Path) -> None:
    assert not is_owner_gone(run)
    assert not wait_until_free(str(run / alive.OWNER))
    assert not is_alive(run / "nowhere")


def test_who_owns_it_first_does(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alive, "_LOOKS_S", 0.01)
    first, second = Alive(lambda: run), Alive(lambda: run)
    first.hold()
    second.hold()
    assert (first.is_held, second.is_held) == (True, False)
    second.release()
    assert first.is_held
    assert is_alive(run)
    first.release()


def test_two_that_look_are_no_owners(run: Path) -> None:
    (run / alive.OWNER).touch()
    with (run / alive.OWNER).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert not is_alive(run)


@needs_fork
def test_a_child_of_a_fork_keeps_no_lock(run: Path) -> None:
    """It lives on when its parent is gone."""
    script = """
import os, sys
from pathlib import Path
from pytest_dockerkit._runtime.alive import Alive

owner = Alive(lambda: Path(sys.argv[1]))
owner.hold()
if os.fork() == 0:
    assert not owner.is_held
    owner.release()
    print(os.getpid(), flush=True)
    sys.stdin.read()
else:
    os._exit(0)
"""
    started = subprocess.Popen(
        [sys.executable, "-c", script, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    child = int(started.stdout.readline())
    started.wait(60)
    os.kill(child, 0)
    assert is_owner_gone(run)
    started.communicate("")


@needs_fork
def test_what_a_child_of_a_fork_closes_stays_locked(run: Path) -> None:
    owner = Alive(lambda: run)
    owner.hold()
    child = os.fork()
    if child == 0:
        # None of pytest's own end here.
        os._exit(int(owner.is_held))
    assert os.waitpid(child, 0)[1] == 0
    assert is_alive(run)
    owner.release()


def test_other_programs_keep_no_lock(run: Path) -> None:
    owner = Alive(lambda: run)
    owner.hold()
    other = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, close_fds=False
    )
    owner.release()
    # The system closes what it is not to have a moment after it has begun.
    assert until_ready(lambda: Look(not is_alive(run)), timeout_s=30).ready
    other.communicate(b"")


def test_a_file_system_without_locks_makes_nobody_dead(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    owner = Alive(lambda: run)
    owner.hold()
    assert not owner.is_held
    assert is_alive(run)
    assert not is_owner_gone(run)
    assert not wait_until_free(str(run / alive.OWNER))


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="the superuser may read everything")
def test_what_cannot_be_read_lives(run: Path) -> None:
    path = run / alive.OWNER
    path.touch()
    path.chmod(0)
    assert is_alive(run)


class TestWithoutFlock:
    """As on Windows."""

    @pytest.fixture(autouse=True)
    def _without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(alive, "_HAS_FLOCK", False)
        monkeypatch.setattr(alive, "_LOOKS_S", 0.01)

    def test_a_run_lives_as_long_as_its_owner(self, run: Path) -> None:
        owner, second = Alive(lambda: run), Alive(lambda: run)
        owner.hold()
        second.hold()
        assert (owner.is_held, second.is_held) == (True, False)
        assert is_alive(run)
        owner.release()
        assert not is_alive(run)


def test_a_lock_that_is_looked_at_is_had_a_moment_later(run: Path) -> None:
    path = run / alive.OWNER
    path.touch()
    file = path.open()
    fcntl.flock(file, fcntl.LOCK_SH)
    owner = Alive(lambda: run)
    holding = threading.Thread(target=owner.hold)
    holding.start()
    file.close()
    assert until_ready(lambda: Look(owner.is_held), timeout_s=30).ready
    holding.join()
    owner.release()
