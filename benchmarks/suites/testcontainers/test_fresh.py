import by_hand
import pytest
from bench.suite import TESTS, answer


@pytest.fixture
def url():
    with by_hand.service() as container:
        yield by_hand.url(container)


@pytest.mark.parametrize("number", range(TESTS))
def test_it(url, number):
    answer(url)
