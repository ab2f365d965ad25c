"""Errors that are kept for a run: who would try the same again is told the same at once, in whichever process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from pytest_dockerkit import errors
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

E = TypeVar("E", bound=DockerkitError)


def written(failure: DockerkitError) -> list[str]:
    """Give an error as JSON has it."""
    return [type(failure).__name__, failure.what, failure.saw, failure.mend, failure.details]


def revived(said: Sequence[str]) -> DockerkitError:
    """Give the error that `written` was given."""
    name, what, saw, mend, details = said
    kind = getattr(errors, name, DockerkitError)
    error: DockerkitError = kind(what, saw=saw, mend=mend, details=details)
    return error


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
