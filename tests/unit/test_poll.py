"""The one waiting loop, on a clock of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pytest_dockerkit._poll import Bell, Look, until_ready


class Clock:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def ready_at(clock: Clock, moment: float) -> Callable[[], Look]:
    """Look at something that is ready so many seconds after the start."""
    start = clock.now
    return lambda: Look(clock.now - start >= moment, f"{clock.now - start:.3f}")


def test_what_is_ready_is_looked_at_once_and_never_waited_for() -> None:
    clock = Clock()
    assert until_ready(ready_at(clock, 0), timeout_s=30, clock=clock.time, sleep=clock.sleep).ready
    assert clock.pauses == []


def test_pauses_grow_by_half_up_to_twice_the_first() -> None:
    clock = Clock()
    until_ready(ready_at(clock, 99), timeout_s=0.2, clock=clock.time, sleep=clock.sleep)
    assert clock.pauses[:4] == pytest.approx([0.01, 0.015, 0.02, 0.02])
    assert sum(clock.pauses) == pytest.approx(0.2)


def test_later_pauses_are_a_part_of_what_was_waited_up_to_the_longest() -> None:
    """Nobody is asked a thousand times a minute."""
    clock = Clock()
    starts: list[float] = []

    def look() -> Look:
        starts.append(clock.now - 100)
        return Look(ready=False)

    until_ready(look, timeout_s=60, clock=clock.time, sleep=clock.sleep)
    pauses = dict(zip(starts, clock.pauses, strict=False))
    assert all(pause <= max(0.02, 0.05 * start) + 1e-9 for start, pause in pauses.items())
    assert [pause for start, pause in pauses.items() if 2.2 < start < 59] == pytest.approx([0.1] * 568, abs=1e-9)
    assert len(starts) < 700


def test_slow_looks_are_followed_by_longer_pauses() -> None:
    """The machine is busy; one slow look among quick ones has only begun something."""
    clock = Clock()
    costs = iter([0.0, 0.2, 0.0, 0.03, 0.04, 0.5, 0.5, *[0.0] * 99])

    def look() -> Look:
        clock.now += next(costs)
        return Look(ready=False)

    until_ready(look, timeout_s=2, clock=clock.time, sleep=clock.sleep)
    assert clock.pauses[:7] == pytest.approx([0.01, 0.015, 0.02, 0.02, 0.03, 0.04, 0.1])


def test_a_bell_ends_a_pause() -> None:
    bell = Bell()
    bell.ring()
    bell.pause(1000)
    ringer = threading.Thread(target=bell.ring)
    ringer.start()
    bell.pause(1000)
    ringer.join()
    bell.pause(0)


def test_the_last_look_comes_when_the_time_is_over() -> None:
    """What became ready in the last pause counts; the last pause ends with the time."""
    clock = Clock()
    last = until_ready(ready_at(clock, 0.04), timeout_s=0.04, clock=clock.time, sleep=clock.sleep)
    assert last.ready
    assert clock.now == pytest.approx(100.04)


def test_a_look_that_outlasts_the_time_is_followed_by_one_more() -> None:
    clock = Clock()
    looks: list[float] = []

    def slow() -> Look:
        looks.append(clock.now)
        clock.now += 5
        return Look(len(looks) == 2, "slow")

    assert until_ready(slow, timeout_s=1, clock=clock.time, sleep=clock.sleep) == (True, "slow")
    assert clock.pauses == [0.0]


def test_when_it_never_is_the_last_look_is_given() -> None:
    clock = Clock()
    last = until_ready(ready_at(clock, 99), timeout_s=2, clock=clock.time, sleep=clock.sleep)
    assert last == Look(ready=False, seen="2.000")


@pytest.mark.parametrize("timeout_s", [0, 0.0])
def test_no_time_is_one_look(timeout_s: float) -> None:
    clock = Clock()
    assert not until_ready(ready_at(clock, 1), timeout_s=timeout_s, clock=clock.time, sleep=clock.sleep).ready
    assert clock.pauses == []


def test_what_a_look_raises_ends_the_wait() -> None:
    clock = Clock()

    def fails() -> Look:
        msg = "it has exited"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="it has exited"):
        until_ready(fails, timeout_s=30, clock=clock.time, sleep=clock.sleep)
    assert clock.pauses == []


def test_the_first_pause_and_the_longest_can_be_chosen() -> None:
    clock = Clock()
    look = ready_at(clock, 99)
    until_ready(look, timeout_s=5, shortest_s=1, longest_s=1.2, clock=clock.time, sleep=clock.sleep)
    assert clock.pauses == pytest.approx([1, 1.2, 1.2, 1.2, 0.4])
