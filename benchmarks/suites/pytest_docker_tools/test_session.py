import pytest
from bench.suite import CONTAINERS, answer
from conftest import url


@pytest.mark.parametrize("number", range(CONTAINERS))
def test_it(request, number):
    answer(url(request.getfixturevalue(f"service_{number}")))
