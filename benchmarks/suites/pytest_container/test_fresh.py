import declared
import pytest
from bench.suite import TESTS, answer


@pytest.mark.parametrize("number", range(TESTS))
@pytest.mark.parametrize("container_per_test", [declared.service()], indirect=True)
def test_it(container_per_test, number):
    answer(declared.url(container_per_test))
