"""The inner suites of the pages are run as those of the plugin's tests are."""

from tests.plugin.conftest import suite

__all__ = ["suite"]
