"""The runs that a state directory knows of: each has a directory there as long as something may be left of it."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from pytest_dockerkit._runtime import ledger
from pytest_dockerkit._runtime.alive import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_dockerkit._runtime.ledger import Entry
    from pytest_dockerkit._runtime.settings import Settings

#: What a run's directory says of the run.
_ABOUT = "about.json"

#: How old a directory without any ledger has to be to count as left by a dead run, in seconds: a run that begins
#: makes it, and takes the lock that shows that it lives a moment later.
_BEGINNING_S = 60.0


class Run(NamedTuple):
    """A run, as its directory has it.

    Attributes:
        id: its id.
        directory: where its ledgers are.
        lives: whether any process of it does.
        project: the project's directory; empty where nothing says so.
        engine: what its engine is called, as `_engine.connect.called` does it; empty where nothing says so.
        began_at: when its first ledger was begun, in seconds since the epoch.
        seen_at: when it has last written into one, in the same.
        entries: what it has made and not removed, and what does not stay; newest first.
        is_whole: whether its ledgers could be read, and have nothing in them that this version does not know.
    """

    id: str
    directory: Path
    lives: bool
    project: str
    engine: str
    began_at: float
    seen_at: float
    entries: list[Entry]
    is_whole: bool


def describe(directory: Path, settings: Settings) -> None:
    """Write down whose run it is and which engine it uses, once; the tests go on without.

    Args:
        directory: the run's.
        settings: the run's.
    """
    from pytest_dockerkit._engine.connect import called

    path = directory / _ABOUT
    if path.exists():
        return
    about = {"project": str(settings.project), "engine": called(settings.host, settings.context), "at": time.time()}
    try:
        new = directory / f"about.{os.getpid()}"
        new.write_text(json.dumps(about), encoding="utf-8")
        new.replace(path)
    except OSError:
        # A full disk, say; whoever asks gets no answer.
        return


def known_runs(state_dir: Path) -> Iterator[Run]:
    """Give all runs that a state directory knows of; what cannot be read, as another user's, is left out."""
    try:
        directories = sorted(each for each in (state_dir / "runs").iterdir() if each.is_dir())
    except OSError:
        return
    for directory in directories:
        try:
            run = _read(directory)
        except OSError:
            # Gone meanwhile, or somebody else's, as after `sudo pytest`.
            continue
        if run is not None:
            yield run


def age_s(since: float) -> float:
    """Give how long ago something was, in seconds; never below 0, though the clock may have been set back."""
    return max(0.0, time.time() - since)


def _read(directory: Path) -> Run | None:
    # First: what dies in between is found the next time.
    lives = is_alive(directory)
    began_at = directory.stat().st_mtime
    books = list(directory.glob("*.jsonl"))
    if not books and not lives and abs(time.time() - began_at) < _BEGINNING_S:
        return None
    lines = list(ledger.read(directory))
    about = _about(directory)
    at = about.get("at")
    return Run(
        directory.name,
        directory,
        lives,
        str(about.get("project", "")),
        str(about.get("engine", "")),
        at if isinstance(at, int | float) else began_at,
        max([began_at, *(each.stat().st_mtime for each in books)]),
        ledger.open_entries(lines),
        is_whole=all(map(ledger.is_known, lines)),
    )


def _about(directory: Path) -> dict[str, object]:
    try:
        said = json.loads((directory / _ABOUT).read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
