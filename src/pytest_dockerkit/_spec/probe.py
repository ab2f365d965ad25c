"""What a probe is; the probes themselves are in `pytest_dockerkit.probes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pytest_dockerkit._poll import Look


@runtime_checkable
class Probe(Protocol):
    """Anything that can look at a container once and say whether it is ready."""

    def look(self, container: Any) -> Look | bool:  # a RunningContainer, which is layers above
        """Look at the container once, without waiting.

        Returns:
            A `Look` with what was seen, or just whether it is ready.

        Raises:
            DockerkitError: it can never become ready; ends the wait at once.
        """
