"""The digests of files, kept between runs."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from pytest_dockerkit._engine.hashes import SETTLED_NS, FileHashes

OLD_S = 10 * SETTLED_NS // 10**9


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "the context"
    directory.mkdir()
    return directory


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept.json"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was just written has settled long since."""
    monkeypatch.setattr(time, "time_ns", lambda: time_ns() + OLD_S * 10**9)


time_ns = time.time_ns


def write(root: Path, name: str, text: str) -> None:
    (root / name).write_text(text, encoding="utf-8")


def digest(files: FileHashes, root: Path, name: str) -> str:
    return files.digest(name, (root / name).lstat())


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def rewrite_unseen(root: Path, name: str, text: str, status: os.stat_result) -> None:
    """Write a content of the same length, and give the file its times back: only its ctime has changed."""
    # Until the clock that the file system goes by has moved on.
    while (root / name).lstat().st_ctime_ns == status.st_ctime_ns:
        write(root, name, text)
        os.utime(root / name, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_content_that_has_settled_is_read_once(root: Path, kept: Path, later: None) -> None:
    """The entry is trusted: one that was changed by hand is believed."""
    write(root, "a", "one")
    files = FileHashes(root, kept)
    assert digest(files, root, "a") == sha256("one")
    files.save()
    said = json.loads(kept.read_text())
    said["files"]["a"] = said["files"]["a"].replace(sha256("one"), "by-hand")
    kept.write_text(json.dumps(said))
    assert digest(FileHashes(root, kept), root, "a") == "by-hand"


def test_what_was_just_written_is_read_again(root: Path, kept: Path) -> None:
    """Two contents of one length within the clock's granularity have the same state."""
    write(root, "a", "one")
    files = FileHashes(root, kept)
    assert digest(files, root, "a") == sha256("one")
    files.save()
    assert not kept.exists()
    status = (root / "a").lstat()
    write(root, "a", "two")
    assert files.digest("a", status) == sha256("two")


def test_a_change_with_the_old_times_is_seen(root: Path, kept: Path, later: None) -> None:
    """As `cp -p`, `rsync -t` and `touch -r` make them: the ctime cannot be set."""
    write(root, "a", "one")
    files = FileHashes(root, kept)
    digest(files, root, "a")
    rewrite_unseen(root, "a", "two", (root / "a").lstat())
    assert digest(files, root, "a") == sha256("two")


def test_another_file_of_the_name_is_seen(root: Path, kept: Path, later: None) -> None:
    write(root, "a", "one")
    write(root, "b", "two")
    files = FileHashes(root, kept)
    digest(files, root, "a")
    (root / "b").rename(root / "a")
    assert digest(files, root, "a") == sha256("two")


def test_a_clock_that_went_back_trusts_nothing(root: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the file's times lie in the future."""
    write(root, "a", "one")
    monkeypatch.setattr(time, "time_ns", lambda: time_ns() - OLD_S * 10**9)
    files = FileHashes(root, kept)
    digest(files, root, "a")
    files.save()
    assert not kept.exists()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"format": 2}', '{"format": 2, "files": []}', '{"format": 2, "files": {"a": null}}',
     '{"format": 2, "files": {"a": ""}}', '{"format": 2, "files": {"a": "1 x"}}',
     '{"format": 2, "files": {"a": [1]}}', '{"format": 1, "files": {"a": [1, "x"]}}'],
)  # fmt: skip
def test_what_was_kept_and_is_torn_is_left_out(root: Path, kept: Path, later: None, text: str) -> None:
    kept.write_text(text)
    write(root, "a", "one")
    files = FileHashes(root, kept)
    assert digest(files, root, "a") == sha256("one")
    files.save()
    assert json.loads(kept.read_text())["files"]["a"].endswith(" " + sha256("one"))


def test_two_processes_lose_nothing_of_each_other(root: Path, kept: Path, later: None) -> None:
    """Each writes what it has learned beside what is there; what is gone is left out."""
    for name in ("a", "b", "c"):
        write(root, name, name)
    first, second = FileHashes(root, kept), FileHashes(root, kept)
    digest(first, root, "a")
    digest(first, root, "c")
    digest(second, root, "b")
    first.save()
    (root / "c").unlink()
    second.save()
    assert set(json.loads(kept.read_text())["files"]) == {"a", "b"}
    assert set(kept.parent.iterdir()) == {kept, root}


def test_names_that_are_no_text_are_kept(root: Path, kept: Path, later: None) -> None:
    name = os.fsdecode(b"caf\xe9 \xff")
    write(root, name, "one")
    files = FileHashes(root, kept)
    assert digest(files, root, name) == sha256("one")
    files.save()
    assert list(json.loads(kept.read_text())["files"]) == [name]


def test_a_directory_that_cannot_be_written_to_is_no_failure(root: Path, tmp_path: Path, later: None) -> None:
    write(root, "a", "one")
    files = FileHashes(root, tmp_path / "no such" / "kept.json")
    assert digest(files, root, "a") == sha256("one")
    files.save()


def test_without_a_place_nothing_is_written(root: Path, tmp_path: Path, later: None) -> None:
    write(root, "a", "one")
    files = FileHashes(root, None)
    digest(files, root, "a")
    files.save()
    assert list(tmp_path.iterdir()) == [root]
