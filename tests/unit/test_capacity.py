"""Room for containers: what is taken, who waits, and who is told that there can never be any."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_dockerkit._runtime import room_file
from pytest_dockerkit._runtime.capacity import DEAD_S, WAIT_S, Capacity, Claim
from pytest_dockerkit._runtime.room import Book, Bounds
from pytest_dockerkit.errors import CapacityError, LockError

MIB = 1024**2


class Clock:
    """Time that passes only while somebody waits; what happens meanwhile is played one by one, at each pause."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step_s = 1.0
        self.script: list[Callable[[], object]] = []

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, self.step_s)
        if self.script:
            self.script.pop(0)()


class Run:
    """A run of several processes, all of them in this one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self.processes: dict[str, Capacity] = {}
        self.containers: int | None = None
        self.memory_bytes: int | None = None

    def __getitem__(self, process: str) -> Capacity:
        if process not in self.processes:
            self.processes[process] = Capacity(
                self.directory,
                process,
                containers=self.containers,
                memory_bytes=self.memory_bytes,
                clock=lambda: self.clock.now,
                sleep=self.clock.sleep,
            )
        return self.processes[process]

    def book(self) -> Book:
        return Book.read(json.loads(self.file.read_bytes().splitlines()[-1]))

    @property
    def file(self) -> Path:
        return self.directory / "room" / "taken.jsonl"

    def taken(self) -> list[str]:
        return sorted(self.book().taken)

    def waits(self, process: str, *names: str) -> Callable[[], object]:
        """Let another process come and wait, as far as the file shows it."""

        def come() -> None:
            with self[process]._file.book() as book:
                book.enqueue(process, claims(*names), settled=True)

        return come


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path / "run")
    yield made
    for each in made.processes.values():
        each.close()


def claims(*names: str) -> list[Claim]:
    return [Claim(name) for name in names]


def sized(name: str, mib: int) -> Claim:
    return Claim(name, mib * MIB)


def refusal(ask: Callable[[], object]) -> str:
    with pytest.raises(CapacityError) as caught:
        ask()
    return str(caught.value)


# Taking and giving back


def test_without_limits_nothing_is_counted_and_no_file_is_touched(run: Run) -> None:
    capacity = run["gw0"]
    assert capacity.take(claims("a", "b"), wait=True)
    assert capacity.take([sized("c", 10**9)], wait=False)
    capacity.leaves("a")
    capacity.give_back("a")
    capacity.drop_process("gw1")
    assert not capacity.anybody_waits()
    with capacity.standing_still():
        pass
    assert not run.directory.exists()


def test_where_only_memory_counts_a_container_without_a_cap_touches_no_file(run: Run) -> None:
    run.memory_bytes = 100 * MIB
    assert run["gw0"].take(claims("a", "b"), wait=False)
    run["gw0"].give_back("a")
    assert not run.directory.exists()


def test_no_claim_takes_no_room(run: Run) -> None:
    run.containers = 1
    assert run["gw0"].take([], wait=True)
    assert not run.directory.exists()


def test_what_is_taken_counts_for_all_processes(run: Run) -> None:
    run.containers = 3
    assert run["gw0"].take(claims("a", "b"), wait=False)
    assert run["gw1"].take(claims("c"), wait=True)
    assert not run["gw1"].take(claims("d"), wait=False)
    run["gw1"].give_back("a")
    assert run["gw1"].take(claims("d"), wait=False)
    assert run.taken() == ["b", "c", "d"]


def test_several_are_taken_at_once_or_none(run: Run) -> None:
    run.containers = 3
    assert run["gw0"].take(claims("a", "b"), wait=False)
    assert not run["gw1"].take(claims("c", "d"), wait=False)
    assert run.taken() == ["a", "b"]


def test_giving_back_what_was_never_taken_is_no_mistake(run: Run) -> None:
    run.containers = 1
    run["gw0"].give_back("a")
    run["gw0"].leaves("a")
    assert not run.directory.exists()
    run["gw0"].take(claims("b"), wait=False)
    run["gw0"].give_back("a")
    run["gw0"].leaves("a")
    assert run.taken() == ["b"]


def test_a_process_that_has_died_is_dropped_and_what_is_shared_stays(run: Run) -> None:
    run.containers = 3
    assert run["gw0"].take([Claim("a"), Claim("s", shared=True)], wait=False)
    assert run["gw1"].take(claims("b"), wait=False)
    run["gw1"].drop_process("gw0")
    assert run.taken() == ["b", "s"]


def test_half_a_line_of_a_process_that_died_meanwhile_is_no_line(run: Run) -> None:
    run.containers = 3
    assert run["gw0"].take(claims("a"), wait=True)
    whole = run.file.read_bytes()
    for half in (b"", whole[:1], whole[:-1], b"\n" + whole[:20]):
        run.file.write_bytes(whole + half)
        assert run["gw1"].take(claims("b"), wait=True)
        assert run.taken() == ["a", "b"]
        run["gw1"].give_back("b")
        assert run.taken() == ["a"]
    run.file.write_bytes(whole[:-1])
    assert run["gw1"].take(claims("b"), wait=True)
    assert run.taken() == ["b"]


def test_the_file_does_not_grow_without_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_file, "_LONG_BYTES", 1000)
    run.containers = 2
    for number in range(100):
        assert run["gw0"].take(claims(f"a{number}"), wait=True)
        run["gw0"].give_back(f"a{number}")
    assert run["gw0"].take(claims("b"), wait=True)
    assert run.taken() == ["b"]
    assert run.file.stat().st_size < 2000


# Memory


def test_the_sum_of_the_caps_is_bounded(run: Run) -> None:
    run.memory_bytes = 100 * MIB
    assert run["gw0"].take([sized("a", 60)], wait=False)
    assert not run["gw1"].take([sized("b", 41)], wait=False)
    assert run["gw1"].take([sized("b", 40), Claim("c")], wait=False)


def test_more_memory_than_there_is_runs_alone(run: Run) -> None:
    run.memory_bytes = 100 * MIB
    assert not run["gw0"].take([sized("ahead", 101)], wait=False)
    assert run["gw0"].take([sized("big", 101)], wait=True)
    assert not run["gw1"].take([sized("b", 1)], wait=False)
    run.clock.script = [lambda: run["gw0"].give_back("big")]
    assert run["gw1"].take([sized("b", 1)], wait=True)
    run.clock.script = [lambda: run["gw1"].give_back("b")]
    assert run["gw0"].take([sized("big", 101)], wait=True)
    assert run.taken() == ["big"]


def test_a_process_alone_is_not_kept_by_its_own_memory(run: Run) -> None:
    """A cap is no reservation: a suite that runs without the plugin's counting runs with it."""
    run.memory_bytes = 100 * MIB
    assert run["gw0"].take([sized("db", 60), Claim("shared", 30 * MIB, shared=True)], wait=True)
    assert run["gw0"].take([sized("api", 60)], wait=True)
    assert run.taken() == ["api", "db", "shared"]


