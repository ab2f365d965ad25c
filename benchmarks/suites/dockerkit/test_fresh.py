"""A fresh container for each test, each on an isolated network."""

import pytest
from bench.suite import IMAGE, TESTS, answer


@pytest.mark.parametrize("number", range(TESTS))
@pytest.mark.container(IMAGE, ports=[80])
def test_it(container, number):
    answer(container.url(80))
