"""A fresh container for each test over the raw API, made and removed one after the other."""

import pytest
from bench.raw import Engine
from bench.suite import IMAGE, TESTS, answer, until_answers


@pytest.fixture(scope="session")
def engine():
    return Engine()


@pytest.fixture
def url(engine):
    container = engine.start(IMAGE)
    yield until_answers(engine.url(container))
    engine.remove(container)


@pytest.mark.parametrize("number", range(TESTS))
def test_it(url, number):
    answer(url)
