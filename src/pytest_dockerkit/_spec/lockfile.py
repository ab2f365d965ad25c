"""The lock file: which digest each reference stands for, written down."""

from __future__ import annotations

import json
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_dockerkit._spec.image import check_reference
from pytest_dockerkit._spec.reference import DIGEST, Reference, parse
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError

#: The form of the file. A later one, which this version cannot read, has a higher number.
VERSION = 1

_HEAD = f"""\
# The digests of the images that the tests use, for pytest --dockerkit-pull=locked.
# Written by `dockerkit lock`, which also brings it up to date.
version = {VERSION}

[images]
"""
_ANEW = "write it anew: dockerkit lock"


@dataclass(frozen=True)
class LockFile:
    """What a lock file says.

    Attributes:
        path: where it is.
        digests: the digests, by reference in Docker's short form.
    """

    path: Path
    digests: Mapping[str, str]

    def digest_of(self, reference: Reference) -> str | None:
        """Give the digest that a reference is held to; None if the file does not have it."""
        return self.digests.get(reference.short)


def read(path: Path) -> LockFile:
    """Read a lock file.

    Raises:
        SpecError: it is not there, or makes no sense; says in which line.
    """
    try:
        text = path.read_bytes().decode()
        table = tomllib.loads(text)
    except FileNotFoundError:
        raise SpecError(
            "images are to be held to the lock file, and there is none",
            saw=f"{path} does not exist",
            mend="write it: dockerkit lock",
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failure:
        raise SpecError(f"the lock file {path} cannot be read", saw=str(failure), mend=_ANEW) from None
    _check_version(path, text, table)
    return LockFile(path, FrozenMapping(_digests(path, text, table)))


def write(path: Path, digests: Mapping[str, str]) -> bool:
    """Write a lock file, in one step; the same digests always give the same text.

    Args:
        path: where it is to be.
        digests: the digests, by reference.

    Returns:
        whether the file is another than before.

    Raises:
        SpecError: it cannot be written.
    """
    content = as_text(digests).encode()
    # Where a link leads, so that it stays one.
    target = path.resolve()
    beside = target.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        if target.exists() and target.read_bytes() == content:
            return False
        # Then renamed: whoever reads meanwhile, or after a crash, finds the old one or the new one.
        with beside.open("xb") as file:
            file.write(content)
        beside.replace(target)
    except OSError as failure:
        raise SpecError(
            f"the lock file {path} cannot be written", saw=str(failure), mend="make its directory writable"
        ) from None
    finally:
        beside.unlink(missing_ok=True)
    return True


def as_text(digests: Mapping[str, str]) -> str:
    """Give the text of a lock file: a line for each reference, sorted."""
    short = {parse(reference).short: digest for reference, digest in digests.items()}
    # JSON's strings are TOML's.
    return _HEAD + "".join(f"{json.dumps(key)} = {json.dumps(short[key])}\n" for key in sorted(short))


def _check_version(path: Path, text: str, table: Mapping[str, object]) -> None:
    version = table.get("version")
    if isinstance(version, int) and version > VERSION:
        raise SpecError(
            f"the lock file {path} was written by a later version of pytest-dockerkit",
            saw=f"version = {version}; this one reads {VERSION}",
            mend="update pytest-dockerkit",
        )
    if version != VERSION or isinstance(version, bool):
        saw = "no version =" if version is None else _line(text, "version")
        raise _wrong(path, saw, f"version = {VERSION}")
    unknown = sorted(table.keys() - {"version", "images"})
    if unknown:
        raise _wrong(path, _line(text, unknown[0]), "version and [images] are all that it has")


def _digests(path: Path, text: str, table: Mapping[str, object]) -> dict[str, str]:
    images = table.get("images")
    if not isinstance(images, dict):
        raise _wrong(path, "no table [images]" if images is None else _line(text, "images"), "[images]")
    found: dict[str, str] = {}
    for written, digest in images.items():
        line = _line(text, written)
        if not isinstance(digest, str) or not re.fullmatch(DIGEST, digest):
            raise _wrong(path, line, '"reference" = "sha256:…", with 64 hex digits')
        try:
            reference = parse(check_reference("reference", written))
        except SpecError as failure:
            raise _wrong(path, line, failure.mend) from None
        if reference.digest is not None:
            raise _wrong(path, line, "a reference that has a digest needs no line: drop it")
        if found.setdefault(reference.short, digest) != digest:
            raise _wrong(path, f"{line}, and {reference.short} stands there with another digest", "keep one of them")
    return found


def _line(text: str, key: str) -> str:
    """Give the line of a key, with its number."""
    # In any of TOML's quotes, or as the name of a table.
    begins = re.compile(rf"""[\s\[]*(?:["']{re.escape(key)}["']|{re.escape(key)}(?![\w-]))""")
    for number, line in enumerate(text.splitlines(), start=1):
        if begins.match(line):
            return f"line {number}: {line.strip()}"
    return f"the line of {key!r}"


def _wrong(path: Path, saw: str, right: str) -> SpecError:
    return SpecError(f"the lock file {path} makes no sense", saw=saw, mend=f"{right}; or {_ANEW}")
