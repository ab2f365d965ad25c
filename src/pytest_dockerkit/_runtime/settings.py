"""What the user has set for a run."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import DockerkitError, SpecError

if TYPE_CHECKING:
    from pytest_dockerkit._spec.declared import Declared

#: What a file has in it that may have our table, also by a wrong name.
_OUR_TABLE = re.compile(rb"pytest_dockerkit|tool\s*\.\s*[\"']?pytest-dockerkit")

#: Where networks have their subnets from: 256 subnets of 253 containers each. Decision 21 has the reasons.
DEFAULT_SUBNETS = "base=10.213.0.0/16,size=24"

#: What the setting of the mirrors should look like.
_MIRRORS = "docker.io=mirror.example.com/hub; several are separated by spaces"


def state_dir() -> Path:
    """Give the directory that belongs to this user alone: ledgers and locks are kept below it.

    It is the user's cache directory, or where there is none that can be written to, one for temporary files.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        # A relative path is to be ignored. Source: XDG Base Directory Specification.
        cache = given if given.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        # A user without a home, as in many a container.
        return _temporary()
    there = next(each for each in (cache, *cache.parents) if each.exists())
    return cache / "pytest-dockerkit" if os.access(there, os.W_OK) else _temporary()


def _temporary() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"pytest-dockerkit-{user}"


@dataclass(frozen=True)
class Settings:
    """What the user has set for a run.

    Attributes:
        host: the engine's address, or None to find it as the docker command line does.
        context: the docker context, or None for the active one.
        pool: the addresses of the other engines of the run, whose images are taken before they are made once more.
        pull: when images are pulled, where a spec does not say.
        rebuild: build every image once more, though nothing has changed.
        builder: what builds images: auto, buildx, buildkit or classic.
        mirrors: registries that are asked before another, each with what it stands for: ("docker.io", "host/path").
        image_registry: where built images are shared between machines, or None.
        image_push: whether what was built is pushed there.
        subnets: the pools that networks have their subnets from, in the form of Docker's `--default-address-pool`;
            `engine` leaves the choice to the engine.
        lock_file: where the digests of images are written down, or None.
        images: the images that the project declares, by name.
        max_containers: how many containers of a run there may be at once; None is any number.
        teardown: whether pytest waits for the removals at the end: wait or handover.
        swarm: what becomes of services where the engine is in no swarm: join, or init to make one for the run.
        keep: whose containers stay for a person to look at: never, those of failed tests, or always.
        reuse: whether containers of the session are kept for the next run.
        reuse_lifetime_s: for how long they are kept after they were last used, in seconds.
        project: the project's directory.
        state_dir: where ledgers and locks are kept.
    """

    host: str | None = None
    context: str | None = None
    pool: tuple[str, ...] = ()
    pull: str = "missing"
    rebuild: bool = False
    builder: str = "auto"
    swarm: str = "join"
    mirrors: tuple[tuple[str, str], ...] = ()
    image_registry: str | None = None
    image_push: bool = False
    subnets: str = DEFAULT_SUBNETS
    lock_file: Path | None = None
    images: Declared = field(default_factory=FrozenMapping)
    max_containers: int | None = None
    teardown: str = "wait"
    keep: str = "never"
    reuse: bool = False
    reuse_lifetime_s: float = 12 * 3600
    project: Path = Path()
    state_dir: Path = field(default_factory=state_dir)

    def directory(self, *names: str) -> Path:
        """Give a directory below the state's, made if need be, for this user alone.

        Raises:
            DockerkitError: it belongs to somebody else, or cannot be made.
        """
        path = self.state_dir
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = path.stat().st_uid
        except OSError as failure:
            raise _not_made(failure) from None
        if hasattr(os, "getuid") and owner != os.getuid():
            raise DockerkitError(
                "the directory for the plugin's state belongs to another user",
                saw=str(self.state_dir),
                mend="name another in XDG_CACHE_HOME",
            )
        try:
            for name in names:
                path /= name
                path.mkdir(mode=0o700, exist_ok=True)
        except OSError as failure:
            raise _not_made(failure) from None
        return path


