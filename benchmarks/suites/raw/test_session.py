"""Session containers over the raw API, started and removed in threads, each with a connection of its own."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from bench.raw import Engine
from bench.suite import CONTAINERS, IMAGE, answer, until_answers

#: As many starts at once as the engine gains from. On two cores eight are the fastest.
AT_ONCE = 8


@pytest.fixture(scope="session")
def urls():
    if CONTAINERS == 1:
        engine = Engine()
        container = engine.start(IMAGE)
        yield [until_answers(engine.url(container))]
        engine.remove(container)
        return
    with ThreadPoolExecutor(min(CONTAINERS, AT_ONCE)) as pool:
        containers = list(pool.map(lambda _: Engine().start(IMAGE), range(CONTAINERS)))
        engine = Engine()
        yield [until_answers(engine.url(each)) for each in containers]
        list(pool.map(lambda each: Engine().remove(each), containers))


@pytest.mark.parametrize("number", range(CONTAINERS))
def test_it(urls, number):
    answer(urls[number])
