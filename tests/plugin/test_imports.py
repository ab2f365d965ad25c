"""What a run with one plain container has imported by its end, against the real engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.unit.test_imports import OURS

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

CONFTEST = """
    import json
    import sys
    from pathlib import Path

    import pytest


    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure():
        Path(__file__).with_name("imported.json").write_text(json.dumps([*sys.modules]))
"""

SOURCE = """
    import pytest


    @pytest.mark.container("busybox:stable", command=["httpd", "-f"], ports=[80])
    def test_it(container):
        assert container.address(80)
"""


def test_a_plain_container_needs_no_more_than_that(suite: Suite) -> None:
    """Nor does what is imported where it is used come in by the back door."""
    suite.run(SOURCE, conftest=CONFTEST, subprocess=True).ended(passed=1)
    imported = json.loads((suite.path / "imported.json").read_text())
    assert {name for name in OURS if f"pytest_dockerkit.{name}" in imported} == set()
