"""Volumes and bind mounts: what is written, and what is meant by it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_dockerkit._spec import checks
from pytest_dockerkit._spec.refs import External, FixtureRef, VolumeHandle
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError, without_our_frames

_MEND = (
    '["./data:/data:ro"] (a path of this machine), ["db:/var/lib/db"] (a volume of the test\'s own), '
    '["/scratch"] (an unnamed one), or {"/data": a Path, a volume or its fixture}'
)

#: A volume's name; the engine gets it as the last part of a longer one.
#: Source: moby, daemon/names/names.go, RestrictedNameChars.
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"


@dataclass(frozen=True)
class Mount:
    """One place in the container that is kept elsewhere.

    Attributes:
        target: the absolute path in the container.
        source: a `Path` of this machine, the name of a volume of the scope's own, a volume that exists,
            or None for an unnamed volume.
        read_only: whether the container can only read it.
    """

    target: str
    source: Path | str | VolumeHandle | External | FixtureRef | None
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class VolumeSpec:
    """A volume that is made for its scope and removed at its end.

    Attributes:
        driver: the volume driver.
        options: the driver's options, such as `{"type": "tmpfs", "device": "tmpfs"}` of the local one.
        labels: labels beside the plugin's own.

    Raises:
        SpecError: a value has the wrong type.
    """

    driver: str = "local"
    options: Mapping[str, str] = field(default_factory=FrozenMapping)
    labels: Mapping[str, str] = field(default_factory=FrozenMapping)

    @without_our_frames
    def __post_init__(self) -> None:
        checks.text("driver", self.driver, 'driver="local"')
        options = checks.text_mapping("options", self.options, 'options={"key": "value"}')
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "labels", checks.labels("labels", self.labels))


def parse_mounts(written: object) -> tuple[Mount, ...]:
    """Read the value of `volumes=`: a list in Compose's form, or a mapping from the container's path.

    Raises:
        SpecError: it cannot be read, or two mounts have one target.
    """
    if isinstance(written, Mapping):
        mounts = tuple(_from_item(target, source) for target, source in written.items())
    else:
        mounts = tuple(_from_entry(each) for each in checks.sequence("volumes", written, _MEND))
    targets = [posixpath.normpath(mount.target) for mount in mounts]
    if "/" in targets:
        raise SpecError("volumes= cannot mount over the root", saw="'/'", mend="mount at a directory below it")
    if doubled := next((each for each in targets if targets.count(each) > 1), None):
        raise SpecError("volumes= has one target twice", saw=f"{doubled!r}", mend="mount one thing at a path")
    return mounts


def anchored(mount: Mount, base: Path) -> Mount:
    """Make a relative path of this machine absolute, and refuse one that is not there.

    Raises:
        SpecError: the path does not exist. Docker would make an empty directory in its place.
    """
    if not isinstance(mount.source, Path):
        return mount
    source = checks.resolved("volumes", base, mount.source)
    if not source.exists():
        raise SpecError(
            f"volumes= mounts a path that does not exist at {mount.target}",
            saw=f"{source}",
            mend="a mapping is from the path in the container to what is mounted there; turn it round"
            if Path(mount.target).exists()
            else "create it, or correct the path; relative paths start from the file that says them",
        )
    return Mount(mount.target, source, mount.read_only)


def _from_entry(entry: object) -> Mount:
    if isinstance(entry, Mount):
        return entry
    if isinstance(entry, tuple) and len(entry) in (2, 3):
        return _placed(*entry, *(() if len(entry) == 3 else ("rw",)))
    if not isinstance(entry, str):
        raise checks.wrong_type("volumes", entry, _MEND)
    # From the right, since a path of this machine may have a colon in it.
    head, _, mode = entry.rpartition(":")
    read_only = bool(head) and mode == "ro"
    body = head if head and mode in ("ro", "rw") else entry
    source, colon, target = body.rpartition(":")
    if colon and not source:
        raise SpecError("volumes= has an entry without a source", saw=f"{entry!r}", mend=_MEND)
    if ":/" in source and not target.startswith("/"):
        raise SpecError("volumes= has an unknown mode", saw=f"{target!r} in {entry!r}", mend='"ro", or "rw", or none')
    return Mount(checks.container_path("volumes", target), _source(source) if source else None, read_only)


def _from_item(target: object, source: object) -> Mount:
    if isinstance(source, Mapping):
        # docker-py's form: the source, and where it goes.
        return _placed(target, source.get("bind"), source.get("mode", "rw"))
    written = isinstance(target, str) and not target.startswith("/") and str(source).startswith("/")
    if written or isinstance(target, Path | VolumeHandle | External | FixtureRef):
        # The other way round, as in a Compose entry: nothing but a path in the container begins with "/" there.
        place, _, rights = str(source).rpartition(":")
        return _placed(target, place, rights) if rights in ("ro", "rw") else _placed(target, source, "rw")
    checks.container_path("volumes", target)
    mode = False
    if isinstance(source, str):
        text, _, tail = source.rpartition(":")
        mode = bool(text) and tail == "ro"
        source = text if text and tail in ("ro", "rw") else source
    return Mount(str(target), _source(source), mode)


def _placed(source: object, target: object, mode: object) -> Mount:
    checks.one_of("volumes", mode, ("ro", "rw"))
    return Mount(checks.container_path("volumes", target), _source(source), mode == "ro")


def _source(source: object) -> Path | str | VolumeHandle | External | FixtureRef | None:
    if source is None or isinstance(source, Path | VolumeHandle | External | FixtureRef):
        return source
    if not isinstance(source, str):
        raise checks.wrong_type("volumes", source, _MEND)
    if source.startswith(("/", "./", "../", "~")) or source in (".", "..") or Path(source).is_absolute():
        return Path(source)
    if re.fullmatch(_NAME, source):
        return source
    raise SpecError(
        "volumes= has a source that is neither a path nor the name of a volume",
        saw=f"{source!r}",
        mend=f"{'./' + source!r} for a path, which begins with '/', './', '../' or '~'" if source else _MEND,
    )
