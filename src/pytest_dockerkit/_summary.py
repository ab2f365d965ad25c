"""The end of a run: what is left is removed, and what was done is told in a line."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._runtime import ledger
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from pytest_dockerkit._runtime.session import Session

#: What is to be told at the end: lines, and whether something is left.
LINES = pytest.StashKey[tuple[list[str], bool]]()


def finish(session: Session) -> tuple[list[str], bool]:
    """Remove what any process of the run has left, and tell what was done.

    Returns:
        the lines to show, and whether something could not be removed.
    """
    if not session.has_made_anything:
        return [], False
    lines = list(ledger.read(session.directory))
    try:
        session.undo_all()
    except DockerkitError as failure:
        return [_told(lines), *str(failure).splitlines()], True
    with contextlib.suppress(OSError):
        # What is left then is an empty ledger.
        session.forget()
    return [f"{_told(lines)}; all removed, images kept"], False


def show(reporter: pytest.TerminalReporter, told: tuple[list[str], bool] | None) -> None:
    """Write the lines below the tests' own."""
    lines, left = told or ([], False)
    if not lines:
        return
    reporter.write_sep("=", "dockerkit", red=left)
    for line in lines:
        reporter.write_line(line, red=left)


def _told(lines: list[dict[str, str]]) -> str:
    images: dict[str, dict[str, None]] = {"built": {}, "pulled": {}, "cached": {}, "started": {}}
    for line in lines:
        if line["do"] == "note":
            images[line["what"]][line["name"]] = None
    made = Counter(line["kind"] for line in lines if line["do"] == "make")
    built = len(images["built"])
    # An image that one worker has built is taken from the cache by the others.
    cached = len([name for name in images["cached"] if name not in images["built"]])
    parts = []
    if built or cached:
        parts.append(f"images: {built} built, {cached} from cache")
    if images["pulled"]:
        parts.append(f"{len(images['pulled'])} pulled")
    made["container"] = len(images["started"])
    parts += [f"{made[kind]} {kind}{'s' if made[kind] != 1 else ''}" for kind in ledger.KINDS[:3] if made[kind]]
    return ", ".join(parts) or "nothing was made"
