"""Errors that are kept for a run: who would try the same again is told the same at once, in whichever process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pytest_dockerkit.errors import DockerkitError

E = TypeVar("E", bound=DockerkitError)


def keep_error(path: Path, failure: DockerkitError) -> None:
    """Keep an error in the run's directory."""
    path.write_text(json.dumps([failure.what, failure.saw, failure.mend]), encoding="utf-8")


def raise_kept(path: Path, kind: type[E]) -> None:
    """Raise the error that was kept, if one was.

    Args:
        path: where it is kept.
        kind: what it is.
    """
    try:
        what, saw, mend = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    raise kind(what, saw=saw, mend=mend)
