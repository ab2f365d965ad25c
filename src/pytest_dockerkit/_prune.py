"""What `dockerkit prune` does: removes what runs have left on the engine.

That is what dead runs have left, what `--dockerkit-reuse` and `--dockerkit-keep` keep, and the image cache where that
is wanted. What is to be removed is found first, each sort by a function of its own; then all of it is removed alike,
and shown.
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
from pytest_dockerkit._runtime import keepsakes, kept, kept_records, sweeping
from pytest_dockerkit._runtime.cached_images import cached_images
from pytest_dockerkit._runtime.ledger import Entry
from pytest_dockerkit._runtime.undoing import side_by_side
from pytest_dockerkit._tables import show_age, write_table
from pytest_dockerkit._units import show_bytes
from pytest_dockerkit.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pytest

    from pytest_dockerkit._engine.labelled import Labelled
    from pytest_dockerkit._runtime.session import Session
    from pytest_dockerkit.errors import DockerkitError

_IN_USE = "stays: a run of the project goes on"
_NEEDED = "stays: was used since"
_CACHE = "image cache"


class _InUseError(ConflictError):
    """Something has come to stand on an image, or another image does: it stays."""


@dataclass(frozen=True)
class Found:
    """Something that may be removed.

    Attributes:
        entry: what it is on the engine.
        project: the directory of the project whose run has left it, or the test that has; "?" where nothing says so.
        shown: what a person knows it by.
        image: what a container's image is called.
        used_at: when it was last used, in seconds since the epoch.
        created_at: when it was made, in the same.
        stays: why it is not removed; empty if it is.
        forget: called once it is gone.
        size_bytes: how large an image is; None of all else.
    """

    entry: Entry
    project: str
    shown: str
    image: str
    used_at: float
    created_at: float
    stays: str
    forget: Callable[[], object]
    size_bytes: int | None = None


def prune(config: pytest.Config, *, dry_run: bool, older_than_s: float, images: bool) -> int:
    """Remove what runs have left on the engine, and print what has become of it.

    Args:
        config: the settings.
        dry_run: whether nothing is removed, but shown.
        older_than_s: for how long it must not have been used, in seconds.
        images: whether the image cache is to go as well.

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
            until = time.time() - older_than_s
            found = [
                *_dead(session, until, dry_run=dry_run),
                *_kept(session, held, until),
                *_for_a_look(session, until),
            ]
            found.sort(key=lambda each: each.project)
            if images:
                found += _images(session, until)
            if not dry_run:
                failures = _remove(session, [each for each in found if not each.stays])
    finally:
        session.close()
    _print(found, failures, dry_run=dry_run)
    return 0 if all(isinstance(failure, _InUseError) for failure in failures.values()) else 1


def _dead(session: Session, until: float, *, dry_run: bool) -> Iterator[Found]:
    """Give what dead runs have left on this engine; of which there is nothing any more is forgotten."""
    found = sweeping.left_by_dead_runs(session.settings, session.keeper.engine, session.engine.labelled)
    there = sweeping.still_there(session.engine, [entry for leavings in found for entry in leavings.entries])
    for leavings in found:
        whose = f"run {leavings.run}, which has died"
        left = [each for each in leavings.entries if each in there]
        if not left and not dry_run:
            leavings.forget()
        waiting = {*left}
        for entry in left:
            thing = there[entry]
            yield Found(
                entry,
                f"{leavings.project}: {whose}" if leavings.project else whose,
                entry.name if thing is None else thing.labels.get(NAME_LABEL) or entry.name,
                "" if thing is None else _short(thing.image),
                leavings.seen_at,
                leavings.seen_at if thing is None else thing.created_at or leavings.seen_at,
                "" if leavings.seen_at <= until else _NEEDED,
                partial(_forget, waiting, entry, leavings),
            )


def _forget(waiting: set[Entry], gone: Entry, leavings: sweeping.Leavings) -> None:
    waiting.discard(gone)
    if not waiting:
        leavings.forget()


def _images(session: Session, until: float) -> Iterator[Found]:
    """Give the images of the cache, the oldest first."""
    for each in cached_images(session):
        stays = each.stays or ("" if each.created_at <= until else "stays: was built since")
        yield Found(
            Entry("image", each.name),
            _CACHE,
            # Of an id, as much as Docker shows.
            each.name[:19] if each.name.startswith("sha256:") else each.name,
            "",
            each.created_at,
            each.created_at,
            stays,
            lambda: None,
            each.size_bytes,
        )


