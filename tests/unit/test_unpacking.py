"""Archives out of containers; nothing is written outside of the place that was asked for."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_dockerkit._runtime.unpacking import unpack
from pytest_dockerkit.errors import ContainerFileError
from tests.unit.archives import Member, file, folder, link, pieces, second_name, tar, tree


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
    ("through a chain of links", [folder("x"), link("x/a", "."), link("x/l", "a/../../beside"), file("x/l/evil")]),
    ("through a deep chain", [folder("x/d/e"), link("x/u", "d/e"), link("x/l", "u/../../.."), file("x/l/evil")]),
    ("through a further name of a link", [folder("x/d"), link("x/d/l", ".."), second_name("x/l", "x/d/l")]),
    ("a file in the place of a directory", [folder("x/d"), file("x/d")]),
    ("a link in the place of a directory", [folder("x/d"), link("x/d", "e")]),
    ("a directory in the place of a link", [folder("x"), folder("x/e"), link("x/l", "e"), file("x/l/evil")]),
    ("a file below a file", [folder("x"), file("x/f"), file("x/f/evil")]),
    ("a further name of a directory", [folder("x/d"), second_name("x/l", "x/d")]),
    ("a further name of what comes later", [folder("x"), second_name("x/l", "x/f"), file("x/f")]),
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
@pytest.mark.parametrize("partial", [False, True], ids=["whole", "partial"])
@pytest.mark.parametrize("into_directory", [False, True], ids=["named", "into"])
def test_what_would_leave_the_target_is_refused(
    members: list[Member], *, into_directory: bool, partial: bool, tmp_path: Path
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
    if partial:
        with contextlib.suppress(ContainerFileError):
            unpack(pieces(tar(*named)), work / "t", "x", partial=True)
        assert {name for name in tree(tmp_path) if "evil" in name and not name.startswith("work/t/")} == set()
        assert (tree(tmp_path / "beside"), tree(work / "beside")) == ({"kept": b"kept"}, {})
        return
    with pytest.raises(ContainerFileError) as caught:
        unpack(pieces(tar(*named)), work / "t", "x")
    assert caught.value.what == "x cannot be copied out"
    assert caught.value.saw
    assert caught.value.mend.startswith("partial=True leaves out what cannot be copied; or copy")
    assert {name for name in tree(tmp_path) if "evil" in name} == set()
    assert tree(tmp_path / "beside") == {"kept": b"kept"}
    assert tree(work / "beside") == {}


def test_what_cannot_be_copied_is_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    archive = tar(
        folder("x"), link("x/out", "/dev/stdout"), ("x/pipe", tarfile.FIFOTYPE, b""), file("x/../evil"),
        ("x/null", tarfile.CHRTYPE, b""), file("x/f", b"1"), link("x/l", "f"),
    )  # fmt: skip
    unpack(pieces(archive), tmp_path / "t", "x", partial=True)
    assert tree(tmp_path) == {"t": "", "t/f": b"1", "t/l": "f"}
    with pytest.raises(ContainerFileError) as caught:
        unpack(pieces(tar(("x", tarfile.FIFOTYPE, b""))), tmp_path / "none", "x", partial=True)
    assert str(caught.value) == (
        "x cannot be copied out\n  saw:  'x' is a device or a pipe\n  mend: copy what is a file or a directory"
    )
    assert not (tmp_path / "none").exists()


def test_links_that_lead_to_what_is_copied_stay_links(tmp_path: Path) -> None:
    """Also where they are absolute in the container, by either name of the place."""
    archive = tar(
        folder("x"), folder("x/d"), file("x/d/f", b"1"), link("x/abs", "//srv/x//d/f"), link("x/d/up", "/data/x"),
        link("x/long", "d/../d/./f"), link("x/later", "e"), link("x/d/deep", "../d/f"), second_name("x/d/h", "x/abs"),
    )  # fmt: skip
    unpack(pieces(archive), tmp_path / "t", "x", origins=("/srv/x/", "/data/x"))
    links = {name: content for name, content in tree(tmp_path / "t").items() if isinstance(content, str) and content}
    assert links == {"abs": "d/f", "d/up": "..", "long": "d/f", "later": "e", "d/deep": "f", "d/h": "f"}
    assert all((tmp_path / "t" / name).read_bytes() == b"1" for name in ("abs", "long", "d/deep", "d/h"))


def test_what_is_in_the_place_of_a_file_is_replaced_and_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "beside").write_bytes(b"kept")
    (tmp_path / "t/d").mkdir(parents=True)
    (tmp_path / "t/mine").write_bytes(b"mine")
    (tmp_path / "t/link").symlink_to("../beside")
    os.link(tmp_path / "beside", tmp_path / "t/further")
    os.mkfifo(tmp_path / "t/pipe")
    members = [file(f"x/{name}", b"new") for name in ("link", "further", "pipe", "d/f")]
    unpack(pieces(tar(folder("x"), link("x/made", "mine"), file("x/made", b"new"), *members)), tmp_path / "t", "t")
    unpack(pieces(tar(folder("x"), *members)), tmp_path, "t")
    wanted = {"d": "", "d/f": b"new", "link": b"new", "further": b"new", "pipe": b"new"}
    assert tree(tmp_path / "t/t") == {**wanted, "made": b"new"}
    found = tree(tmp_path / "t")
    assert {name: found[name] for name in (*wanted, "mine")} == {**wanted, "mine": b"mine"}
    assert (tmp_path / "beside").read_bytes() == b"kept"


def test_a_link_of_this_machine_s_own_in_the_target_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "t/x").mkdir(parents=True)
    (tmp_path / "t/x/d").symlink_to("../../beside")
    with pytest.raises(ContainerFileError) as caught:
        unpack(pieces(tar(folder("x"), file("x/d/evil"))), tmp_path / "t", "x")
    assert caught.value.saw == f"'x/d/evil' would be written through {tmp_path}/t/x/d, which is a link"
    assert tree(tmp_path / "beside") == {}


@pytest.mark.parametrize("seed", range(20))
def test_no_archive_leaves_the_target(tmp_path: Path, seed: int) -> None:
    """Archives of random names, links and types, all of which are tried on one directory."""
    chance = random.Random(seed)
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/a").write_bytes(b"kept")
    outside = {name: content for name, content in tree(tmp_path).items() if name.partition("/")[0] != "t"}
    words = ("a", "b", "c", "..", ".", "x", "beside", "/", "t")

    def name() -> str:
        return "/".join(chance.choices(words, k=chance.randint(1, 5)))

    def member() -> Member:
        kind = chance.choice([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
        return f"x/{name()}", kind, name() if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else b""

    for _ in range(30):
        members = [member() for _ in range(chance.randint(1, 12))]
        # Where what came before is in the place of the directory, nothing comes out.
        with contextlib.suppress(ContainerFileError):
            unpack(pieces(tar(folder("x"), *members)), tmp_path / "t/in/it", "x", origins=("/a",), partial=True)
    found = tree(tmp_path)
    assert {name: content for name, content in found.items() if name.partition("/")[0] != "t"} == outside
    target = (tmp_path / "t/in/it").resolve()
    links = [path for path in target.rglob("*") if path.is_symlink()]
    assert [path for path in links if not Path(os.path.realpath(path)).is_relative_to(target)] == []
    assert len(found) > 4
    assert [path for path in target.rglob("*") if path.is_fifo()] == []


def test_names_that_the_disk_does_not_tell_apart_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As disks of macOS and Windows do with names that differ in their case only."""
    plain = Path.joinpath
    monkeypatch.setattr(Path, "joinpath", lambda path, *parts: plain(path, *[each.lower() for each in parts]))
    for first, second in ((file("x/A", b"1"), file("x/a", b"2")), (folder("x/D"), folder("x/d"))):
        with pytest.raises(ContainerFileError) as caught:
            unpack(pieces(tar(folder("x"), first, second)), tmp_path / "t", "x")
        assert caught.value.saw == (
            f"{second[0]!r} would replace {first[0][2:]!r}: on this disk their names are the same"
        )
    assert (tmp_path / "t/a").read_bytes() == b"1"


def test_an_archive_that_ends_too_early_is_told(tmp_path: Path) -> None:
    archive = tar(folder("x"), file("x/f", b"1" * 5000))
    with pytest.raises(ContainerFileError) as caught:
        unpack(pieces(archive[:3000]), tmp_path / "t", "x")
    assert caught.value.saw.startswith("its archive is damaged: ")


def test_what_this_machine_cannot_write_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ContainerFileError) as caught:
        unpack(pieces(tar(file("x"))), tmp_path / "file/t", "x")
    assert str(caught.value).startswith(f"x cannot be copied out\n  saw:  {tmp_path}/file")
    with pytest.raises(ContainerFileError) as caught:
        unpack(pieces(tar(folder("x"), file(f"x/{'n' * 300}"))), tmp_path / "t", "x")
    assert "name too long" in caught.value.saw


def test_an_error_of_the_engine_is_not_taken_for_one_of_the_disk(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield tar(folder("x"), file("x/f", b"1" * 5000))[:2000]
        raise ConnectionResetError(errno.ECONNRESET, "reset")

    with pytest.raises(ConnectionResetError):
        unpack(broken(), tmp_path / "t", "x")


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
