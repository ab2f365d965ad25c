"""An image and a session container for each worker: nothing is shared."""

import by_hand
import pytest
from bench.suite import CONTEXT, TAG, TESTS, answer


@pytest.fixture(scope="session")
def url():
    api = by_hand.client()
    for line in api.build(path=CONTEXT, tag=TAG, rm=True, decode=True):
        assert "errorDetail" not in line, line
    container = by_hand.start(api, TAG)
    yield by_hand.url(api, container)
    by_hand.remove(api, container)


@pytest.mark.parametrize("number", range(TESTS))
def test_it(url, number):
    answer(url)
