"""One image that is built, one session container, many tests."""

import pytest
from bench.suite import CONTEXT, TESTS, answer


@pytest.mark.parametrize("number", range(TESTS))
@pytest.mark.container(build=CONTEXT, ports=[80], scope="session")
def test_it(container, number):
    answer(container.url(80))
