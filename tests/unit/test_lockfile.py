"""The lock file: what is written can be read, and what makes no sense is told with its line."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._spec import lockfile
from pytest_dockerkit._spec.reference import parse
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ANEW = "write it anew: dockerkit lock"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "my project" / "dockerkit.lock"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_what_is_written(path: Path) -> None:
    """It is sorted, and references have Docker's short form."""
    path.parent.mkdir()
    digests = {"127.0.0.1:5000/app:1": B, "docker.io/library/redis:7": A, "busybox": B}
    assert lockfile.write(path, digests)
    assert path.read_text(encoding="utf-8") == (
        "# The digests of the images that the tests use, for pytest --dockerkit-pull=locked.\n"
        "# Written by `dockerkit lock`, which also brings it up to date.\n"
        "version = 1\n"
        "\n"
        "[images]\n"
        f'"127.0.0.1:5000/app:1" = "{B}"\n'
        f'"busybox:latest" = "{B}"\n'
        f'"redis:7" = "{A}"\n'
    )
    found = lockfile.read(path)
    assert found.path == path
    for written in digests:
        assert found.digest_of(parse(written)) == digests[written]
    assert found.digest_of(parse("redis:8")) is None


def test_the_same_digests_change_nothing(path: Path) -> None:
    path.parent.mkdir()
    assert lockfile.write(path, {"redis:7": A, "busybox": B})
    before = path.stat()
    assert not lockfile.write(path, {"busybox:latest": B, "docker.io/redis:7": A})
    assert path.stat() == before
    assert lockfile.write(path, {"redis:7": B})
    assert lockfile.read(path).digests == {"redis:7": B}
    assert [each.name for each in path.parent.iterdir()] == ["dockerkit.lock"]


def test_no_image_is_an_empty_table(path: Path) -> None:
    path.parent.mkdir()
    assert lockfile.write(path, {})
    assert lockfile.read(path).digests == {}


def test_a_link_stays_one(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    lockfile.write(path, {"redis:7": A})
    assert path.is_symlink()
    assert lockfile.read(tmp_path / "elsewhere").digests == {"redis:7": A}


def test_it_is_for_all_who_may_read_the_project(path: Path) -> None:
    path.parent.mkdir()
    lockfile.write(path, {"redis:7": A})
    beside = path.parent / "beside"
    beside.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)


def test_line_ends_of_windows(path: Path) -> None:
    write(path, f'version = 1\r\n[images]\r\n"redis:7" = "{A}"\r\n')
    assert lockfile.read(path).digests == {"redis:7": A}


def test_one_that_cannot_be_written(path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        lockfile.write(path, {"redis:7": A})
    assert caught.value.what == f"the lock file {path} cannot be written"
    assert "No such file or directory" in caught.value.saw


def test_none_is_there(path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        lockfile.read(path)
    assert str(caught.value) == (
        "images are to be held to the lock file, and there is none\n"
        f"  saw:  {path} does not exist\n"
        "  mend: write it: dockerkit lock"
    )


UNREADABLE = {
    "torn within a digest": (f'version = 1\n[images]\n"redis:7" = "{A}"\n"busybox:1" = "sha256:bbb', "at end of"),
    "a conflict of git's": (f'version = 1\n\n[images]\n<<<<<<< HEAD\n"redis:7" = "{A}"\n', "(at line 4, column 1)"),
    "twice": (f'version = 1\n[images]\n"redis:7" = "{A}"\n"redis:7" = "{A}"\n', "line 4"),
    "no quotes": (f'version = 1\n[images]\nredis:7 = "{A}"\n', "(at line 3, column 6)"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_one_that_is_no_toml(path: Path, case: str) -> None:
    text, where = UNREADABLE[case]
    write(path, text)
    with pytest.raises(SpecError) as caught:
        lockfile.read(path)
    assert caught.value.what == f"the lock file {path} cannot be read"
    assert where in caught.value.saw
    assert caught.value.mend == ANEW


def test_one_that_is_no_text(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"version = 1\n\xff\n")
    with pytest.raises(SpecError) as caught:
        lockfile.read(path)
    assert caught.value.what == f"the lock file {path} cannot be read"


_HEX = '"reference" = "sha256:…", with 64 hex digits'
SENSELESS = {
    "torn within the head": ("vers = 1\n", "no version =", "version = 1"),
    "torn behind the head": ("version = 1\n", "no table [images]", "[images]"),
    "a version that is a text": ('version = "1"\n[images]\n', 'line 1: version = "1"', "version = 1"),
    "another table": (
        f'version = 1\n[images]\n"redis:7" = "{A}"\n\n[image]\n',
        "line 5: [image]",
        "version and [images] are all that it has",
    ),
    "images that are no table": ('version = 1\nimages = "redis"\n', 'line 2: images = "redis"', "[images]"),
    "a digest too short": (
        'version = 1\n[images]\n"redis:7" = "sha256:abc"\n',
        'line 3: "redis:7" = "sha256:abc"',
        _HEX,
    ),
    "a digest that is none": (
        f'version = 1\n[images]\n"redis:7" = "{A[7:]}"\n',
        f'line 3: "redis:7" = "{A[7:]}"',
        _HEX,
    ),
    "a number": ("version = 1\n[images]\n\n  redis = 7\n", "line 4: redis = 7", _HEX),
    "no reference": (
        f'version = 1\n[images]\n"Redis" = "{A}"\n',
        f'line 3: "Redis" = "{A}"',
        '[registry/]name[:tag] in lower case, such as "redis"; a Dockerfile goes into build=',
    ),
    "a reference with a digest": (
        f'version = 1\n[images]\n"redis@{A}" = "{A}"\n',
        f'line 3: "redis@{A}" = "{A}"',
        "a reference that has a digest needs no line: drop it",
    ),
    "two forms of one": (
        f'version = 1\n[images]\n"redis:7" = "{A}"\n"docker.io/library/redis:7" = "{B}"\n',
        f'line 4: "docker.io/library/redis:7" = "{B}", and redis:7 stands there with another digest',
        "keep one of them",
    ),
}


@pytest.mark.parametrize("case", SENSELESS)
def test_one_that_makes_no_sense(path: Path, case: str) -> None:
    text, saw, right = SENSELESS[case]
    write(path, text)
    with pytest.raises(SpecError) as caught:
        lockfile.read(path)
    assert str(caught.value) == (f"the lock file {path} makes no sense\n  saw:  {saw}\n  mend: {right}; or {ANEW}")


def test_one_of_a_later_version(path: Path) -> None:
    write(path, "version = 2\n[everything]\n")
    with pytest.raises(SpecError) as caught:
        lockfile.read(path)
    assert str(caught.value) == (
        f"the lock file {path} was written by a later version of pytest-dockerkit\n"
        "  saw:  version = 2; this one reads 1\n"
        "  mend: update pytest-dockerkit"
    )
