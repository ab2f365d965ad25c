"""What undoes a run: one thing beside the other here, or all of it in the process that watches over the run.

The process begins when it is loaded, and is to have removed the first thing soon after: this loads little.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.removing import remove, wire_by
from pytest_dockerkit._poll import pause, retried
from pytest_dockerkit._runtime import alive, ledger
from pytest_dockerkit._runtime.watching import wait_until_free
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_dockerkit._runtime.ledger import Entry

#: How many things are removed at once. An engine on two cores gets no faster with more than four.
WIDTH = 4
#: Kinds in the order in which they can be removed: nothing stands on containers, and they on all the others.
ORDER = ("service", "container", "network", "volume", "image", "secret", "config", "swarm")

#: How often in a row all is tried that is left, and the pause between, in seconds: for 6 s. The engine may still make
#: what a process has asked for that was killed; and most of what cannot be removed at once can be a moment later.
LOOKS = 16
PAUSE_S = 0.4
#: How often that is done until nothing is left, and the first pause between, in seconds: more than two minutes in
#: all. An engine that is started anew is there in that time.
TRIES = 7
FIRST_PAUSE_S = 2.0

#: The watcher's own ledger and its log, in the run's directory.
BOOK = "undoing.jsonl"
LOG = "undoing.log"


class LeftError(Exception):
    """Something is left of a run."""


def side_by_side(entries: Iterable[Entry], carry_out: Callable[[Entry], object]) -> dict[Entry, DockerkitError]:
    """Remove things, kind after kind, those of one kind at once; one failure stops no other.

    Returns:
        what could not be removed, and why.
    """
    failures: dict[Entry, DockerkitError] = {}
    entries = list(entries)
    for kind in ORDER:
        waiting = deque(entry for entry in entries if entry.kind == kind)
        work = partial(_work_off, waiting, carry_out, failures)
        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(WIDTH, len(waiting)) - 1)]
        for thread in threads:
            thread.start()
        # One thing alone needs no thread.
        work()
        for thread in threads:
            thread.join()
    return failures


def _work_off(
    waiting: deque[Entry], carry_out: Callable[[Entry], object], failures: dict[Entry, DockerkitError]
) -> None:
    while True:
        try:
            entry = waiting.popleft()
        except IndexError:
            return
        try:
            carry_out(entry)
        except DockerkitError as failure:
            failures[entry] = failure


class Undoing:
    """Undoes a run by its ledger.

    What was not there when it was to be removed is looked for again: the engine may still be making it for a process
    that was killed, or removing it for one that has ended.
    """

    def __init__(
        self, directory: Path, carry_out: Callable[[str, str], bool], sleep: Callable[[float], None] = pause
    ) -> None:
        """Begin with nothing done.

        Args:
            directory: the run's.
            carry_out: removes one thing, by its kind and name, and tells whether it was there.
            sleep: waits for so many seconds.
        """
        self._directory = directory
        self._carry_out = carry_out
        self._sleep = sleep
        self._book = ledger.Ledger(directory / BOOK)
        self._gone: set[Entry] = set()
        self._told: dict[Entry, str] = {}

    def undo(self) -> bool:
        """Remove all that is left, and the run's directory with it.

        Returns:
            whether nothing is left. What is stays in the ledger, and the log has the reasons.
        """
        tries = {"tries": TRIES, "first_s": FIRST_PAUSE_S}
        try:
            self._outlive_others()
            retried(self._undo_all, passes=_is_left, sleep=self._sleep, **tries)  # type: ignore[arg-type]
            # The run's own last line may come while the files go.
            retried(self._forget, passes=_may_go, sleep=self._sleep, **tries)  # type: ignore[arg-type]
        except (LeftError, OSError) as failure:
            log(f"given up: {failure}")
            return False
        return True

    def _outlive_others(self) -> None:
        """Undo what there is as long as processes of the run live; they make nothing new for long."""
        while others := alive.others_alive(self._directory):
            # For what one of them was about to make as the owner ended.
            for _ in range(LOOKS):
                self._undo_once()
                self._sleep(PAUSE_S)
                if not alive.others_alive(self._directory):
                    return
            for lock in others:
                wait_until_free(str(lock))

    def _undo_all(self) -> None:
        """Remove all that is left, and look for a while for what is not there.

        Raises:
            LeftError: something cannot be removed.
        """
        missing, failures = self._undo_once()
        for _ in range(LOOKS - 1):
            if not missing and not failures:
                return
            self._sleep(PAUSE_S)
            missing, failures = self._undo_once()
        if failures:
            raise LeftError(f"{len(failures)} left: " + ", ".join(f"{each.kind} {each.name}" for each in failures))
        for entry in missing:
            self._note(entry)

    def _undo_once(self) -> tuple[list[Entry], list[Entry]]:
        """Give what was not there, and what could not be removed."""
        entries = [each for each in ledger.open_entries(ledger.read(self._directory)) if each not in self._gone]
        failures = side_by_side(entries, self._attempt)
        for entry, failure in failures.items():
            text = f"{entry.kind} {entry.name}: {failure.what}: {failure.saw}"
            if self._told.get(entry) != text:
                self._told[entry] = text
                log(text)
        return [each for each in entries if each not in self._gone and each not in failures], [*failures]

    def _attempt(self, entry: Entry) -> None:
        if self._carry_out(entry.kind, entry.name):
            self._note(entry)

    def _note(self, entry: Entry) -> None:
        self._gone.add(entry)
        try:
            self._book.gone(entry.kind, entry.name)
        except (DockerkitError, OSError) as failure:
            # A full disk, say; the next run finds out by itself that it is gone.
            log(f"{entry.kind} {entry.name} is gone, and that cannot be written: {failure}")

    def _forget(self) -> None:
        import shutil

        try:
            shutil.rmtree(self._directory)
        except FileNotFoundError:
            if self._directory.exists():
                raise


def _is_left(failure: Exception) -> bool:
    return isinstance(failure, LeftError)


def _may_go(failure: Exception) -> bool:
    return isinstance(failure, OSError)


def log(text: str) -> None:
    """Write a line for whoever finds the run's directory still there."""
    print(time.strftime("%Y-%m-%d %H:%M:%S"), text, file=sys.stderr, flush=True)  # noqa: T201  - it is the log


def undo(directory: str, job: bytes) -> bool:
    """Undo a run, in the process that has watched over it.

    Args:
        directory: the run's.
        job: how the engine is reached, as JSON.

    Returns:
        whether nothing is left.
    """
    return Undoing(Path(directory), remover(json.loads(job))).undo()


def remover(job: dict[str, Any]) -> Callable[[str, str], bool]:
    """Give what removes things from the engine that a job names; it is reached when the first is to go."""
    engine = job["engine"]
    if "variables" in engine:
        # What docker-py finds the engine and itself by.
        os.environ.update(engine["variables"])
        sys.path += [each for each in job["path"] if each not in sys.path]
    wires: list[Any] = []
    reaching = threading.Lock()

    def carry_out(kind: str, name: str) -> bool:
        with reaching:
            if not wires:
                wires.append(wire_by(engine))
        return remove(wires[0], kind, name)

    return carry_out
