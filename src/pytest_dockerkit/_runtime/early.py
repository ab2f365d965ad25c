"""What the workers of xdist share is removed while their processes end, which takes longer than the removal."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_dockerkit._runtime.alive import others_alive
from pytest_dockerkit._runtime.watching import wait_until_free

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Early:
    """Undoes a run beside its owner, as soon as no other process of it makes or uses anything any more."""

    def __init__(self, directory: Path, undo: Callable[[], object]) -> None:
        """Begin; nothing is done yet.

        Args:
            directory: the run's.
            undo: undoes it.
        """
        self._directory = directory
        self._undo = undo
        self._doing = threading.Lock()
        self._is_over = False

    def begin(self) -> None:
        """Wait for the others in a thread, and undo."""
        threading.Thread(target=self._work, name="dockerkit-early", daemon=True).start()

    def _work(self) -> None:
        # Whoever ends the run does all of it once more, and tells what cannot be done.
        with suppress(Exception):
            # By the system, which wakes it: a worker shows that it lives until its session is closed.
            if not all(wait_until_free(str(lock)) for lock in others_alive(self._directory)):
                return
            with self._doing:
                if not self._is_over:
                    self._undo()

    def end(self) -> None:
        """Begin nothing any more, and wait for what was begun; a worker that does not end is not waited for."""
        with self._doing:
            self._is_over = True
