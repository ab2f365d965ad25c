"""The end of a run: what is told of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import _summary
from pytest_dockerkit._runtime.ledger import Ledger
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from tests.plugin.listeners import Deaf

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A run of which nothing is left on an engine; there is none."""
    return Session(Settings(state_dir=tmp_path), "run", "main", Deaf())


def of_worker(session: Session, name: str) -> Ledger:
    return Ledger(session.directory / f"{name}.jsonl")


def test_with_v_each_image_has_a_line_whichever_worker_made_it(session: Session) -> None:
    one, two = of_worker(session, "gw0"), of_worker(session, "gw1")
    one.note("cached", "kit:1", title="api (target web)", bytes=82_400_000)
    two.note("pulled", "redis:7", title="redis:7", seconds=4.15, bytes=44_100_000)
    two.note("built", "kit:1", title="api (target web)", seconds=12.34, bytes=82_400_000)
    one.note("present", "busybox:stable", title="busybox:stable", bytes=4_261_502)
    one.note("cached", "kit:2", title="worker", bytes=1_200_000_000)
    lines, left = _summary.finish(session, verbose=True)
    assert lines == [
        "built    api (target web)   12.3 s    82 MB",
        "pulled   redis:7             4.2 s    44 MB",
        "cached   worker                      1.2 GB",
        "cached   busybox:stable              4.3 MB",
        "images: 1 built, 1 from cache, 1 pulled; all removed, images kept",
    ]
    assert not left


def test_without_v_there_is_one_line(session: Session) -> None:
    book = of_worker(session, "main")
    book.note("built", "kit:1", title="api", seconds=1.0, bytes=1)
    book.note("cached", "kit:2", title="web", bytes=1)
    book.note("present", "busybox:stable", title="busybox:stable", bytes=1)
    assert _summary.finish(session) == (["images: 1 built, 1 from cache; all removed, images kept"], False)


def test_where_nothing_took_time_there_is_no_column_for_it(session: Session) -> None:
    book = of_worker(session, "main")
    book.note("cached", "kit:1", title="api", bytes=2_000_000)
    # An older worker's, or another plugin's.
    book.note("cached", "kit:2")
    assert _summary.finish(session, verbose=True)[0][:2] == ["cached   api     2.0 MB", "cached   kit:2"]


def test_what_is_worth_a_sentence_is_told_once(session: Session) -> None:
    for worker in ("gw0", "gw1"):
        of_worker(session, worker).note("large context", "/project/app", told="large context: app is 310 MB")
    assert _summary.finish(session)[0] == [
        "nothing was made",
        "large context: app is 310 MB",
    ]