def test_what_is_made_ahead_goes_before_more_memory_is_taken_than_there_is(run: Run) -> None:
    """It has come in between, after the test before had given its room back."""
    run.memory_bytes = 100 * MIB
    assert run["gw0"].take([sized("ahead", 60)], wait=False)
    assert run["gw0"].take([sized("next", 60)], wait=True, make_room=lambda: run["gw0"].give_back("ahead"))
    assert run.taken() == ["next"]


def test_what_leaves_is_waited_for_before_more_memory_is_taken_than_there_is(run: Run) -> None:
    run.memory_bytes = 100 * MIB
    run["gw0"].take([sized("before", 60)], wait=True)
    run["gw0"].leaves("before")
    run.clock.script = [lambda: None, lambda: run["gw0"].give_back("before")]
    assert run["gw0"].take([sized("after", 60)], wait=True)
    assert run.taken() == ["after"]


# Waiting


def test_one_waits_until_there_is_room(run: Run) -> None:
    run.containers = 2
    run["gw0"].take(claims("a", "b"), wait=True)
    run.clock.script = [lambda: None, lambda: run["gw0"].give_back("a"), lambda: run["gw0"].give_back("b")]
    assert run["gw1"].take(claims("c", "d"), wait=True)
    assert (run.taken(), run.clock.script) == (["c", "d"], [])


