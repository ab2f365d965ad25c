"""Files into a container, whether it runs or not."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_dockerkit._engine.daemon import Daemon


def put_files(engine: Daemon, container_id: str, content: Mapping[str, str | bytes | Path]) -> None:
    """Copy files into a container; directories that are missing are made with the mode 0755.

    Raises:
        EngineError: the engine refuses, as for a read-only root.
    """
    if not content:
        return
    # 3 ms, and most containers get no files.
    from pytest_dockerkit._runtime import files

    # Engines before 23 make missing parents with the mode 0600, which only root can pass. An archive goes to the
    # lowest directory that is there: into a volume below a read-only root, the engine takes it there alone.
    places: dict[str, tuple[dict[str, str | bytes | Path], dict[str, None]]] = {}
    for target, given in content.items():
        place, missing = _place(engine, container_id, target)
        contents, directories = places.setdefault(place, ({}, {}))
        contents["/" + posixpath.relpath(target, place)] = given
        directories.update(dict.fromkeys("/" + posixpath.relpath(each, place) for each in missing))
    for place, (contents, directories) in places.items():
        engine.containers.put(container_id, place, files.pack(contents, directories))


def _place(engine: Daemon, container_id: str, target: str) -> tuple[str, list[str]]:
    """Find the lowest directory above a path that is there, and those below it that are missing."""
    from pytest_dockerkit._runtime import files

    above = files.parents(target)
    for place in range(len(above), 0, -1):
        if engine.containers.has(container_id, above[place - 1]):
            return above[place - 1], above[place:]
    return "/", above
