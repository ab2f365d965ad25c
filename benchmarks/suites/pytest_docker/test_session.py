import pytest
from bench.suite import CONTAINERS, answer


@pytest.mark.parametrize("number", range(CONTAINERS))
def test_it(urls, number):
    answer(urls[number])
