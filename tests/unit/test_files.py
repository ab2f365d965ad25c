"""Archives for containers, and what archives out of them hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_dockerkit._runtime.files import FileInfo, first_file, matching, pack, parents
from pytest_dockerkit.errors import ContainerFileError
from tests.unit.archives import file, folder, link, pieces, tar, unpacked

# In


def test_texts_bytes_and_paths_are_packed_as_root_s(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(b"#!")
    script.chmod(0o750)
    found = unpacked(pack({"/etc/ü x": "ü", "/b": b"\xff\0", "/empty": "", "/bin/script": script}, ["/etc"]))
    assert list(found) == ["etc", "etc/ü x", "b", "empty", "bin/script"]
    assert {(each.uid, each.gid) for each in found.values()} == {(0, 0)}
    assert {name: oct(each.mode) for name, each in found.items()} == {
        "etc": "0o755", "etc/ü x": "0o644", "b": "0o644", "empty": "0o644", "bin/script": "0o750",
    }  # fmt: skip
    assert [each.size for each in found.values()] == [0, 2, 2, 0, 2]
    assert found["bin/script"].uname == ""


def test_a_directory_goes_in_whole(tmp_path: Path) -> None:
    (tmp_path / "d/e f").mkdir(parents=True)
    (tmp_path / "d/e f/g").write_bytes(b"1")
    (tmp_path / "d/l").symlink_to("e f/g")
    found = unpacked(pack({"/srv": tmp_path / "d"}))
    assert set(found) == {"srv", "srv/e f", "srv/e f/g", "srv/l"}
    assert (found["srv/l"].linkname, found["srv"].isdir()) == ("e f/g", True)


def test_nothing_is_an_empty_archive() -> None:
    assert unpacked(pack({})) == {}


@pytest.mark.parametrize(
    ("path", "above"), [("/a/b/c", ["/a", "/a/b"]), ("/a", []), ("/", []), ("/a b/ü/c", ["/a b", "/a b/ü"])]
)
def test_the_directories_above_a_path_come_from_the_top(path: str, above: list[str]) -> None:
    assert parents(path) == above


# Looking


def test_the_first_file_is_read_with_all_that_is_known_of_it() -> None:
    info = first_file(pieces(tar(file("größe", "ü\n".encode()))), "/etc/größe")
    assert (info.path, info.exists, info.mode, info.uid, info.gid) == ("/etc/größe", True, 0o640, 7, 8)
    assert (info.size_bytes, info.link_target, info.is_dir) == (3, None, False)
    assert (info.read_bytes(), info.read_text()) == ("ü\n".encode(), "ü\n")


def test_the_rest_of_an_archive_is_not_read() -> None:
    def endless() -> Iterator[bytes]:
        yield tar(folder("etc"), file("etc/passwd", b"x" * 50_000))[:20_000]
        pytest.fail("more was read than the first member")

    info = first_file(endless(), "/etc")
    assert (info.is_dir, info.content) == (True, None)


def test_an_empty_file_has_no_bytes_and_exists() -> None:
    assert first_file(pieces(tar(file("x", b""))), "/x").read_bytes() == b""


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (first_file([tar(folder("d"))], "/d"), "is no regular file"),
        (first_file([tar(link("l", "x"))], "/l"), "is no regular file"),
        (first_file([tar()], "/no"), "does not exist"),
        (FileInfo("/no", exists=False), "does not exist"),
    ],
    ids=["directory", "link", "nothing", "not found"],
)
def test_what_is_no_file_cannot_be_read(info: FileInfo, why: str) -> None:
    with pytest.raises(ContainerFileError) as caught:
        info.read_text()
    assert str(caught.value) == (
        f"{info.path} cannot be read\n  saw:  it {why}\n  mend: image.files('/some/dir/*') lists what is there"
    )


def test_a_link_tells_where_it_leads() -> None:
    assert first_file([tar(link("sh", "busybox"))], "/bin/sh").link_target == "busybox"


def test_the_content_is_not_in_the_text_form() -> None:
    assert "hidden" not in repr(first_file([tar(file("x", b"hidden"))], "/x"))


ETC = tar(
    folder("etc"), file("etc/a.conf"), file("etc/.b.conf"), folder("etc/d d"), file("etc/d d/c.conf"),
    file("etc/d d/[x]"), link("etc/l.conf", "a.conf"), file("etc/ü"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/etc", ["/etc"]),
        ("/etc/*.conf", ["/etc/.b.conf", "/etc/a.conf", "/etc/l.conf"]),
        ("/etc/?.conf", ["/etc/a.conf", "/etc/l.conf"]),
        ("/etc/[ab].conf", ["/etc/a.conf"]),
        ("/etc/[!a].conf", ["/etc/l.conf"]),
        ("/etc/*/*.conf", ["/etc/d d/c.conf"]),
        ("/etc/**/*.conf", ["/etc/.b.conf", "/etc/a.conf", "/etc/d d/c.conf", "/etc/l.conf"]),
        ("/**/c.conf", ["/etc/d d/c.conf"]),
        ("/etc/d d/**", ["/etc/d d", "/etc/d d/[x]", "/etc/d d/c.conf"]),
        ("/etc/d d/[[]x]", ["/etc/d d/[x]"]),
        ("/etc/ü", ["/etc/ü"]),
        ("/ETC/*", []),
        ("/*", ["/etc"]),
        ("/", []),
        ("/etc/a.conf/*", []),
    ],
)
def test_a_pattern_is_matched_level_by_level(pattern: str, found: list[str]) -> None:
    assert sorted(each.path for each in matching(pieces(ETC), "/", pattern)) == found


def test_names_start_from_the_directory_above() -> None:
    found = list(matching([tar(folder("d"), file("d/x", b"1"))], "/srv/app", "/srv/app/d/*"))
    assert [(each.path, each.content) for each in found] == [("/srv/app/d/x", b"1")]
