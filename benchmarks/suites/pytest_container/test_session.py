import declared
import pytest
from bench.suite import CONTAINERS, answer


@pytest.mark.parametrize("container", [declared.service() for _ in range(CONTAINERS)], indirect=True)
def test_it(container):
    answer(declared.url(container))
