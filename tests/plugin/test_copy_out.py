"""`copy_out` of what real containers can have in a directory: nothing is written outside of the target."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit.errors import ContainerFileError

if TYPE_CHECKING:
    from pytest_dockerkit import Kit, RunningContainer

#: Ordinary: what directories of services are made of.
ORDINARY = """
mkdir -p /srv/app/releases/2 /srv/app/log && cd /srv/app && ln -s /srv /data
echo two > releases/2/version && ln -s releases/2 current && ln -s /srv/app/releases/2 absolute
ln -s ../releases/2/version log/version && ln releases/2/version log/further && ln -s missing dangling
printf x > "a file, ü" && chmod 6755 "a file, ü" && touch -d '2001-02-03 04:05:06' releases/2/version
"""
#: What leads out, or is no file, each in a directory of its own.
HOSTILE = {
    "absolute": "ln -s /etc/passwd it",
    "up": "ln -s ../../../../../../../../tmp it",
    "by a name": "mkdir d && ln -s d/../.. it",
    "by a link": "mkdir d && ln -s d e && ln -s e/../../beside it",
    "stdout": "ln -s /dev/stdout it",
    "pipe": "mkfifo it",
    "null": "mknod it c 1 3",
    "disk": "mknod it b 7 0",
    "further name": "ln -s /etc/passwd 'a link' && ln 'a link' it",
}


@pytest.fixture(scope="module")
def box(request: pytest.FixtureRequest) -> Iterator[RunningContainer]:
    kit: Kit = request.getfixturevalue("dockerkit")
    with kit.run("busybox:stable", command=["sleep", "600"], network="none", stop_timeout=0) as container:
        container.exec(["sh", "-ec", ORDINARY], check=True)
        for name, each in HOSTILE.items():
            container.exec(["sh", "-ec", f"mkdir -p '/srv/all/{name}'; cd '/srv/all/{name}'; {each}"], check=True)
        yield container


def tree(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        found[name] = f"-> {path.readlink()}" if path.is_symlink() else "/" if path.is_dir() else path.read_text()
    return found


@pytest.mark.parametrize("source", ["/srv/app", "/data/app/"])
def test_a_directory_with_ordinary_links_comes_out_as_it_is(
    box: RunningContainer, tmp_path: Path, source: str
) -> None:
    """Also a second time, into what is there."""
    for _ in range(2):
        copy = box.copy_out(source, tmp_path)
        assert tree(tmp_path / "app") == {
            "a file, ü": "x",
            "absolute": "-> releases/2",
            "current": "-> releases/2",
            "dangling": "-> missing",
            "log": "/",
            "log/further": "two\n",
            "log/version": "-> ../releases/2/version",
            "releases": "/",
            "releases/2": "/",
            "releases/2/version": "two\n",
        }
        assert (copy / "current" / "version").read_text() == (copy / "log" / "version").read_text() == "two\n"
        assert time.gmtime((copy / "log" / "further").stat().st_mtime)[:6] == (2001, 2, 3, 4, 5, 6)
        assert stat.S_IMODE((copy / "a file, ü").stat().st_mode) == 0o755


def test_what_leads_out_or_is_no_file_is_refused_or_left_out(box: RunningContainer, tmp_path: Path) -> None:
    (tmp_path / "beside").write_text("not yours")
    for name in HOSTILE:
        with pytest.raises(ContainerFileError) as caught:
            box.copy_out(f"/srv/all/{name}", tmp_path / "refused")
        assert caught.value.what == f"{name} cannot be copied out"
        assert "partial=True" in caught.value.mend
    for name in ("pipe", "null", "disk"):
        with pytest.raises(ContainerFileError, match="is a device or a pipe"):
            box.copy_out(f"/srv/all/{name}/it", tmp_path / "alone")
    copy = box.copy_out("/srv/all", tmp_path / "all", partial=True)
    wanted = {**dict.fromkeys(HOSTILE, "/"), "by a name/d": "/", "by a link/d": "/", "by a link/e": "-> d"}
    assert {name: found for name, found in tree(copy).items() if not name.endswith("/it")} == wanted
    # Of those that lead out, what they were called is not there either, but where it leads to something in the copy.
    there = sorted(name for name in tree(copy) if name.endswith("/it"))
    assert there == ["by a link/it", "by a name/it"]
    assert all((copy / name).resolve().is_relative_to(copy) for name in there)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["all", "beside", "refused"]
    assert (tmp_path / "beside").read_text() == "not yours"


def test_the_logs_of_a_service_come_out(box: RunningContainer, tmp_path: Path) -> None:
    """Whole system directories, most of whose links lead elsewhere."""
    assert "root:" in (box.copy_out("/etc", tmp_path, partial=True) / "passwd").read_text()
