from contextlib import ExitStack

import by_hand
import pytest
from bench.suite import CONTAINERS, answer


@pytest.fixture(scope="session")
def stack():
    with ExitStack() as stack:
        yield stack, {}


@pytest.fixture
def url(stack, number):
    stack, started = stack
    if number not in started:
        started[number] = stack.enter_context(by_hand.service())
    return by_hand.url(started[number])


@pytest.mark.parametrize("number", range(CONTAINERS))
def test_it(url, number):
    answer(url)
