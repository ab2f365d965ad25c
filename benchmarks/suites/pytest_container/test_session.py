import declared
import pytest
from bench.suite import CONTAINERS, answer


@pytest.mark.parametrize("container", [declared.service(number) for number in range(CONTAINERS)], indirect=True)
def test_it(container):
    answer(declared.url(container))
