"""Undoing a run by its ledger, with an engine that does as it is told."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit._runtime import undoing
from pytest_dockerkit._runtime.alive import Alive
from pytest_dockerkit._runtime.ledger import Entry, Ledger, open_entries, read
from pytest_dockerkit._runtime.undoing import LOOKS, PAUSE_S, TRIES, Undoing, side_by_side
from pytest_dockerkit.errors import EngineError, EngineUnavailableError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a run that has made one of each kind."""
    directory = tmp_path / "run of mine"
    directory.mkdir()
    book = Ledger(directory / "main.jsonl")
    for kind in ("image", "volume", "network", "container"):
        book.making(kind, kind[0])
    return directory


class Engine:
    """Removes what it is asked for, unless its script says otherwise.

    Attributes:
        asked: what it was asked for, in order.
        script: what it does at each further request for one name, and in the end always: an error to raise, or
            whether it was there.
        pauses_s: how long was waited in between.
    """

    def __init__(self, **script: list[Any]) -> None:
        self.asked: list[str] = []
        self.script = script
        self.pauses_s: list[float] = []

    def __call__(self, kind: str, name: str) -> bool:
        assert kind
        self.asked.append(name)
        steps = self.script.get(name, [True])
        step = steps.pop(0) if len(steps) > 1 else steps[0]
        if isinstance(step, Exception):
            raise step
        return bool(step)

    def undoes(self, run: Path) -> bool:
        return Undoing(run, self, self.pauses_s.append).undo()


def test_all_goes_in_the_order_in_which_it_can(run: Path) -> None:
    engine = Engine()
    assert engine.undoes(run)
    assert engine.asked == ["c", "n", "v", "i"]
    assert engine.pauses_s == []
    assert not run.exists()


def test_what_fails_holds_up_nothing_else_and_is_tried_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine(n=[EngineError("the engine could not remove the network n", saw="it has endpoints"), True])
    assert engine.undoes(run)
    assert engine.asked == ["c", "n", "v", "i", "n"]
    assert len(engine.pauses_s) == 1
    assert not run.exists()
    assert "network n: the engine could not remove the network n: it has endpoints\n" in capsys.readouterr().err


def test_an_engine_that_is_started_anew_is_waited_for(run: Path) -> None:
    away = EngineUnavailableError("the engine went away", saw="Connection refused")
    engine = Engine(**{name: [away, away, away, True] for name in "cnvi"})
    assert engine.undoes(run)
    assert engine.pauses_s == [PAUSE_S] * 3
    assert not run.exists()


def test_what_never_goes_stays_in_the_ledger_and_the_log_says_why(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(v=[EngineError("the engine could not remove the volume v", saw="it is in use")])
    assert not engine.undoes(run)
    assert engine.asked.count("v") == TRIES * LOOKS
    longer = [each for each in engine.pauses_s if each != PAUSE_S]
    assert longer == sorted(longer)
    assert sum(longer) >= 120
    assert open_entries(read(run)) == [Entry("volume", "v")]
    said = capsys.readouterr().err
    assert said.count("volume v: the engine could not remove the volume v: it is in use") == 1
    assert said.endswith("given up: 1 left: volume v\n")


def test_what_was_not_there_is_looked_for_again(run: Path) -> None:
    """The engine may still be making it for a process that was killed."""
    engine = Engine(c=[False, False, True], v=[False])
    assert engine.undoes(run)
    assert engine.asked == ["c", "n", "v", "i", "c", "v", "c", "v", *["v"] * (LOOKS - 3)]
    assert engine.pauses_s == [PAUSE_S] * (LOOKS - 1)
    assert not run.exists()


def test_processes_of_the_run_that_live_are_outlived(run: Path) -> None:
    """What there is goes at once; what one of them was about to make goes as it comes, and when it has ended."""
    worker = Alive(lambda: run, "gw0")
    worker.hold()
    book = Ledger(run / "gw0.jsonl")
    engine = Engine(late=[False] * LOOKS + [True], last=[True])

    def sleep(pause_s: float) -> None:
        if engine.asked == ["c", "n", "v", "i"]:
            book.making("container", "late")
        elif engine.asked.count("late") == LOOKS:
            book.making("container", "last")
            worker.release()

    waited: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        # Nobody says how long it lives: it is waited for without looking.
        patched.setattr(undoing, "wait_until_free", lambda lock: waited.append(lock))
        assert Undoing(run, engine, sleep).undo()
    assert engine.asked == ["c", "n", "v", "i", *["late"] * LOOKS, "last", "late"]
    assert waited == [str(run / "gw0.alive.lock")]
    assert not run.exists()


def test_what_others_have_made_and_removed_counts(run: Path) -> None:
    worker = Ledger(run / "gw0.jsonl")
    worker.making("container", "of a worker")
    worker.gone("container", "c")
    engine = Engine()
    assert engine.undoes(run)
    assert engine.asked == ["of a worker", "n", "v", "i"]


def test_what_is_gone_meanwhile_need_not_go(run: Path) -> None:
    """Another has undone the run."""
    engine = Engine()
    shutil.rmtree(run)
    assert engine.undoes(run)
    assert engine.asked == []


def test_a_last_line_of_the_run_itself_holds_nothing_up(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rmtree, tries = shutil.rmtree, []

    def disturbed(path: Path) -> None:
        tries.append(path)
        if len(tries) == 1:
            raise OSError(39, "Directory not empty")
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", disturbed)
    assert Engine().undoes(run)
    assert len(tries) == 2
    assert not run.exists()


def test_a_full_disk_stops_nothing(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Ledger, "gone", full)
    engine = Engine()
    assert engine.undoes(run)
    assert engine.asked == ["c", "n", "v", "i"]
    assert "container c is gone, and that cannot be written" in capsys.readouterr().err


def test_those_of_one_kind_go_side_by_side() -> None:
    """As many as are removed at once wait here for each other."""
    together = threading.Barrier(undoing.WIDTH, timeout=60)
    entries = [Entry("container", str(number)) for number in range(2 * undoing.WIDTH)]
    done: list[Entry] = []

    def carry_out(entry: Entry) -> None:
        together.wait()
        done.append(entry)
        if entry.name == "3":
            raise EngineError("no")

    failures = side_by_side(entries, carry_out)
    assert sorted(done) == entries
    assert [(entry.name, failure.what) for entry, failure in failures.items()] == [("3", "no")]
