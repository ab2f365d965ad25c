"""What dead runs have left on the engine, found by their ledgers and by their labels."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_dockerkit._names import KEPT_LABEL, OWNER_LABEL, RUN_LABEL, is_object_name
from pytest_dockerkit._runtime import keepsakes
from pytest_dockerkit._runtime.alive import is_alive
from pytest_dockerkit._runtime.ledger import Entry
from pytest_dockerkit._runtime.owner import owner_of
from pytest_dockerkit._runtime.runs import known_runs
from pytest_dockerkit._runtime.undoing import LOG, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pytest_dockerkit._engine.daemon import Daemon
    from pytest_dockerkit._engine.labelled import Labelled
    from pytest_dockerkit._runtime.runs import Run
    from pytest_dockerkit._runtime.settings import Settings
    from pytest_dockerkit.errors import DockerkitError

#: For how long the directory of a dead run is kept whose engine was not used since, in seconds: 30 days. What it may
#: have left there is found by its label.
FORGET_S = 30 * 86400.0

#: In a dead run's directory: that something of it could not be removed was told.
_TOLD = "told"


@dataclass
class Leavings:
    """What one dead run has left on an engine.

    Attributes:
        run: its id.
        directory: the run's; None where it is gone, and the labels alone tell.
        project: the project's directory; empty where nothing says so.
        seen_at: when the run was last seen alive, in seconds since the epoch.
        entries: what it has left, as far as is known.
        may_go: whether nothing is left to be known of the run once the entries are gone.
    """

    run: str
    directory: Path | None
    project: str
    seen_at: float
    entries: list[Entry] = field(default_factory=list)
    may_go: bool = True

    def forget(self) -> None:
        """Forget the run, once all of its things are gone; what cannot be, the next one forgets."""
        if self.directory is not None and self.may_go:
            shutil.rmtree(self.directory, ignore_errors=True)

    def is_told(self) -> bool:
        """Tell whether its failures were told before; from now on they were."""
        if self.directory is None:
            return False
        mark = self.directory / _TOLD
        try:
            mark.touch(exist_ok=False)
        except OSError:
            return mark.exists()
        return False

    def log(self, text: str) -> None:
        """Write a line for whoever finds the run's directory still there."""
        if self.directory is None:
            return
        try:
            with (self.directory / LOG).open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        except OSError:
            return


def left_by_dead_runs(
    settings: Settings, engine: str, there: Callable[[str, str], Iterable[Labelled]], *, except_for: str = ""
) -> list[Leavings]:
    """Find what dead runs of this user on this machine have left on an engine.

    What others have made is not among it, nor what living runs use, what stays for the next run or for a person to
    look at, or what has no label.

    Args:
        settings: whose runs.
        engine: what the engine is called.
        there: says what the engine has with a label of a value.
        except_for: the id of a run that is not looked at.
    """
    owner = owner_of(settings)
    # Asked first: what is begun from now on is not among it, and whatever is has a run that can be seen to live.
    labelled = [] if owner is None else list(there(OWNER_LABEL, owner))
    stays = _stays(settings)
    runs = {run.id: run for run in known_runs(settings.state_dir) if run.id != except_for}
    found = {run.id: _by_ledger(run, engine, stays) for run in runs.values() if not run.lives}
    for each in labelled:
        run_id = each.labels.get(RUN_LABEL, "")
        if run_id == except_for or not is_left(each, stays) or _lives(settings, runs.get(run_id), run_id):
            continue
        leavings = found.setdefault(run_id, Leavings(run_id, None, "", each.created_at or 0.0))
        entry = Entry(each.kind, each.name)
        if entry not in leavings.entries:
            leavings.entries.append(entry)
    return list(found.values())


def is_left(thing: Labelled, stays: Iterable[str] = ()) -> bool:
    """Tell whether a run has made something for itself: it is to go with the run.

    Labels alone do not tell. Who commits a container to an image gives them to all that is started from it.
    """
    return (
        KEPT_LABEL not in thing.labels
        and thing.name not in stays
        and is_object_name(thing.name, thing.labels.get(RUN_LABEL, ""))
    )


