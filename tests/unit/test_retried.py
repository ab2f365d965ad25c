"""What fails for a moment is done again, with pauses that grow."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pytest_dockerkit._poll import retried


class Flaky:
    """Fails so many times, then gives its number."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures = failures
        self.error = error
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls


def is_a_value_error(failure: Exception) -> bool:
    return isinstance(failure, ValueError)


def test_what_works_is_done_once() -> None:
    pauses: list[float] = []
    assert retried(Flaky(0, ValueError()), passes=is_a_value_error, tries=5, sleep=pauses.append) == 1
    assert pauses == []


def test_it_is_done_until_it_works() -> None:
    pauses: list[float] = []
    assert retried(Flaky(3, ValueError()), passes=is_a_value_error, tries=5, sleep=pauses.append) == 4
    assert len(pauses) == 3


def test_the_pauses_are_twice_as_long_each_time_and_never_alike_on_two_machines() -> None:
    pauses: list[float] = []
    with pytest.raises(ValueError, match="the last"):
        retried(Flaky(9, ValueError("the last")), passes=is_a_value_error, tries=5, first_s=2, sleep=pauses.append)
    assert len(pauses) == 4
    for number, pause in enumerate(pauses):
        assert 2 * 2**number <= pause <= 3 * 2**number
    assert all(later > sooner for sooner, later in pairwise(pauses))


def test_what_does_not_pass_ends_it_at_once() -> None:
    flaky = Flaky(9, KeyError("it is not there"))
    with pytest.raises(KeyError, match="it is not there"):
        retried(flaky, passes=is_a_value_error, tries=5, sleep=lambda _: pytest.fail("no pause is needed"))
    assert flaky.calls == 1


@pytest.mark.parametrize("tries", [1, 2, 5])
def test_it_is_done_so_often_at_most(tries: int) -> None:
    flaky = Flaky(99, ValueError())
    pauses: list[float] = []
    with pytest.raises(ValueError):
        retried(flaky, passes=is_a_value_error, tries=tries, sleep=pauses.append)
    assert (flaky.calls, len(pauses)) == (tries, tries - 1)
