"""Files into a container, whether it runs or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_dockerkit._runtime import files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_dockerkit._engine.daemon import Daemon


def put_files(engine: Daemon, container_id: str, content: Mapping[str, str | bytes | Path]) -> None:
    """Copy files into a container; directories that are missing are made with the mode 0755.

    Raises:
        EngineError: the engine refuses, as for a read-only root.
    """
    # Engines before 23 make missing parents with the mode 0600, which only root can pass.
    missing: dict[str, None] = {}
    for target in content:
        missing.update(dict.fromkeys(_missing_parents(engine, container_id, target)))
    engine.containers.put(container_id, "/", files.pack(content, missing))


def _missing_parents(engine: Daemon, container_id: str, target: str) -> list[str]:
    above = files.parents(target)
    for place in range(len(above), 0, -1):
        if engine.containers.has(container_id, above[place - 1]):
            return above[place:]
    return above
