"""What the user has set for a run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path


def _state_dir() -> Path:
    """Give the directory that belongs to this user alone: ledgers and locks are kept below it."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "pytest-dockerkit"


@dataclass(frozen=True)
class Settings:
    """What the user has set for a run.

    Attributes:
        host: the engine's address, or None to find it as the docker command line does.
        context: the docker context, or None for the active one.
        pull: when images are pulled, where a spec does not say.
        rebuild: build every image once more, though nothing has changed.
        state_dir: where ledgers and locks are kept.
    """

    host: str | None = None
    context: str | None = None
    pull: str = "missing"
    rebuild: bool = False
    state_dir: Path = field(default_factory=_state_dir)

    def directory(self, *names: str) -> Path:
        """Give a directory below the state's, made if need be, for this user alone."""
        path = self.state_dir.joinpath(*names)
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path