def still_there(engine: Daemon, entries: Iterable[Entry]) -> dict[Entry, Labelled | None]:
    """Give what an engine still has of what ledgers have; of images no more is known.

    Raises:
        EngineError: it does not say what it has.
    """
    labelled = {(each.kind, each.name): each for each in engine.labelled(RUN_LABEL)}
    return {
        entry: labelled.get(entry)
        for entry in entries
        if entry in labelled or (entry.kind == "image" and engine.images.find(entry.name) is not None)
    }


def _stays(settings: Settings) -> set[str]:
    """Give the names of what stays though its run has ended."""
    names = {each.name for each in keepsakes.kept_things(settings.state_dir)}
    if not any(settings.state_dir.glob("kept-*")):
        # As for most users; the rest is imported for the others alone.
        return names
    from pytest_dockerkit._runtime import kept, kept_records

    for directory in kept.directories(settings):
        names |= {each.name for each in kept_records.things(directory)}
    return names


def _lives(settings: Settings, run: Run | None, run_id: str) -> bool:
    if run is not None:
        return run.lives
    directory = settings.state_dir / "runs" / run_id
    # One that has just begun, or that cannot be read.
    return bool(run_id) and directory.is_dir() and (is_alive(directory) or not any(directory.glob("*.jsonl")))


def _by_ledger(run: Run, engine: str, stays: set[str]) -> Leavings:
    is_elsewhere = run.engine not in ("", engine)
    entries = [] if is_elsewhere else [each for each in run.entries if each.name not in stays]
    is_old = time.time() - run.seen_at > FORGET_S
    may_go = run.is_whole and (not is_elsewhere or not run.entries or is_old)
    return Leavings(run.id, run.directory, run.project, run.seen_at, entries, may_go)


@dataclass
class Swept:
    """What has become of what dead runs have left.

    Attributes:
        runs: how many of them have left anything that was there.
        removed: how many things of each kind were removed.
        failures: what could not be removed, and why, of those runs whose failures were not told before.
    """

    runs: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    failures: dict[Entry, DockerkitError] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """What is told of it; nothing if there was nothing."""
        whose = "1 run" if self.runs == 1 else f"{self.runs} runs"
        said = []
        if self.removed:
            said.append(f"removed what {whose} had left: {counted(self.removed)}")
        if self.failures:
            reasons = "; ".join(
                f"{each.kind} {each.name} ({why.what}: {why.saw})" for each, why in self.failures.items()
            )
            said.append(f"could not remove what runs before have left, `dockerkit prune` tries again: {reasons}")
        return said


def remove(
    found: Sequence[Leavings], carry_out: Callable[[Entry], bool], stopped: Callable[[], bool] = bool
) -> Swept:
    """Remove what dead runs have left, one run after the other.

    Args:
        found: what.
        carry_out: removes one thing, and tells whether it was there.
        stopped: tells whether to stop; what is left then is for the next run.
    """
    swept = Swept()
    for leavings in found:
        if stopped():
            break
        removed: list[str] = []

        def attempt(entry: Entry, removed: list[str] = removed) -> None:
            if not stopped() and carry_out(entry):
                removed.append(entry.kind)

        failures = side_by_side(leavings.entries, attempt)
        swept.removed.update(removed)
        swept.runs += bool(removed)
        for entry, failure in failures.items():
            leavings.log(f"{entry.kind} {entry.name}: {failure.what}: {failure.saw}")
        if not failures and not stopped():
            leavings.forget()
        elif failures and not leavings.is_told():
            swept.failures |= failures
    return swept


def counted(kinds: Counter[str]) -> str:
    """Write how many things there are of each kind: `2 containers, 1 network`."""
    return ", ".join(
        f"{kinds[kind]} {kind}{'s' if kinds[kind] != 1 else ''}"
        for kind in ("container", "network", "volume", "image")
        if kinds[kind]
    )
