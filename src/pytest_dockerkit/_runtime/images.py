"""The handle of an image: what it is made of, and what is in it."""

from __future__ import annotations

import posixpath
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._names import FINGERPRINT_LABEL
from pytest_dockerkit._spec import checks
from pytest_dockerkit._spec.container import ContainerSpec
from pytest_dockerkit._spec.refs import ImageHandle
from pytest_dockerkit._values import FrozenMapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_dockerkit._runtime.files import FileInfo
    from pytest_dockerkit._runtime.image_config import ImageConfig
    from pytest_dockerkit._runtime.results import RunResult
    from pytest_dockerkit._runtime.session import Session


class Image(ImageHandle):
    """An image on the engine.

    Attributes:
        id: the engine's id for it, `sha256:…`.
        reference: the name that it was asked for, or that the plugin gave it.
        title: what a person calls it: its reference, or for one that was built its context and target.
        cached: whether it was there already, and nothing was built or pulled for it in this run.
    """

    def __init__(
        self, session: Session, facts: dict[str, Any], reference: str, *, cached: bool, title: str | None = None
    ) -> None:
        self._session = session
        self._facts = facts
        self.id: str = facts["Id"]
        self.reference = reference
        self.title = title or reference
        self.cached = cached

    @property
    def facts(self) -> dict[str, Any]:
        """Its description by the engine, as it was when it was found."""
        return self._facts

    @property
    def tags(self) -> tuple[str, ...]:
        """Its names."""
        return tuple(self._facts.get("RepoTags") or ())

    @property
    def digest(self) -> str | None:
        """Its digest at the registry that it came from; None if it never was at one."""
        found = self._facts.get("RepoDigests") or ()
        return found[0].rpartition("@")[2] if found else None

    @property
    def size_bytes(self) -> int:
        """Its size in bytes, with all of its layers."""
        return int(self._facts["Size"])

    @property
    def layers(self) -> tuple[str, ...]:
        """The digests of its layers, lowest first."""
        return tuple((self._facts.get("RootFS") or {}).get("Layers") or ())

    @cached_property
    def history(self) -> tuple[str, ...]:
        """The instructions that made it, first one first."""
        steps = self._session.engine.images.history(self.id)
        return tuple(str(step["CreatedBy"]) for step in reversed(steps))

    @property
    def fingerprint(self) -> str | None:
        """The digest of all that went into it; None if the plugin has not built it."""
        return self.config.labels.get(FINGERPRINT_LABEL)

    @cached_property
    def config(self) -> ImageConfig:
        """What it says of how it is to be run."""
        from pytest_dockerkit._runtime.image_config import ImageConfig

        said = self._facts.get("Config") or {}
        check = (said.get("Healthcheck") or {}).get("Test")
        pairs = (each.partition("=") for each in said.get("Env") or ())
        return ImageConfig(
            user=said.get("User") or "",
            env=FrozenMapping({key: value for key, _, value in pairs}),
            entrypoint=tuple(said.get("Entrypoint") or ()),
            cmd=tuple(said.get("Cmd") or ()),
            workdir=said.get("WorkingDir") or "",
            exposed_ports=tuple(said.get("ExposedPorts") or ()),
            labels=FrozenMapping(said.get("Labels") or {}),
            healthcheck=tuple(check) if check and check[0] != "NONE" else None,
            volumes=tuple(said.get("Volumes") or ()),
            stop_signal=said.get("StopSignal"),
            onbuild=tuple(said.get("OnBuild") or ()),
        )

    def run(self, command: str | Sequence[str] | None = None, **fields: Any) -> RunResult:
        """Run a container of it to its end, and remove it.

        Args:
            command: the command, in place of the image's.
            **fields: fields of `ContainerSpec`; `timeout` is how long it may run. The network is Docker's
                "bridge" unless one is given.

        Raises:
            ExecTimeoutError: it has not ended in time.
            SpecError: a field is wrong.
        """
        return self._session.run_once(self, command, fields)

    def file(self, path: str) -> FileInfo:
        """Look at a path in it; no program of the image is run.

        A symbolic link is not followed: `link_target` says where it leads.

        Raises:
            SpecError: the path is not absolute.
        """
        # Here and below: reading archives takes 3 ms to import.
        from pytest_dockerkit._runtime import files

        checks.container_path("path", path)
        with self._opened() as container, self._session.engine.containers.get(container, path) as pieces:
            found = files.FileInfo(path, exists=False) if pieces is None else files.first_file(pieces, path)
        return files.FileInfo(path, exists=False) if _of_the_engine(found) else found

    def files(self, pattern: str) -> list[FileInfo]:
        """Look at all paths in it that match a pattern; no program of the image is run.

        Args:
            pattern: an absolute path with `*`, `?` and `[…]` within one level, `**` over any number.

        Raises:
            SpecError: the pattern is not absolute.
        """
        from pytest_dockerkit._runtime import files

        checks.container_path("pattern", pattern)
        fixed = _fixed_part(pattern)
        with self._opened() as container, self._session.engine.containers.get(container, fixed) as pieces:
            if pieces is None:
                return []
            found = files.matching(pieces, posixpath.dirname(fixed) if fixed != "/" else "/", pattern)
            return sorted((each for each in found if not _of_the_engine(each)), key=lambda each: each.path)

    @contextmanager
    def _opened(self) -> Iterator[str]:
        """Give a container of it that is never started: the engine reads files in those as well."""
        spec = ContainerSpec(image=self, command=["never-started"], network="none")
        with self._session.starter.created(spec, self, alias="look") as container:
            yield container

    def __repr__(self) -> str:
        return f"<Image {self.title} {self.id.removeprefix('sha256:')[:12]}>"


def _of_the_engine(info: FileInfo) -> bool:
    """Tell whether the engine has put a file into the container that an image is looked at in.

    An image's own file of such a name counts unless it is empty too, as in images without any they are.
    Source: moby, daemon/initlayer/setup_unix.go.
    """
    if info.path in ("/.dockerenv", "/dev/console", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"):
        return not info.is_dir and info.link_target is None and info.size_bytes == 0
    return info.path == "/etc/mtab" and info.link_target == "/proc/mounts"


def _fixed_part(pattern: str) -> str:
    """Give the directory above the first part of a pattern that is not fixed."""
    fixed: list[str] = []
    parts = posixpath.normpath(pattern).split("/")[1:]
    for part in parts[:-1]:
        if any(letter in part for letter in "*?["):
            break
        fixed.append(part)
    return "/" + "/".join(fixed)
