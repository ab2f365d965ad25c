"""What a spec is known by in every process: a digest of all that was asked for.

Two processes that want the same thing come to the same digest without a word to each other. It is in labels and in
the names of files, so it gives no secret away. Pure, but for reading the files that a spec names.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from pytest_dockerkit._spec.container import ContainerSpec
from pytest_dockerkit._spec.refs import ContainerHandle, FixtureRef, ImageHandle, NetworkHandle, VolumeHandle
from pytest_dockerkit._spec.secret import Secret
from pytest_dockerkit.errors import SpecError

#: Classes whose fields are all that they are.
_OURS = "pytest_dockerkit."

#: Fields that say the same in any order; of a set, each process has an order of its own.
_UNORDERED = ("aliases", "cap_add", "cap_drop", "depends_on", "volumes")


class NoIdentityError(Exception):
    """A value is not known by what it holds, so other processes cannot tell that they have the same.

    Attributes:
        field: where it is, such as `wait.tls`.
        why: what it is.
    """

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field or 'the value'} has no identity: {why}")
        self.field = field
        self.why = why

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.field, self.why)


def identity(value: object, *, key: bytes = b"") -> str:
    """Give the SHA-256 in hex of a value that is made of what specs are made of.

    What is equal has one identity, as `1` and `1.0` do, and so have a list and a tuple of the same. Only `True` and
    `1` differ, as they do for the engine. A path counts as a path: nothing is read.

    Args:
        value: None, numbers, texts, bytes, paths, enums, patterns, sequences, mappings, our own values and handles.
        key: makes the digests of secrets useless to all who do not have it; needed where there is one.

    Raises:
        NoIdentityError: it is, or holds, something else.
    """
    return hashlib.sha256(_Writer(key).write(value, "")).hexdigest()


def container_identity(spec: ContainerSpec, *, key: bytes = b"") -> str:
    """Give the identity of a container: all its fields, and the content of the files that it names.

    An `ImageSpec` counts by its fields, and a bind mount by its path. Paths should be absolute: see `anchored`.

    Args:
        spec: what is wanted.
        key: see `identity`.

    Raises:
        NoIdentityError: a field holds what has no identity: a probe of the user's own, a TLS context, a fixture.
        SpecError: a file of variables or of a secret cannot be read.
        OSError: a file of `files=` cannot be read.
    """
    writer = _Writer(key)
    # What the variables are, and not where they stand: a line without a value takes this process's own.
    written = {"env": writer.write(spec.full_env(), "env")}
    for each in fields(spec):
        if each.name not in ("env", "env_file"):
            written[each.name] = _field(writer, spec, each.name)
    return hashlib.sha256(_joined(b"container", (_text(name) + part for name, part in written.items()))).hexdigest()


def _field(writer: _Writer, spec: ContainerSpec, name: str) -> bytes:
    if name == "network":
        return writer.write(spec.networks, name)
    value = getattr(spec, name)
    if name in _UNORDERED:
        return _joined(b"unordered", sorted(writer.write(each, name) for each in value))
    if name == "files":
        return writer.mapping(value, name, lambda each, _: _file(each) if isinstance(each, Path) else None)
    if name == "secrets":
        return writer.mapping(value, name, writer.secret_file)
    return writer.write(value, name)


class _Writer:
    """Writes values as bytes, so that two differ exactly where the values do.

    Args:
        key: see `identity`.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, value: object, where: str) -> bytes:
        """Write a value.

        Args:
            value: which.
            where: how an error calls it.
        """
        if (plain := _plain(value)) is not None:
            return plain
        if isinstance(value, Secret):
            return _joined(b"secret", (_text(value.name), self._keyed(_as_bytes(value.reveal()), where)))
        if isinstance(value, Mapping):
            return self.mapping(value, where)
        if isinstance(value, list | tuple):
            return _joined(b"list", (self.write(each, f"{where}[{at}]") for at, each in enumerate(value)))
        if _is_ours(value):
            return self._by_fields(value, where)
        kind = "a fixture" if isinstance(value, FixtureRef) else f"an object of {_class_name(type(value))}"
        raise NoIdentityError(where, kind)

    def mapping(
        self, value: Mapping[Any, Any], where: str, special: Callable[[Any, str], bytes | None] | None = None
    ) -> bytes:
        """Write a mapping; the order of its keys says nothing.

        Args:
            value: which.
            where: how an error calls it.
            special: writes some of its values in another way, by the value and its place.
        """
        pairs: list[bytes] = []
        for each_key, each in value.items():
            place = f"{where}[{each_key!r}]"
            written = special(each, place) if special is not None else None
            pairs.append(self.write(each_key, place) + (self.write(each, place) if written is None else written))
        return _joined(b"mapping", sorted(pairs))

    def secret_file(self, value: object, where: str) -> bytes | None:
        """Write the file of a secret, or nothing for what is no file.

        Raises:
            SpecError: it cannot be read.
        """
        if not isinstance(value, Path):
            return None
        try:
            content = value.read_bytes()
        except OSError as failure:
            raise SpecError(
                f"the file of {where} cannot be read",
                saw=f"{value}: {failure.strerror}",
                mend="write the secret there, readable for the user who runs the tests",
            ) from None
        # Its mode does not count: in the container it has another.
        return _joined(b"secret file", (self._keyed(content, where),))

    def _by_fields(self, value: Any, where: str) -> bytes:
        # What does not count when two are compared does not count here.
        names = [each.name for each in fields(value) if each.compare]
        start = f"{where}." if where else ""
        written = [_text(name) + self.write(getattr(value, name), start + name) for name in names]
        return _joined(b"value", (_text(_class_name(type(value))), *written))

    def _keyed(self, content: bytes, where: str) -> bytes:
        if not self._key:
            # Whoever reads a plain digest can try passwords until one fits.
            raise NoIdentityError(where, "a secret, and there is no key")
        import hmac

        return _item(b"keyed", hmac.digest(self._key, content, "sha256"))


