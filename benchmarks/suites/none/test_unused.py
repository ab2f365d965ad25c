"""Trivial tests, with nothing installed that they use."""

import pytest
from bench.suite import TESTS


@pytest.mark.parametrize("number", range(TESTS))
def test_nothing(number):
    pass
