"""Session containers, each on an isolated network of its scope, as the documentation says."""

import pytest
from bench.suite import CONTAINERS, IMAGE, answer

SERVICES = [
    pytest.param(marks=pytest.mark.container(IMAGE, name=f"service-{number}", ports=[80], scope="session"))
    for number in range(CONTAINERS)
]


@pytest.mark.parametrize((), SERVICES)
def test_it(container):
    answer(container.url(80))