def test_what_is_made_ahead_takes_no_room_while_anybody_waits(run: Run) -> None:
    run.containers = 3
    run["gw0"].take(claims("a", "b"), wait=True)
    assert not run["gw2"].anybody_waits()
    seen: list[bool] = []
    run.clock.script = [
        lambda: seen.append(run["gw2"].anybody_waits()),
        lambda: seen.append(run["gw2"].take(claims("ahead"), wait=False)),
        lambda: run["gw0"].give_back("a"),
    ]
    assert run["gw1"].take(claims("c", "d"), wait=True)
    assert seen == [True, False]
    assert not run["gw2"].anybody_waits()


def test_room_is_made_once_before_one_waits(run: Run) -> None:
    run.containers = 2
    capacity = run["gw0"]
    calls: list[str] = []

    def make_room() -> None:
        calls.append("")
        capacity.give_back("ahead")

    capacity.take(claims("a"), wait=True, make_room=make_room)
    capacity.take(claims("ahead"), wait=False)
    assert calls == []
    assert capacity.take(claims("b"), wait=True, make_room=make_room)
    assert (calls, run.taken(), run.clock.now) == ([""], ["a", "b"], 0)


def test_while_one_makes_room_nobody_takes_it_for_one_that_stands_still(run: Run) -> None:
    run.containers = 2
    run["gw0"].take(claims("a"), wait=True)
    run["gw1"].take(claims("b"), wait=True)
    run.waits("gw1", "c")()

    def make_room() -> None:
        assert not run.book().stands_still()
        run["gw0"].leaves("a")

    run.clock.script = [lambda: run["gw1"].drop_process("gw1")]
    assert run["gw0"].take(claims("d"), wait=True, make_room=make_room)


def test_whoever_stops_waiting_is_not_waited_for(run: Run) -> None:
    run.containers = 1
    run["gw0"].take(claims("a"), wait=True)

    def interrupted() -> None:
        raise KeyboardInterrupt

    run.clock.script = [interrupted]
    with pytest.raises(KeyboardInterrupt):
        run["gw1"].take(claims("b"), wait=True)
    assert run.book().waiting == []
    with pytest.raises(ZeroDivisionError):
        run["gw1"].take(claims("b"), wait=True, make_room=lambda: 1 / 0)
    assert run.book().waiting == []


def test_much_is_not_kept_waiting_by_many_who_want_little(run: Run) -> None:
    run.containers = 3
    run["gw0"].take(claims("a", "b"), wait=True)
    order: list[object] = []
    run.clock.script = [
        lambda: order.append(run["gw2"].take(claims("little"), wait=False)),
        run.waits("gw2", "little"),
        lambda: run["gw0"].give_back("a"),
        lambda: run["gw0"].give_back("b"),
    ]
    assert run["gw1"].take(claims("c", "d", "e"), wait=True)
    assert order == [False]
    assert run.taken() == ["c", "d", "e"]


def test_where_nothing_moves_a_later_one_that_fits_comes_first() -> None:
    """The first wants two, the second one: what it does may end, and make room for the first."""
    book, bounds = Book(), Bounds(containers=3)
    book.put("gw0", claims("a"))
    book.put("gw1", claims("b"))
    book.enqueue("gw0", claims("c", "d"), settled=True)
    assert book.next_one(bounds) is None
    book.enqueue("gw1", claims("e"), settled=True)
    turn = book.next_one(bounds)
    assert turn is not None
    assert turn.process == "gw1"
    assert book.one_too_many(bounds) is None


