import pytest
from bench.suite import TESTS, answer
from conftest import url


@pytest.mark.parametrize("number", range(TESTS))
def test_it(fresh, number):
    answer(url(fresh))
