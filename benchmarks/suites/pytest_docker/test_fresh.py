import pytest
from bench.suite import TESTS, answer


@pytest.mark.parametrize("number", range(TESTS))
def test_it(urls, number):
    answer(urls[0])
