"""Room for containers between real processes, which come, wait, are killed and end at any moment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime.capacity import Capacity, Claim

#: How long one step of another process may take here, in seconds; it takes a small part of it.
PATIENCE_S = 60.0

#: What each process does: argv is the run's directory, its name and the most containers. It counts what runs with it
#: by files that are made after room was taken and removed before it is given back; the memory is in their names.
TESTS = """
import sys
from pathlib import Path
from pytest_dockerkit._runtime.capacity import Capacity, Claim

run, process, most = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
capacity = Capacity(run, process, containers=most, memory_bytes=100)
seen = []
for test in range(12):
    memory = 25 + 10 * (test % 3)
    names = [f"{process}-{test}-{number}" for number in range(1 + test % most)]
    assert capacity.take([Claim(name, memory) for name in names], wait=True)
    for name in names:
        (run / f"{name}.{memory}.runs").touch()
    there = [each.name.split(".") for each in run.glob("*.runs")]
    seen.append(len(there))
    alone = all(name in names for name, *_ in there)
    assert alone or sum(int(memory) for _, memory, _ in there) <= 100, there
    for name in names:
        (run / f"{name}.{memory}.runs").unlink()
        capacity.give_back(name)
capacity.close()
print(max(seen))
"""

#: Takes what it is told to, says so, and does what its lines of input say.
OBEDIENT = """
import sys
from pathlib import Path
from pytest_dockerkit._runtime.capacity import Capacity, Claim
from pytest_dockerkit.errors import CapacityError

capacity = Capacity(Path(sys.argv[1]), sys.argv[2], containers=int(sys.argv[3]), memory_bytes=None)
for line in sys.stdin:
    verb, *names = line.split()
    try:
        if verb == "take":
            capacity.take([Claim(name) for name in names], wait=True)
        else:
            capacity.give_back(*names)
        print("done", flush=True)
    except CapacityError as error:
        print(error.what, flush=True)
"""


class Process:
    """A process that does as it is told."""

    def __init__(self, run: Path, name: str, containers: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", OBEDIENT, str(run), name, str(containers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def do(self, order: str) -> str:
        self.tell(order)
        return self.answer()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def processes(run: Path, *names: str, containers: int) -> Iterator[list[Process]]:
    started = [Process(run, name, containers) for name in names]
    try:
        yield started
    finally:
        for each in started:
            each.kill()


def someone_waits(capacity: Capacity) -> None:
    last = until_ready(lambda: Look(capacity.anybody_waits()), timeout_s=PATIENCE_S)
    assert last.ready


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Capacity]:
    """This process's own sight of a run that has room for two."""
    capacity = Capacity(tmp_path, "controller", containers=2, memory_bytes=None)
    yield capacity
    capacity.close()


def test_never_more_run_than_may_and_every_process_has_its_turn(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TESTS, str(tmp_path), f"gw{number}", "3"], stdout=subprocess.PIPE, text=True
        )
        for number in range(6)
    ]
    most = [int(each.communicate(timeout=PATIENCE_S)[0]) for each in started]
    assert [each.returncode for each in started] == [0] * 6
    assert max(most) <= 3
    assert list(tmp_path.glob("*.runs")) == []


def test_room_that_one_process_gives_back_goes_to_the_one_that_waits(tmp_path: Path, here: Capacity) -> None:
    with processes(tmp_path, "gw0", "gw1", containers=2) as (first, second):
        assert first.do("take a b") == "done"
        second.tell("take c d")
        someone_waits(here)
        assert not here.take([Claim("ahead")], wait=False)
        assert first.do("give a") == "done"
        assert not here.take([Claim("ahead")], wait=False)
        assert first.do("give b") == "done"
        assert second.answer() == "done"


def test_processes_that_wait_for_each_other_do_not_wait_for_ever(tmp_path: Path, here: Capacity) -> None:
    with processes(tmp_path, "gw0", "gw1", containers=2) as (first, second):
        assert (first.do("take db-0"), second.do("take db-1")) == ("done", "done")
        first.tell("take api-0")
        someone_waits(here)
        assert second.do("take api-1") == "all workers wait for room that another one has, so none of them can go on"
        assert second.do("give db-1") == "done"
        assert first.answer() == "done"


def test_what_a_killed_process_had_comes_back_and_it_waits_no_more(tmp_path: Path, here: Capacity) -> None:
    with processes(tmp_path, "gw0", "gw1", "gw2", containers=2) as (first, second, third):
        assert (first.do("take a"), second.do("take b")) == ("done", "done")
        first.tell("take c")
        someone_waits(here)
        first.kill()
        # Nobody says that it is gone: after a while the others take its room all the same.
        assert second.do("take d") == "done"
        assert (second.do("give d"), second.do("give b")) == ("done", "done")
        assert third.do("take e f") == "done"


def test_the_one_that_sees_a_process_die_gives_its_room_to_the_others(tmp_path: Path, here: Capacity) -> None:
    with processes(tmp_path, "gw0", "gw1", containers=2) as (first, second):
        assert first.do("take a b") == "done"
        second.tell("take c")
        someone_waits(here)
        first.kill()
        here.drop_process("gw0")
        assert second.answer() == "done"
