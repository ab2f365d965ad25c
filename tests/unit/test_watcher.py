"""The process that watches over a run: how it is started, what it is told, and when it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pytest_dockerkit
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime import alive, undoing, watcher, watching
from pytest_dockerkit._runtime.alive import Alive
from pytest_dockerkit._runtime.ledger import Ledger, open_entries, read
from pytest_dockerkit._runtime.watcher import NotWatchedError, Watcher

#: An engine that is not there: nothing is to be asked of it.
NOWHERE: dict[str, object] = {"path": "/no/such.sock", "headers": {}, "prefix": "/v1.41"}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a run that has made nothing."""
    directory = tmp_path / "run ü of mine"
    directory.mkdir()
    Ledger(directory / "main.jsonl").note("cached", "kit:1")
    return directory


@pytest.fixture
def owner(run: Path) -> Alive:
    """What shows that the run lives."""
    made = Alive(lambda: run)
    made.hold()
    return made


def begun(run: Path, engine: dict[str, object] = NOWHERE) -> Watcher:
    made = Watcher(lambda: run, lambda: engine)
    made.begin()
    return made


def processes(run: Path) -> list[str]:
    listed = subprocess.run(["ps", "-axww", "-o", "command="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "watching.py" in line and str(run) in line]


def over(found: Callable[[], object]) -> None:
    """Wait until something is not there any more."""
    assert until_ready(lambda: Look(not found()), timeout_s=60).ready


def test_it_undoes_and_ends_when_the_owner_is_gone(run: Path, owner: Alive) -> None:
    watching = begun(run)
    watching.await_understood()
    assert len(processes(run)) == 1
    assert run.exists()
    owner.release()
    over(run.exists)
    over(lambda: processes(run))
    watching.close()


def test_it_ends_with_a_run_that_has_ended_in_order(run: Path, owner: Alive) -> None:
    watching = begun(run)
    shutil.rmtree(run)
    owner.release()
    watching.close()
    over(lambda: processes(run))
    assert not run.exists()


def test_a_run_has_one(run: Path, owner: Alive) -> None:
    """Also where several of its processes begin to make something."""
    all_ = [begun(run) for _ in range(4)]
    for each in all_:
        each.begin()
        each.await_understood()
    assert len(processes(run)) == 1
    owner.release()
    for each in all_:
        each.close()
    over(lambda: processes(run))


def test_one_that_was_killed_is_followed_by_another(run: Path, owner: Alive) -> None:
    first = begun(run)
    first.await_understood()
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
    (line,) = [each for each in listed.splitlines() if "watching.py" in each and str(run) in each]
    os.kill(int(line.split()[0]), 9)
    over(lambda: alive.is_locked(run / alive.WATCHER))
    second = begun(run)
    second.await_understood()
    owner.release()
    over(run.exists)
    first.close()
    second.close()


def test_what_it_is_given_nobody_can_read_from_outside(run: Path, owner: Alive) -> None:
    watching = begun(run, {**NOWHERE, "headers": {"Authorization": "hunter2"}})
    watching.await_understood()
    (line,) = processes(run)
    assert "hunter2" not in line
    assert not [each for each in run.iterdir() if b"hunter2" in each.read_bytes()]
    owner.release()
    over(lambda: processes(run))
    watching.close()


def test_given_nothing_it_does_nothing(run: Path, owner: Alive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever started it was killed before it could say more."""
    Ledger(run / "main.jsonl").making("container", "c")
    before = open_entries(read(run))
    monkeypatch.setattr(json, "dumps", lambda _: "{")
    monkeypatch.setattr(watcher, "_send", lambda process, _: process.stdin.close())
    watching = begun(run)
    with pytest.raises(NotWatchedError, match=r"its process has ended, and .*undoing\.log may say why"):
        watching.await_understood()
    owner.release()
    watching.close()
    over(lambda: processes(run))
    assert open_entries(read(run)) == before
    assert (run / undoing.LOG).read_text(encoding="utf-8") == ""


def test_modules_of_the_user_are_not_taken_for_pythons(
    run: Path, owner: Alive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither those where pytest runs, nor those that PYTHONPATH names."""
    for name in ("json.py", "socket.py", "sitecustomize.py"):
        (tmp_path / name).write_text("raise SystemExit('not me')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path])
    watching = begun(run)
    owner.release()
    watching.close()
    over(run.exists)


def test_waiting_it_has_loaded_next_to_nothing() -> None:
    """And what takes longer to load than a removal is not loaded before one."""
    source = Path(pytest_dockerkit.__file__).parents[1]

    def loaded(module: str) -> set[str]:
        script = f"import sys; sys.path.append(sys.argv[1]); {module}; print(*sys.modules)"
        command = [sys.executable, *watcher._FLAGS, "-c", script, str(source)]
        # Nothing that the environment has Python load, as when coverage is measured.
        ended = subprocess.run(command, capture_output=True, text=True, check=True, env={})
        return set(ended.stdout.split())

    script = f"exec(compile(open({watching.__file__!r}).read(), 'it', 'exec'), {{'__name__': 'it'}})"
    assert loaded(script) - loaded("import os, __future__") == set()
    heavy = {"asyncio", "dataclasses", "docker", "http", "inspect", "logging", "random", "ssl", "subprocess"}
    assert heavy.isdisjoint(loaded("import pytest_dockerkit._runtime.undoing"))


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
    with pytest.raises(NotWatchedError, match=reason):
        begun(run)


def test_the_first_process_of_a_container_has_none(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(NotWatchedError, match="pytest is the first process of a container"):
        begun(run)


def test_a_machine_that_has_no_process_left_is_told_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[object] = []

    def full(*_: object, **__: object) -> None:
        tries.append(None)
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", full)
    watching = Watcher(lambda: run, lambda: NOWHERE)
    for _ in range(2):
        with pytest.raises(NotWatchedError, match=r"no process can be started: .*temporarily unavailable"):
            watching.begin()
    assert len(tries) == 1
    assert not alive.is_locked(run / alive.WATCHER)


def test_compiled_modules_are_where_those_of_this_python_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", "/some where")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert watcher._cache_flags() == ["-X", "pycache_prefix=/some where", "-B"]
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert watcher._cache_flags() == []
