"""A fresh container for each test over the raw API: three are started ahead, and two threads remove behind."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest
from bench.raw import Engine
from bench.suite import IMAGE, TESTS, answer, until_answers

AHEAD = 3
REMOVERS = 2


def start():
    engine = Engine()
    return (container := engine.start(IMAGE)), engine.url(container)


@pytest.fixture(scope="session")
def ahead():
    with ThreadPoolExecutor(AHEAD) as starters, ThreadPoolExecutor(REMOVERS) as removers:
        coming = deque(starters.submit(start) for _ in range(min(AHEAD, TESTS)))
        left = TESTS - len(coming)

        def take():
            nonlocal left
            taken = coming.popleft().result()
            if left > 0:
                left -= 1
                coming.append(starters.submit(start))
            return taken

        removals = []
        yield take, lambda container: removals.append(removers.submit(Engine().remove, container))
        for each in removals:
            each.result()


@pytest.fixture
def url(ahead):
    take, give_back = ahead
    container, url = take()
    yield until_answers(url)
    give_back(container)


@pytest.mark.parametrize("number", range(TESTS))
def test_it(url, number):
    answer(url)
