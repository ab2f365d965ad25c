"""Undoing a run while its workers end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit._runtime.alive import Alive
from pytest_dockerkit._runtime.early import Early

pytest.importorskip("fcntl")

PATIENCE_S = 60.0


def test_it_is_undone_when_the_last_worker_is_gone(tmp_path: Path) -> None:
    undone = threading.Event()
    workers = [Alive(lambda: tmp_path, name) for name in ("gw0", "gw1")]
    for each in workers:
        each.hold()
    early = Early(tmp_path, undone.set)
    early.begin()
    workers[1].release()
    assert not undone.is_set()
    workers[0].release()
    assert undone.wait(PATIENCE_S)
    early.end()


def test_once_it_is_over_nothing_begins_and_nobody_waits_for_a_worker(tmp_path: Path) -> None:
    undone = threading.Event()
    worker = Alive(lambda: tmp_path, "gw0")
    worker.hold()
    early = Early(tmp_path, undone.set)
    early.begin()
    early.end()
    worker.release()
    gone = until_ready(
        lambda: Look(not any(each.name == "dockerkit-early" for each in threading.enumerate())), timeout_s=PATIENCE_S
    )
    assert gone.ready
    assert not undone.is_set()


def test_what_was_begun_is_waited_for_and_its_failure_is_none_of_its_own(tmp_path: Path) -> None:
    begun, goes_on, ended = threading.Event(), threading.Event(), threading.Event()

    def undo() -> None:
        begun.set()
        assert goes_on.wait(PATIENCE_S)
        ended.set()
        raise OSError("no engine")

    early = Early(tmp_path, undo)
    early.begin()
    assert begun.wait(PATIENCE_S)
    waiting = threading.Thread(target=early.end)
    waiting.start()
    goes_on.set()
    waiting.join(PATIENCE_S)
    assert ended.is_set()
