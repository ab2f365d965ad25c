"""A fresh container for each test, made and removed one after the other."""

import by_hand
import pytest
from bench.suite import IMAGE, TESTS, answer


@pytest.fixture(scope="session")
def api():
    return by_hand.client()


@pytest.fixture
def url(api):
    container = by_hand.start(api, IMAGE)
    yield by_hand.url(api, container)
    by_hand.remove(api, container)


@pytest.mark.parametrize("number", range(TESTS))
def test_it(url, number):
    answer(url)
