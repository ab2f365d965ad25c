"""What `dockerkit prune` does: removes what runs have left on the engine.

By now that is what `--dockerkit-reuse` keeps. What is to be removed is found first, each sort by a function of its
own; then all of it is removed alike, and shown.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_dockerkit import _run
from pytest_dockerkit._names import KEPT_LABEL, NAME_LABEL
from pytest_dockerkit._runtime import kept, kept_records
from pytest_dockerkit._runtime.ledger import Entry
from pytest_dockerkit._runtime.removals import undo
from pytest_dockerkit._runtime.undoing import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pytest

    from pytest_dockerkit._engine.labelled import Labelled
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit.errors import DockerkitError

_IN_USE = "stays: a run of the project goes on"
_NEEDED = "stays: was used since"


@dataclass(frozen=True)
class Found:
    """Something that may be removed.

    Attributes:
        entry: what it is on the engine.
        project: the directory of the project whose run has left it; "?" where nothing says so.
        shown: what a person knows it by.
        image: what a container's image is called.
        used_at: when it was last used, in seconds since the epoch.
        created_at: when it was made, in the same.
        stays: why it is not removed; empty if it is.
        forget: called once it is gone.
    """

    entry: Entry
    project: str
    shown: str
    image: str
    used_at: float
    created_at: float
    stays: str
    forget: Callable[[], object]


def prune(config: pytest.Config, *, dry_run: bool, older_than_s: float) -> int:
    """Remove what runs have left on the engine, and print what has become of it.

    Args:
        config: the settings.
        dry_run: whether nothing is removed, but shown.
        older_than_s: for how long it must not have been used, in seconds.

    Returns:
        the exit code.

    Raises:
        EngineUnavailableError: no engine answers.
        EngineError: it does not say what it has.
    """
    session = _run.session_of(config)
    failures: dict[Entry, DockerkitError] = {}
    try:
        # Held until all is removed, so that no run takes anything in between.
        with ExitStack() as held:
            found = sorted(_kept(session, held, time.time() - older_than_s), key=lambda each: each.project)
            if not dry_run:
                failures = _remove(session, [each for each in found if not each.stays])
    finally:
        session.close()
    _print(found, failures, dry_run=dry_run)
    return 1 if failures else 0


def _kept(session: Session, held: ExitStack, until: float) -> Iterator[Found]:
    """Give what this user's projects keep for their next runs: what is recorded, and what only has the label.

    Args:
        session: reaches the engine.
        held: holds the locks of the projects.
        until: what was used since that time stays.
    """
    by_project: dict[str, list[Labelled]] = {}
    for each in session.engine.labelled(KEPT_LABEL):
        by_project.setdefault(each.labels.get(KEPT_LABEL, ""), []).append(each)
    for name, there in by_project.items():
        # What others keep on the same engine is theirs.
        if (directory := kept.directory_of(session.settings, name)) is not None:
            is_unused = held.enter_context(kept.unused(directory))
            yield from _of_project(directory, there, until, is_unused=is_unused)


def _of_project(directory: Path, there: Sequence[Labelled], until: float, *, is_unused: bool) -> Iterator[Found]:
    project = str(kept.about(directory).get("project", "?"))
    recorded = {each.name: each for each in kept_records.things(directory)}
    created = {each.name: each.created_at or 0.0 for each in there}
    if is_unused and (missing := recorded.keys() - created.keys()):
        # Removed by other means.
        kept_records.forget(directory, missing)
    # What is not recorded was made by a run that was killed before it could.
    known = {each.name: kept_records.Thing(each.kind, each.name, created[each.name]) for each in there} | recorded
    used = kept_records.last_used(known.values())
    outdated = {each.name for each in kept_records.outdated(known.values(), until)}
    for each in there:
        yield Found(
            Entry(each.kind, each.name),
            project,
            each.labels.get(NAME_LABEL) or each.name,
            known[each.name].image or each.image.removeprefix("sha256:")[:40],
            used[each.name] or created[each.name],
            created[each.name],
            _IN_USE if not is_unused else "" if each.name in outdated else _NEEDED,
            partial(kept_records.forget, directory, {each.name}),
        )


def _remove(session: Session, going: Iterable[Found]) -> dict[Entry, DockerkitError]:
    by_entry = {each.entry: each for each in going}
    failures = side_by_side(by_entry, lambda entry: undo(session.engine, entry.kind, entry.name))
    for entry, each in by_entry.items():
        if entry not in failures:
            each.forget()
    return failures


# What is shown


def _print(found: Sequence[Found], failures: dict[Entry, DockerkitError], *, dry_run: bool) -> None:
    if not found:
        print("nothing is kept on this engine")
        return
    removed = "would be removed" if dry_run else "removed"
    now = time.time()

    def row(each: Found) -> tuple[str, ...]:
        done = "could not be removed" if each.entry in failures else each.stays or removed
        last, age = _span(now - each.used_at), _span(now - each.created_at)
        return (f"  {each.entry.kind}", each.shown, each.image, f"{last} ago", age, done)

    head = ("  kind", "name", "image", "last used", "age", "what becomes of it")
    widths = [max(map(len, column)) for column in zip(head, *map(row, found), strict=True)]

    def line(cells: tuple[str, ...]) -> str:
        return "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()

    print(line(head))
    for project, things in groupby(found, key=lambda each: each.project):
        print(project)
        for each in things:
            print(line(row(each)))
    going = [each for each in found if not each.stays]
    print(f"{len(going) - len(failures)} of {len(found)} {removed}", flush=True)
    for entry, failure in failures.items():
        print(f"\n{entry.kind} {entry.name}: {failure}", file=sys.stderr)


def _span(seconds: float) -> str:
    """Write a length of time as a person says it, such as `5 min`: from two of a unit on, that unit."""
    for unit, length_s in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
