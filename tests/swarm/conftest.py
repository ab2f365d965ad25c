"""What the tests of swarms share."""

from __future__ import annotations

from tests.plugin.conftest import suite

__all__ = ["suite"]
