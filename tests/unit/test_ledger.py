"""The ledger: what was about to be made and is not gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_dockerkit._runtime.ledger import Entry, Ledger, open_entries, read
from pytest_dockerkit.errors import DockerkitError


def test_a_line_is_on_the_disk_when_the_call_returns(tmp_path: Path) -> None:
    path = tmp_path / "main.jsonl"
    book = Ledger(path)
    assert not path.exists()
    book.making("network", "net ü")
    assert path.read_text(encoding="utf-8").endswith("\n")
    assert list(read(tmp_path)) == [{"do": "make", "kind": "network", "name": "net ü"}]
    book.gone("network", "net ü")
    book.note("built", "api")
    assert list(read(tmp_path))[1:] == [
        {"do": "gone", "kind": "network", "name": "net ü"},
        {"do": "note", "what": "built", "name": "api"},
    ]


def test_a_note_has_the_facts_that_are_known(tmp_path: Path) -> None:
    Ledger(tmp_path / "main.jsonl").note("built", "kit:1", title="api", seconds=0.0, bytes=None)
    assert list(read(tmp_path)) == [{"do": "note", "what": "built", "name": "kit:1", "title": "api", "seconds": 0.0}]


def test_it_knows_what_this_process_has_open(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "main.jsonl")
    assert not book.is_open("container", "a")
    book.making("container", "a")
    assert book.is_open("container", "a")
    assert not book.is_open("network", "a")
    book.gone("container", "a")
    assert not book.is_open("container", "a")
    book.gone("container", "never made")


def test_open_entries_come_newest_first(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "main.jsonl")
    for kind, name in (("network", "n"), ("volume", "v"), ("container", "a"), ("container", "b")):
        book.making(kind, name)
    book.note("pulled", "busybox")
    book.gone("container", "a")
    assert open_entries(read(tmp_path)) == [Entry("container", "b"), Entry("volume", "v"), Entry("network", "n")]


def test_one_that_was_made_again_is_new_again(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "main.jsonl")
    book.making("container", "a")
    book.making("container", "b")
    book.gone("container", "a")
    book.making("container", "a")
    assert open_entries(read(tmp_path)) == [Entry("container", "a"), Entry("container", "b")]


def test_all_processes_of_a_run_are_read(tmp_path: Path) -> None:
    Ledger(tmp_path / "gw0.jsonl").making("container", "a")
    Ledger(tmp_path / "gw1.jsonl").making("container", "b")
    Ledger(tmp_path / "gw1.jsonl").gone("container", "a")
    (tmp_path / "alive.lock").write_text("not a ledger", encoding="utf-8")
    assert open_entries(read(tmp_path)) == [Entry("container", "b")]


@pytest.mark.parametrize(
    "torn", ['{"do": "ma', '{"do": "gone", "kind": "container", "name": "a"', "\xff", '{"do": "make",\n']
)
def test_a_last_line_that_a_crash_has_torn_is_left_out(torn: str, tmp_path: Path) -> None:
    path = tmp_path / "main.jsonl"
    Ledger(path).making("container", "a")
    with path.open("ab") as file:
        file.write(torn.encode("latin-1"))
    assert open_entries(read(tmp_path)) == [Entry("container", "a")]


def test_a_run_that_made_nothing_has_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "main.jsonl").touch()
    assert open_entries(read(tmp_path)) == []
    assert open_entries(read(tmp_path / "no such")) == []
    assert open_entries([]) == []


def test_a_full_disk_is_told_and_loses_no_line_that_follows(tmp_path: Path) -> None:
    """What was written of a line when the disk was full does not swallow the next one."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    book = Ledger(full)
    with pytest.raises(DockerkitError) as caught:
        book.making("container", "a")
    assert caught.value.what == "the run's ledger cannot be written, and without it nothing is made"
    assert "No space left" in caught.value.saw
    book.path = tmp_path / "main.jsonl"
    book.path.write_text('{"do": "make", "kind": "cont', encoding="utf-8")
    book.making("container", "b")
    book.making("container", "c")
    assert open_entries(read(tmp_path)) == [Entry("container", "c"), Entry("container", "b")]
