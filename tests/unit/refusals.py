"""What a refused value is told, as a whole sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_dockerkit.errors import SpecError


def refusal(ask: Callable[[], object]) -> str:
    """Give the text of the `SpecError` that is raised; fails if there is none."""
    with pytest.raises(SpecError) as caught:
        ask()
    return str(caught.value)
