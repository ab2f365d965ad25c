import declared
import pytest
from bench.suite import TESTS, answer


@pytest.mark.parametrize("number", range(TESTS))
@pytest.mark.parametrize("container", [declared.built()], indirect=True)
def test_it(container, number):
    answer(declared.url(container))