def _kept(session: Session, held: ExitStack, until: float) -> Iterator[Found]:
    """Give what this user's projects keep for their next runs: what is recorded, and what only has the label.

    Args:
        session: reaches the engine.
        held: holds the locks of the projects.
        until: what was used since that time stays.
    """
    by_project: dict[str, list[Labelled]] = {}
    for_a_look = {each.name for each in keepsakes.kept_things(session.settings.state_dir)}
    for each in session.engine.labelled(KEPT_LABEL):
        if each.name not in for_a_look:
            by_project.setdefault(each.labels.get(KEPT_LABEL, ""), []).append(each)
    for name, there in by_project.items():
        # What others keep on the same engine is theirs.
        if (directory := kept.directory_of(session.settings, name)) is not None:
            is_unused = held.enter_context(kept.unused(directory))
            looked_at = kept_records.looked_at(session.settings.state_dir, until)
            yield from _of_project(directory, there, looked_at, until, is_unused=is_unused)


def _for_a_look(session: Session, until: float) -> Iterator[Found]:
    """Give what `--dockerkit-keep` has let stay on this engine."""
    state_dir = session.settings.state_dir
    for each in keepsakes.kept_things(state_dir):
        if each.engine == session.keeper.engine:
            yield Found(
                Entry(each.kind, each.name),
                each.test,
                each.alias or each.name,
                each.image,
                each.kept_at,
                each.kept_at,
                "" if each.kept_at <= until else _NEEDED,
                partial(keepsakes.forget, state_dir, {each.name}),
            )


def _of_project(
    directory: Path,
    there: Sequence[Labelled],
    looked_at: Sequence[kept_records.Thing],
    until: float,
    *,
    is_unused: bool,
) -> Iterator[Found]:
    project = str(kept.about(directory).get("project", "?"))
    recorded = {each.name: each for each in kept_records.things(directory)}
    created = {each.name: each.created_at or 0.0 for each in there}
    if is_unused and (missing := recorded.keys() - created.keys()):
        # Removed by other means.
        kept_records.forget(directory, missing)
    # What is not recorded was made by a run that was killed before it could.
    known = {each.name: kept_records.Thing(each.kind, each.name, created[each.name]) for each in there} | recorded
    used = kept_records.last_used(known.values())
    outdated = {each.name for each in kept_records.outdated([*known.values(), *looked_at], until)}
    for each in there:
        yield Found(
            Entry(each.kind, each.name),
            project,
            each.labels.get(NAME_LABEL) or each.name,
            known[each.name].image or _short(each.image),
            used[each.name] or created[each.name],
            created[each.name],
            _IN_USE if not is_unused else "" if each.name in outdated else _NEEDED,
            partial(kept_records.forget, directory, {each.name}),
        )


def _remove(session: Session, going: Iterable[Found]) -> dict[Entry, DockerkitError]:
    by_entry = {each.entry: each for each in going}

    def remove(entry: Entry) -> None:
        if by_entry[entry].project != _CACHE:
            session.engine.remove(entry.kind, entry.name)
        elif not session.engine.survey.remove_unused_image(entry.name):
            raise _InUseError(f"image {entry.name} is in use")

    failures = side_by_side(by_entry, remove)
    for entry, each in by_entry.items():
        if entry not in failures:
            each.forget()
    return failures


# What is shown


def _print(found: Sequence[Found], failures: dict[Entry, DockerkitError], *, dry_run: bool) -> None:
    if not found:
        print("nothing is left or kept on this engine")
        return
    removed = "would be removed" if dry_run else "removed"
    now = time.time()

    def row(each: Found) -> tuple[str, ...]:
        done = each.stays or (_failed(failures[each.entry]) if each.entry in failures else removed)
        last, age = show_age(now - each.used_at), show_age(now - each.created_at)
        size = "" if each.size_bytes is None else show_bytes(each.size_bytes)
        return (f"  {each.entry.kind}", each.shown, each.image, size, f"{last} ago", age, done)

    rows: list[str | tuple[str, ...]] = []
    for project, things in groupby(found, key=lambda each: each.project):
        rows += [project, *map(row, things)]
    write_table(("  kind", "name", "image", "size", "last used", "age", "what becomes of it"), rows)
    going = [each for each in found if not each.stays]
    print(f"{len(going) - len(failures)} of {len(found)} {removed}", flush=True)
    for entry, failure in failures.items():
        if not isinstance(failure, _InUseError):
            print(f"\n{entry.kind} {entry.name}: {failure}", file=sys.stderr)


def _failed(failure: DockerkitError) -> str:
    return "stays: something stands on it" if isinstance(failure, _InUseError) else "could not be removed"


def _short(image: str) -> str:
    return image.removeprefix("sha256:")[:40]
