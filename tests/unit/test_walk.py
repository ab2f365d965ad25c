"""The walk over a build context: what belongs to a build, and what is looked at for it."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_dockerkit._engine.walk import Walked, walk
from pytest_dockerkit._spec.ignore import IgnoreRules
from tests.unit.refusals import refusal


class Sources:
    """What a build uses: a few paths, and all that is below them."""

    def __init__(self, *sources: str) -> None:
        self._sources = [source.split("/") for source in sources]

    def takes(self, path: str) -> bool:
        return any(path.split("/")[: len(source)] == source for source in self._sources)

    def names(self, path: str) -> bool:
        return path.split("/") in self._sources

    def leads_to(self, path: str) -> bool:
        parts = path.split("/")
        return any(source[: len(parts)] == parts and source != parts for source in self._sources)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    context = tmp_path / "the context"
    for name in ("a", "b.txt", "d/a", "d/b.txt", "d/e/a", "d/e/f/a", "d.x", "ü x/ö", ".hidden"):
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    (context / "empty/er").mkdir(parents=True)
    (context / "link").symlink_to("a")
    (context / "d/up").symlink_to("../d")
    (context / "dangling").symlink_to("nowhere")
    return context


ALL = (
    ".hidden", "a", "b.txt", "d", "d.x", "d/a", "d/b.txt", "d/e", "d/e/a", "d/e/f", "d/e/f/a", "d/up", "dangling",
    "empty", "empty/er", "link", "ü x", "ü x/ö",
)  # fmt: skip


def found(root: Path, *lines: str, wanted: Sources | None = None) -> Walked:
    return walk(root, IgnoreRules.read("\n".join(lines), "x"), wanted)


def paths(root: Path, *lines: str, wanted: Sources | None = None) -> tuple[str, ...]:
    return tuple(path for path, _ in found(root, *lines, wanted=wanted).members)


def entered(root: Path, monkeypatch: pytest.MonkeyPatch, walking: Callable[[], object]) -> list[str]:
    """Name the directories that are looked into."""
    seen: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", _noting(root, seen))
        walking()
    return sorted(seen)


def _noting(root: Path, seen: list[str]) -> Callable[[str], object]:
    scandir = os.scandir

    def noting(path: str) -> object:
        seen.append(os.path.relpath(path, root))
        return scandir(path)

    return noting


def test_without_rules_all_of_a_context_belongs_to_a_build(root: Path) -> None:
    assert found(root).through_link is False
    assert paths(root) == ALL


def test_a_member_has_its_own_status(root: Path) -> None:
    by_path = dict(found(root).members)
    assert by_path == {path: (root / path).lstat() for path in ALL}
    assert stat.S_ISLNK(by_path["link"].st_mode)
    assert by_path["a"].st_size == 1


def test_an_empty_context_has_no_members(tmp_path: Path) -> None:
    assert found(tmp_path, "*") == Walked((), through_link=False)


def test_a_context_may_lie_behind_a_link(root: Path) -> None:
    (root.parent / "other").symlink_to(root)
    assert paths(root.parent / "other") == ALL


def test_a_directory_that_is_left_out_comes_along_with_what_is_left_in_it(root: Path) -> None:
    assert paths(root, "*", "!d/e/f") == ("d", "d/e", "d/e/f", "d/e/f/a")
    assert paths(root, "*", "!**/b.txt") == ("b.txt", "d", "d/b.txt")
    assert paths(root, "*", "!empty/er") == ("empty", "empty/er")
    assert paths(root, "*", "!empty/er/x", "!d/x") == ()


def test_a_directory_whose_files_are_left_out_stays(root: Path) -> None:
    assert paths(root, "*", "!d", "d/*") == ("d",)


def test_only_files_directories_and_links_belong_to_a_build(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener, pytest.MonkeyPatch.context() as patch:
        # A socket's path may be no longer than about a hundred bytes.
        patch.chdir(root)
        listener.bind("socket")
        assert paths(root) == ALL


def test_names_that_are_not_utf_8_survive(root: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (root / name).mkdir()
    (root / name / name).touch()
    assert paths(root, "*", f"!caf?/{os.fsdecode(b'caf*')}") == (name, f"{name}/{name}")


def test_names_may_have_any_characters(tmp_path: Path) -> None:
    names = sorted(("\n", " ", "#", "!", "[a]", "\\", "*", "a\x1b", "...", "\u2028"))
    for name in names:
        (tmp_path / name).touch()
    assert paths(tmp_path) == tuple(names)


def test_what_cannot_contribute_is_not_looked_into(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert entered(root, monkeypatch, lambda: found(root)) == [".", "d", "d/e", "d/e/f", "empty", "empty/er", "ü x"]
    assert entered(root, monkeypatch, lambda: found(root, "d", "empty/*")) == [".", "empty", "ü x"]
    assert entered(root, monkeypatch, lambda: found(root, "*", "!d/e/a")) == [".", "d", "d/e"]
    assert entered(root, monkeypatch, lambda: found(root, wanted=Sources("d/e/f", "a"))) == [".", "d", "d/e", "d/e/f"]
    assert entered(root, monkeypatch, lambda: found(root, "d/e", wanted=Sources("d/e/f"))) == [".", "d"]


@pytest.mark.parametrize(
    ("sources", "members"),
    [
        ((), ()),
        (("a",), ("a",)),
        (("x", "d/x", "a/x"), ()),
        (("d/e",), ("d", "d/e", "d/e/a", "d/e/f", "d/e/f/a")),
        (("d/e/f/a", "b.txt"), ("b.txt", "d", "d/e", "d/e/f", "d/e/f/a")),
        (("empty/er",), ("empty", "empty/er")),
        (("empty/er/x",), ()),
        (("empty", "empty/er"), ("empty", "empty/er")),
    ],
)
def test_what_a_build_uses_belongs_to_it_and_what_leads_there(
    sources: tuple[str, ...], members: tuple[str, ...], root: Path
) -> None:
    assert found(root, wanted=Sources(*sources)).through_link is False
    assert paths(root, wanted=Sources(*sources)) == members


def test_what_is_used_and_left_out_does_not_belong_to_it(root: Path) -> None:
    assert paths(root, "**/a", wanted=Sources("a", "d/e")) == ("d", "d/e", "d/e/f")
    assert paths(root, "d", "!d/e/f", wanted=Sources("d/e")) == ("d", "d/e", "d/e/f", "d/e/f/a")


def test_a_directory_may_be_used_without_what_is_in_it(root: Path) -> None:
    class TextsOfD(Sources):
        """As `COPY d/*.txt` has it: the directory is needed, even if nothing in it matches."""

        def takes(self, path: str) -> bool:
            return path == "d" or (path.startswith("d/") and path.endswith(".txt") and path.count("/") == 1)

        def names(self, path: str) -> bool:
            return path != "d" and self.takes(path)

        def leads_to(self, path: str) -> bool:
            return path == "d"

    assert paths(root, wanted=TextsOfD()) == ("d", "d/b.txt")
    assert paths(root, "**/*.txt", wanted=TextsOfD()) == ("d",)


@pytest.mark.parametrize(
    ("sources", "lines", "through"),
    [
        (("link",), (), True),
        (("dangling",), (), True),
        (("d/up",), (), True),
        (("d/up/e",), (), True),
        (("a", "d/up/e"), (), True),
        (("d", "d/up/e"), (), True),
        (("d",), (), False),
        (("d/e", "a"), (), False),
        (("link",), ("link",), False),
        (("d/up",), ("d",), False),
        (("d/up",), ("d", "!d/up"), True),
    ],
)
def test_a_link_on_the_way_of_a_source_is_seen(
    sources: tuple[str, ...], lines: tuple[str, ...], through: bool, root: Path
) -> None:
    assert found(root, *lines, wanted=Sources(*sources)).through_link is through


def test_links_matter_only_to_sources(root: Path) -> None:
    assert found(root).through_link is False


def test_a_context_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(lambda: found(tmp_path / "none")) == (
        "the build context cannot be read\n"
        f"  saw:  {tmp_path}/none: No such file or directory\n"
        "  mend: make it readable for this user, or name it in .dockerignore"
    )
    (tmp_path / "file").touch()
    assert f"saw:  {tmp_path}/file: Not a directory" in refusal(lambda: found(tmp_path / "file"))


@pytest.fixture
def failing(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Let the system refuse to list a directory, as it does not to root."""
    scandir = os.scandir

    def fail(directory: str, number: int) -> None:
        def failing(path: str) -> object:
            if path == str(root / directory):
                raise OSError(number, os.strerror(number), path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", failing)

    return fail


def test_a_directory_that_cannot_be_read_is_named(root: Path, failing: Callable[[str, int], None]) -> None:
    failing("d/e", errno.EACCES)
    assert refusal(lambda: found(root)) == (
        "the build context cannot be read\n"
        f"  saw:  {root}/d/e: Permission denied\n"
        "  mend: make it readable for this user, or name it in .dockerignore"
    )
    assert "d/e: Permission denied" in refusal(lambda: found(root, wanted=Sources("d")))


@pytest.mark.parametrize(
    ("lines", "wanted"), [(("d/e",), None), (("d", "!d/e/f"), None), ((), Sources("a")), ((), Sources("d/e/f"))]
)
def test_a_directory_that_is_not_used_need_not_be_readable(
    lines: tuple[str, ...], wanted: Sources | None, root: Path, failing: Callable[[str, int], None]
) -> None:
    failing("d/e", errno.EACCES)
    assert not any(path.startswith("d/e") for path in paths(root, *lines, wanted=wanted))


def test_another_failure_is_told_wherever_it_is(root: Path, failing: Callable[[str, int], None]) -> None:
    failing("d/e", errno.EIO)
    assert "d/e: Input/output error" in refusal(lambda: found(root, wanted=Sources("d/e/f")))


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTDIR])
def test_a_directory_that_vanishes_is_left_out(number: int, root: Path, failing: Callable[[str, int], None]) -> None:
    failing("d/e", number)
    assert paths(root) == tuple(path for path in ALL if not path.startswith("d/e"))
    assert paths(root, "d", "!d/e/f") == tuple(path for path in ALL if path != "d" and not path.startswith("d/"))