def test_waiting_ends_with_an_error_at_last(run: Run) -> None:
    run.containers = 1
    run.clock.step_s = WAIT_S / 10
    run["gw0"].take(claims("a"), wait=True)
    assert refusal(lambda: run["gw1"].take(claims("b"), wait=True)) == (
        "there was no room for 1 container within 1800 s\n"
        "  saw:  containers: 1 of --dockerkit-max-containers=1\n"
        "        gw0 has a\n"
        "        gw1 waits for room for b\n"
        "  mend: look at what the others do; or fewer workers (-n), or more room (--dockerkit-max-containers=)"
    )
    assert run.clock.now >= WAIT_S
    assert run.book().waiting == []


# Never


def test_more_at_once_than_may_run_is_an_error_at_once(run: Run) -> None:
    run.containers = 2
    assert refusal(lambda: run["gw0"].take(claims("db", "api", "web"), wait=False)) == (
        "more containers are needed at once than may run\n"
        "  saw:  3 containers: db, api, web; --dockerkit-max-containers=2\n"
        "  mend: --dockerkit-max-containers=3 or more"
    )
    assert not run.directory.exists()


def test_more_than_what_stays_leaves_room_for_is_an_error_at_once(run: Run) -> None:
    run.containers = 3
    run["gw1"].take([Claim("shared", shared=True)], wait=True)
    run["gw0"].take(claims("db"), wait=True)
    assert refusal(lambda: run["gw0"].take(claims("api", "web"), wait=True)) == (
        "more containers are needed at once than may run\n"
        "  saw:  2 containers: api, web; beside what is there and stays: shared, db; --dockerkit-max-containers=3\n"
        "  mend: --dockerkit-max-containers=4 or more, or a narrower scope= for what stays"
    )
    assert run.clock.now == 0
    assert run.book().waiting == []


def test_a_container_that_is_being_removed_does_not_stay(run: Run) -> None:
    run.containers = 1
    run["gw0"].take(claims("before"), wait=True)
    run["gw0"].leaves("before")
    run.clock.script = [lambda: None, lambda: run["gw0"].give_back("before")]
    assert run["gw0"].take(claims("after"), wait=True)


# All wait for each other


def test_when_all_wait_for_each_other_the_last_is_told(run: Run) -> None:
    run.containers = 2
    run["gw0"].take(claims("db-0"), wait=True)
    run["gw1"].take(claims("db-1"), wait=True)
    run.waits("gw0", "api-0")()
    assert refusal(lambda: run["gw1"].take(claims("api-1"), wait=True)) == (
        "all workers wait for room that another one has, so none of them can go on\n"
        "  saw:  containers: 2 of --dockerkit-max-containers=2\n"
        "        gw0 has db-0 and waits for room for api-0\n"
        "        gw1 has db-1 and waits for room for api-1\n"
        "  mend: --dockerkit-max-containers= above 2, or fewer workers (-n), or containers that the workers share: "
        'scope="session" without per_worker=True'
    )
    assert [each.process for each in run.book().waiting] == ["gw0"]


def test_all_may_wait_for_memory(run: Run) -> None:
    run.memory_bytes = 100 * MIB
    run["gw0"].take([sized("db-0", 50)], wait=True)
    run["gw1"].take([sized("db-1", 50)], wait=True)
    with run["gw0"]._file.book() as book:
        book.enqueue("gw0", [sized("api-0", 10)], settled=True)
    assert refusal(lambda: run["gw1"].take([sized("api-1", 10), Claim("x")], wait=True)) == (
        "all workers wait for room that another one has, so none of them can go on\n"
        "  saw:  memory caps: 100 MiB of 100 MiB\n"
        "        gw0 has db-0 (50 MiB) and waits for room for api-0 (10 MiB)\n"
        "        gw1 has db-1 (50 MiB) and waits for room for api-1 (10 MiB), x\n"
        '  mend: fewer workers (-n), or containers that the workers share: scope="session" without '
        "per_worker=True, or a lower memory="
    )