def _not_made(failure: OSError) -> DockerkitError:
    return DockerkitError(
        "the directory for the plugin's state cannot be made",
        saw=str(failure),
        mend="make it one that can be written to, or name another in XDG_CACHE_HOME",
    )


def read_max_containers(text: str | None) -> int | None:
    """Read how many containers of a run there may be at once.

    Raises:
        SpecError: it is no number above 0.
    """
    if text is None or not text.strip():
        return None
    if text.strip().isdecimal() and int(text) > 0:
        return int(text)
    raise SpecError(
        "dockerkit_max_containers is no number above 0", saw=repr(text), mend="--dockerkit-max-containers=8"
    )


def read_mirrors(text: str) -> tuple[tuple[str, str], ...]:
    """Read the setting of the mirrors: `docker.io=mirror.example.com/hub`, several separated by spaces.

    Raises:
        SpecError: a part is malformed.
    """
    # Every run comes by here.
    if not text.strip():
        return ()
    from pytest_dockerkit._spec.reference import check_place, check_registry

    pairs: dict[tuple[str, str], None] = {}
    for word in text.replace(",", " ").split():
        registry, equals, mirror = word.partition("=")
        if not (registry and equals and mirror.strip("/")):
            raise SpecError(
                "a mirror is given in another form than registry=mirror",
                saw=f"dockerkit_mirrors: {word!r}",
                mend=_MIRRORS,
            )
        before = f"dockerkit_mirrors: what stands before the '=' of {word!r}"
        behind = f"dockerkit_mirrors: what stands behind the '=' of {word!r}"
        registry = check_registry(before, registry.rstrip("/"), _MIRRORS)
        pairs[registry, check_place(behind, mirror.rstrip("/"), _MIRRORS, path_needed=False)] = None
    return tuple(pairs)


def read_image_registry(text: str | None) -> str | None:
    """Read the setting of the image registry: `registry.example.com/ci`.

    Raises:
        SpecError: it cannot be the name of a repository.
    """
    if text is None or not text.strip():
        return None
    from pytest_dockerkit._spec.reference import check_place

    return check_place(
        "dockerkit_image_registry", text.strip().rstrip("/"), "registry.example.com/ci", path_needed=True
    )


def read_subnets(text: str | None) -> str:
    """Check the setting of the subnets: `base=10.213.0.0/16,size=24`, several separated by spaces, or `engine`.

    Raises:
        SpecError: a part is malformed.
    """
    # Every run comes by here.
    if text is None or not text.strip():
        return DEFAULT_SUBNETS
    from pytest_dockerkit._spec.subnets import parse_pools

    parse_pools(text)
    return text.strip()


def declared_images(project: Path, environment: Mapping[str, str] = os.environ) -> Declared:
    """Read the images that a project declares in `[tool.pytest_dockerkit.images]` of its `pyproject.toml`.

    Args:
        project: the directory of that file; there need be none.
        environment: `DOCKERKIT_IMAGE_<NAME>` in it names an image to take in place of building one.

    Raises:
        SpecError: the table is wrong, or the file cannot be read.
    """
    path = project / "pyproject.toml"
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return FrozenMapping()
    except OSError as failure:
        raise SpecError(f"{path} cannot be read", saw=str(failure), mend="make it readable") from None
    # Every run comes by here: what is heavy is imported for those alone that have such a table.
    if not _OUR_TABLE.search(content):
        return FrozenMapping()
    from pytest_dockerkit._spec.declared import read_images

    try:
        text = content.decode()
    except UnicodeDecodeError as failure:
        raise SpecError(f"{path} is not TOML", saw=str(failure), mend="write it in UTF-8") from None
    return read_images(text, path, environment)