class Entry:
    """An entry of a directory whose file is gone, or not to be looked at, by the time it is looked at."""

    def __init__(self, entry: os.DirEntry[str], failure: OSError) -> None:
        self._entry = entry
        self._failure = failure
        self.name, self.path = entry.name, entry.path

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        return self._entry.is_dir(follow_symlinks=follow_symlinks)

    def is_symlink(self) -> bool:
        return self._entry.is_symlink()

    def stat(self, **_: object) -> os.stat_result:
        raise self._failure


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, OSError], None]:
    scandir = os.scandir

    class Entries:
        def __init__(self, path: str, name: str, failure: OSError) -> None:
            with scandir(path) as entries:
                self._entries = [Entry(each, failure) if each.name == name else each for each in entries]

        def __enter__(self) -> list[Entry | os.DirEntry[str]]:
            return self._entries

        def __exit__(self, *_: object) -> None:
            pass

    def go(name: str, failure: OSError) -> None:
        monkeypatch.setattr(os, "scandir", lambda path: Entries(path, name, failure))

    return go


def test_what_vanishes_is_left_out(root: Path, gone: Callable[[str, OSError], None]) -> None:
    gone("b.txt", FileNotFoundError(errno.ENOENT, "gone"))
    assert paths(root) == tuple(path for path in ALL if not path.endswith("b.txt"))
    gone("e", NotADirectoryError(errno.ENOTDIR, "gone"))
    assert paths(root) == tuple(path for path in ALL if not path.startswith("d/e"))


def test_a_file_that_cannot_be_looked_at_is_named(root: Path, gone: Callable[[str, OSError], None]) -> None:
    gone("b.txt", PermissionError(errno.EACCES, "Permission denied"))
    assert f"saw:  {root}/b.txt: Permission denied" in refusal(lambda: found(root))
    assert "b.txt" not in paths(root, "**/b.txt")
    gone("e", PermissionError(errno.EACCES, "Permission denied"))
    assert paths(root, "d/e", "!d/e/f")
