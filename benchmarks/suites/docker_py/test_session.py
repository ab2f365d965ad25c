"""Session containers, started and removed in threads."""

from concurrent.futures import ThreadPoolExecutor

import by_hand
import pytest
from bench.suite import CONTAINERS, IMAGE, answer


@pytest.fixture(scope="session")
def urls():
    api = by_hand.client()
    with ThreadPoolExecutor(max(1, min(CONTAINERS, 8))) as pool:
        containers = list(pool.map(lambda _: by_hand.start(api, IMAGE), range(CONTAINERS)))
        yield [by_hand.url(api, each) for each in containers]
        list(pool.map(lambda each: by_hand.remove(api, each), containers))


@pytest.mark.parametrize("number", range(CONTAINERS))
def test_it(urls, number):
    answer(urls[number])