def test_one_who_has_nothing_is_not_told_where_one_who_has_something_came_last_but_one() -> None:
    book, bounds = Book(), Bounds(containers=2)
    book.put("gw0", claims("a"))
    book.put("gw1", claims("b"))
    for process in ("gw0", "gw1", "gw2"):
        book.enqueue(process, claims(f"more-{process}"), settled=True)
    loser = book.one_too_many(bounds)
    assert loser is not None
    assert loser.process == "gw1"


def test_a_process_that_waits_for_another_one_gives_nothing_back(run: Run) -> None:
    run.containers = 1
    run["gw0"].take(claims("a"), wait=True)
    with run["gw0"].standing_still():
        told = refusal(lambda: run["gw1"].take(claims("shared"), wait=True))
    assert "gw0 has a and waits for another process\n" in told
    assert run.book().waiting == []


@pytest.mark.parametrize("change", ["leaving", "unsettled", "runs", "fits"])
def test_as_long_as_something_may_move_nobody_is_told(change: str) -> None:
    book, bounds = Book(), Bounds(containers=3 if change == "fits" else 2)
    book.put("gw0", claims("a"))
    book.put("gw1", claims("b"))
    book.enqueue("gw0", claims("c"), settled=change != "unsettled")
    if change != "runs":
        book.enqueue("gw1", claims("d"), settled=True)
    if change == "leaving":
        book.taken["a"].leaving = True
    assert book.one_too_many(bounds) is None


# The dead


def test_the_dead_do_not_wait_and_what_they_had_counts_until_it_can_be_gone(run: Run) -> None:
    run.containers = 2
    run["gw0"].take(claims("a"), wait=True)
    run["gw1"].take(claims("b"), wait=True)
    run.waits("gw0", "c")()
    run["gw0"].close()
    assert run["gw1"].take(claims("d"), wait=True)
    assert run.clock.now >= DEAD_S
    assert run.taken() == ["b", "d"]
    assert run.book().waiting == []


def test_a_dead_process_is_dropped_as_soon_as_its_containers_are_gone(run: Run) -> None:
    run.containers = 1
    run["gw0"].take(claims("a"), wait=True)
    run["gw0"].close()
    run.clock.script = [lambda: run["controller"].drop_process("gw0")]
    assert run["gw1"].take(claims("b"), wait=True)
    assert run.clock.now < DEAD_S


def test_what_is_shared_outlives_the_process_that_made_it(run: Run) -> None:
    run.containers = 2
    run["gw0"].take([Claim("shared", shared=True), Claim("a")], wait=True)
    run["gw0"].close()
    assert run["gw1"].take(claims("b"), wait=True)
    assert run.taken() == ["b", "shared"]


def test_names_of_processes_may_hold_anything(run: Run) -> None:
    run.containers = 2
    run["a/../b c"].take(claims("a"), wait=True)
    run["gw0"].take(claims("b"), wait=True)
    run.clock.script = [lambda: run["a/../b c"].give_back("a")]
    assert run["gw0"].take(claims("c"), wait=True)


def test_two_processes_of_one_name_are_refused(run: Run, tmp_path: Path) -> None:
    run.containers = 2
    run["gw0"].take(claims("a"), wait=True)
    other = Capacity(run.directory, "gw0", containers=2, memory_bytes=None)
    with pytest.raises(LockError) as caught:
        other.take(claims("b"), wait=True)
    assert str(caught.value) == (
        "two processes of a run are called 'gw0'\n"
        f"  saw:  lock {tmp_path / 'run' / 'room' / 'gw0.alive'}\n"
        "  mend: end the one that is left over"
    )
    assert run.taken() == ["a"]


def test_a_place_that_takes_no_locks_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("no directory")
    with pytest.raises(LockError) as caught:
        Capacity(tmp_path / "run", "gw0", containers=1, memory_bytes=None).take(claims("a"), wait=True)
    assert caught.value.what == "the list of containers cannot be locked"
    assert str(tmp_path / "run" / "room" / "taken.lock") in caught.value.saw