def _plain(value: object) -> bytes | None:
    """Write what holds nothing else; None for all that does."""
    if value is None:
        return _item(b"none", b"")
    # Before the texts and numbers: some are these as well.
    if isinstance(value, Enum):
        return _joined(b"enum", (_text(_class_name(type(value))), _text(value.name)))
    if isinstance(value, bool):
        return _item(b"bool", b"1" if value else b"0")
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bytes | bytearray):
        return _item(b"bytes", bytes(value))
    if isinstance(value, PurePath):
        return _item(b"path", _as_bytes(str(value)))
    if isinstance(value, re.Pattern):
        return _joined(b"pattern", (_plain(value.pattern) or b"", _number(value.flags)))
    return _handle(value)


def _handle(value: object) -> bytes | None:
    if isinstance(value, VolumeHandle):
        return _joined(b"volume", (_text(value.name),))
    for kind, cls in ((b"image", ImageHandle), (b"network", NetworkHandle), (b"container", ContainerHandle)):
        if isinstance(value, cls):
            return _joined(kind, (_text(value.id),))
    return None


def _file(path: Path) -> bytes:
    """Write what is copied in for a path: its permissions and content, a directory with all below it.

    Raises:
        OSError: it cannot be read.
    """
    # As an archive takes it: no link is followed.
    status = path.lstat()
    mode = _number(stat.S_IMODE(status.st_mode))
    if stat.S_ISDIR(status.st_mode):
        below = sorted(path.iterdir(), key=lambda each: os.fsencode(each.name))
        return _joined(
            b"directory", (mode, *(_item(b"name", os.fsencode(each.name)) + _file(each) for each in below))
        )
    if stat.S_ISLNK(status.st_mode):
        return _item(b"link", os.fsencode(path.readlink()))
    if stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            return _joined(b"file", (mode, _item(b"digest", hashlib.file_digest(file, "sha256").digest())))
    return _joined(b"special file", (mode, _number(stat.S_IFMT(status.st_mode)), _number(status.st_rdev)))


def _is_ours(value: object) -> bool:
    cls = type(value)
    return is_dataclass(cls) and cls.__module__.startswith(_OURS) and not isinstance(value, FixtureRef)


def _class_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _as_bytes(value: str | bytes) -> bytes:
    # With halves of pairs as they are: names of files may have them.
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


def _text(value: str) -> bytes:
    return _item(b"text", _as_bytes(value))


def _number(value: float) -> bytes:
    whole = isinstance(value, int) or value.is_integer()
    return _item(b"number", (f"{int(value):x}" if whole else f"float {value!r}").encode())


def _joined(kind: bytes, parts: Iterable[bytes]) -> bytes:
    return _item(kind, b"".join(parts))


def _item(kind: bytes, content: bytes) -> bytes:
    """Write one thing with its length, so that what follows cannot be taken for a part of it."""
    return b"%s:%d:%s" % (kind, len(content), content)
