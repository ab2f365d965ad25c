"""Undoing a run by its ledger, with an engine that does as it is told; and the process that does it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pytest_dockerkit
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime import handover, undoing
from pytest_dockerkit._runtime.handover import NotHandedOverError, Undoer
from pytest_dockerkit._runtime.ledger import Entry, Ledger, open_entries, read
from pytest_dockerkit._runtime.undoing import TRIES, Undoing, side_by_side
from pytest_dockerkit.errors import EngineError, EngineUnavailableError

#: An engine that is not there: nothing is to be asked of it.
NOWHERE = {"path": "/no/such.sock", "headers": {}, "prefix": "/v1.41"}


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
    assert len(engine.pauses_s) == 3
    assert engine.pauses_s == sorted(engine.pauses_s)
    assert not run.exists()


def test_what_never_goes_stays_in_the_ledger_and_the_log_says_why(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(v=[EngineError("the engine could not remove the volume v", saw="it is in use")])
    assert not engine.undoes(run)
    assert engine.asked.count("v") == TRIES
    assert sum(engine.pauses_s) >= 31
    assert open_entries(read(run)) == [Entry("volume", "v")]
    said = capsys.readouterr().err
    assert said.count("volume v: the engine could not remove the volume v: it is in use") == TRIES
    assert said.endswith("given up: 1 left: volume v\n")


def test_what_was_not_there_is_looked_for_once_more(run: Path) -> None:
    """The engine may still be making it for a process that was killed."""
    engine = Engine(c=[False, True], v=[False])
    assert engine.undoes(run)
    assert engine.asked == ["c", "n", "v", "i", "c", "v"]
    assert len(engine.pauses_s) == 1
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


# The process


def ended(found: Callable[[], object]) -> None:
    """Wait until a process has done what it was to do."""
    assert until_ready(lambda: Look(not found()), timeout_s=60).ready


def processes(directory: Path) -> list[str]:
    listed = subprocess.run(["ps", "-axww", "-o", "command="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "undoing" in line and str(directory) in line]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
class TestProcess:
    def test_it_undoes_and_ends(self, tmp_path: Path) -> None:
        directory = tmp_path / "run ü"
        directory.mkdir()
        Ledger(directory / "main.jsonl").note("cached", "kit:1")
        undoer = Undoer(directory)
        undoer.take(NOWHERE)
        ended(directory.exists)
        ended(lambda: processes(directory))

    def test_what_it_is_given_nobody_can_read_from_outside(self, run: Path) -> None:
        undoer = Undoer(run)
        assert processes(run)
        undoer.take({**NOWHERE, "headers": {"Authorization": "hunter2"}})
        (line,) = processes(run)
        assert "hunter2" not in line
        shutil.rmtree(run)
        ended(lambda: processes(run))

    def test_given_nothing_it_does_nothing(self, run: Path) -> None:
        before = open_entries(read(run))
        Undoer(run).close()
        ended(lambda: processes(run))
        assert open_entries(read(run)) == before
        assert (run / undoing.LOG).read_text(encoding="utf-8") == ""

    def test_what_it_cannot_read_it_does_not_take(self, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json, "dumps", lambda _: "{")
        with pytest.raises(NotHandedOverError, match=r"its process has ended, and .*undoing\.log may say why"):
            Undoer(run).take(NOWHERE)
        assert "JSONDecodeError" in (run / undoing.LOG).read_text(encoding="utf-8")

    def test_modules_of_the_user_are_not_taken_for_pythons(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither those where pytest runs, nor those that PYTHONPATH names."""
        for name in ("json.py", "socket.py", "sitecustomize.py"):
            (tmp_path / name).write_text("raise SystemExit('not me')", encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path])
        directory = tmp_path / "run"
        directory.mkdir()
        Undoer(directory).take(NOWHERE)
        ended(directory.exists)

    def test_it_loads_little(self) -> None:
        """What takes longer to load than a removal is not loaded before one."""
        source = Path(pytest_dockerkit.__file__).parents[1]
        script = (
            "import sys; sys.path.append(sys.argv[1]); import pytest_dockerkit._runtime.undoing; print(*sys.modules)"
        )
        loaded = subprocess.run(
            [sys.executable, "-S", "-P", "-c", script, str(source)], capture_output=True, text=True, check=True
        ).stdout.split()
        heavy = {"asyncio", "dataclasses", "docker", "http", "inspect", "logging", "random", "ssl", "subprocess"}
        assert heavy.isdisjoint(loaded)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"executable": ""}, "there is no Python to start a process with"),
        ({"frozen": True}, "there is no Python to start a process with"),
    ],
)
def test_some_pythons_can_start_no_other(
    changed: dict[str, object], reason: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in changed.items():
        monkeypatch.setattr(sys, name, value, raising=False)
    with pytest.raises(NotHandedOverError, match=reason):
        Undoer(run)


def test_the_first_process_of_a_container_waits(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(NotHandedOverError, match="pytest is the first process of a container"):
        Undoer(run)


def test_a_machine_that_has_no_process_left_is_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", full)
    with pytest.raises(NotHandedOverError, match=r"no process can be started: .*temporarily unavailable"):
        Undoer(run)


def test_compiled_modules_are_where_those_of_this_python_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", "/some where")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert handover._cache_flags() == ["-X", "pycache_prefix=/some where", "-B"]
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert handover._cache_flags() == []
