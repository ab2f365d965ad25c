"""Archives in and out of containers; nothing is written outside of the place that was asked for."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_dockerkit._runtime.files import FileInfo, first_file, matching, pack, parents, unpack
from pytest_dockerkit.errors import ContainerFileError

Member = tuple[str, bytes, str | bytes]


def tar(*members: Member) -> bytes:
    """Make an archive of names, types, and contents or the targets of links."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755 if kind == tarfile.DIRTYPE else 0o640
            info.uid, info.gid = 7, 8
            data = content if isinstance(content, bytes) else b""
            info.linkname = content if isinstance(content, str) else ""
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return file.getvalue()


def pieces(archive: bytes, size: int = 700) -> Iterator[bytes]:
    """Give it as an engine does, in pieces that end anywhere; some are empty."""
    for start in range(0, len(archive), size):
        yield archive[start : start + size]
        yield b""


def folder(name: str) -> Member:
    return name, tarfile.DIRTYPE, b""


def file(name: str, content: bytes = b"x") -> Member:
    return name, tarfile.REGTYPE, content


def link(name: str, target: str) -> Member:
    return name, tarfile.SYMTYPE, target


def second_name(name: str, target: str) -> Member:
    return name, tarfile.LNKTYPE, target


def unpacked(packed: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as opened:
        return {each.name: each for each in opened}


def tree(root: Path) -> dict[str, bytes | str]:
    """Show what lies in a directory: contents, the targets of links, and "" for directories."""
    found: dict[str, bytes | str] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        found[name] = str(path.readlink()) if path.is_symlink() else "" if path.is_dir() else path.read_bytes()
    return found


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


# Out


def test_a_file_becomes_the_target_or_lies_in_it(tmp_path: Path) -> None:
    assert unpack(pieces(tar(file("x", b"1"))), tmp_path / "new/t", "x") == tmp_path / "new/t"
    assert unpack(pieces(tar(file("x", b"2"))), tmp_path / "new", "x") == tmp_path / "new/x"
    assert tree(tmp_path) == {"new": "", "new/t": b"1", "new/x": b"2"}
    unpack(pieces(tar(file("x", b"3"))), tmp_path / "new/t", "x")
    assert tree(tmp_path)["new/t"] == b"3"


def test_a_directory_is_copied_with_all_that_is_below_it(tmp_path: Path) -> None:
    archive = tar(
        folder("ü x"), folder("ü x/a"), file("ü x/a/f", b"1"), second_name("ü x/g", "ü x/a/f"),
        link("ü x/l", "a/f"), link("ü x/a/up", "../g"), folder("ü x/empty"),
    )  # fmt: skip
    wanted = {"a": "", "a/f": b"1", "g": b"1", "l": "a/f", "a/up": "../g", "empty": ""}
    assert unpack(pieces(archive), tmp_path / "t", "ü x") == tmp_path / "t"
    assert tree(tmp_path / "t") == wanted
    (tmp_path / "in").mkdir()
    assert unpack(pieces(archive), tmp_path / "in", "ü x") == tmp_path / "in/ü x"
    assert tree(tmp_path / "in/ü x") == wanted


def test_the_root_of_a_container_is_named_as_the_engine_names_it(tmp_path: Path) -> None:
    """Docker names the root itself by nothing, and what is below it absolute."""
    archive = tar(folder("/"), folder("/bin"), file("/bin/sh", b"1"))
    unpack(pieces(archive), tmp_path / "t", "root")
    assert tree(tmp_path) == {"t": "", "t/bin": "", "t/bin/sh": b"1"}


OUTSIDE: list[tuple[str, list[Member]]] = [
    ("beside it", [folder("x"), file("x/../evil")]),
    ("above it", [folder("x"), file("x/../../evil")]),
    ("far above it", [folder("x"), file("x/../../../../../../../../evil")]),
    ("through a link beside it", [folder("x"), link("x/l", "../beside"), file("x/l/evil")]),
    ("through a link above it", [folder("x"), link("x/l", ".."), file("x/l/evil")]),
    ("through a link in its place", [link("x", "beside"), file("x/evil")]),
    ("through an absolute link", [folder("x"), link("x/l", "{outside}"), file("x/l/evil")]),
    ("a link out", [folder("x"), link("x/l", "../../beside")]),
    ("an absolute link", [folder("x"), link("x/l", "/etc/passwd")]),
    ("a second name of a file outside", [folder("x"), second_name("x/l", "x/../../beside/kept")]),
    ("a second name of an absolute path", [folder("x"), second_name("x/l", "/etc/passwd")]),
    ("a character device", [folder("x"), ("x/d", tarfile.CHRTYPE, b"")]),
    ("a block device", [folder("x"), ("x/d", tarfile.BLKTYPE, b"")]),
    ("a pipe", [folder("x"), ("x/d", tarfile.FIFOTYPE, b"")]),
    ("a device alone", [("x", tarfile.CHRTYPE, b"")]),
]


@pytest.mark.parametrize("members", [each[1] for each in OUTSIDE], ids=[each[0] for each in OUTSIDE])
@pytest.mark.parametrize("into_directory", [False, True], ids=["named", "into"])
def test_what_would_leave_the_target_is_refused(
    members: list[Member], *, into_directory: bool, tmp_path: Path
) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/kept").write_bytes(b"kept")
    work = tmp_path / "work"
    work.mkdir()
    (work / "beside").mkdir()
    (work / "t").mkdir() if into_directory else None
    named = [
        (name, kind, content.replace("{outside}", str(tmp_path / "beside")) if isinstance(content, str) else content)
        for name, kind, content in members
    ]
    with pytest.raises(ContainerFileError) as caught:
        unpack(pieces(tar(*named)), work / "t", "x")
    assert caught.value.what == "x cannot be copied out"
    assert caught.value.saw
    assert caught.value.mend == "copy the paths that are wanted one by one"
    assert {name for name in tree(tmp_path) if "evil" in name} == set()
    assert tree(tmp_path / "beside") == {"kept": b"kept"}
    assert tree(work / "beside") == {}


def test_an_absolute_name_lands_below_the_target(tmp_path: Path) -> None:
    unpack([tar(folder("/x"), file("/x/etc/passwd", b"1"))], tmp_path / "t", "x")
    assert (tmp_path / "t/x/etc/passwd").read_bytes() == b"1"


def test_dangerous_bits_do_not_come_out(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as opened:
        info = tarfile.TarInfo("x")
        info.mode = 0o6777
        opened.addfile(info)
    unpack([made.getvalue()], tmp_path / "t", "x")
    assert (tmp_path / "t").stat().st_mode & 0o6022 == 0
