"""The workers of pytest-xdist: what the controller hands down to them, who lives, and what becomes of the rest.

Every run imports this module: whatever is heavy is imported where it is needed.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_dockerkit._parts import Config
    from pytest_dockerkit._runtime.alive import Alive

#: Tells one start of a machine's kernel from all others. Source: random(4).
_BOOT = Path("/proc/sys/kernel/random/boot_id")
#: What says which engine is meant, where no option does.
_ENGINE = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")

_ALIVE = pytest.StashKey["Alive"]()
_SECRET = pytest.StashKey[str]()
#: What is to be told at the end: lines, and whether something is left.
TOLD = pytest.StashKey[tuple[list[str], bool]]()
_ELSEWHERE = pytest.StashKey[list[tuple[list[str], bool]]]()
_GIVEN: pytest.StashKey[Mapping[str, Any]] = pytest.StashKey()


def alive_of(config: Config, directory: Callable[[], Path], process: str | None = None) -> Alive:
    """Give what shows that this process lives; that of a run's owner is there once.

    Args:
        config: of this process.
        directory: gives the run's directory, made if need be.
        process: the name of the process in the run; None for the run's owner.
    """
    from pytest_dockerkit._runtime.alive import Alive

    if process is not None:
        return Alive(directory, process)
    return config.stash.setdefault(_ALIVE, Alive(directory))


def live(config: Config, directory: Callable[[], Path]) -> None:
    """Show that the owner of the run lives, before any worker does."""
    from pytest_dockerkit.errors import DockerkitError

    # Whoever needs the directory is told why there is none.
    with suppress(DockerkitError):
        alive_of(config, directory).hold()


def live_no_more(config: Config, directory: Path) -> None:
    """Show that the run is over; where no process has made anything of it, nothing of it stays."""
    if _ALIVE in config.stash:
        config.stash[_ALIVE].release()
        if not has_ledger(directory):
            import shutil

            shutil.rmtree(directory, ignore_errors=True)


def has_ledger(directory: Path) -> bool:
    """Tell whether any process of a run has written down that it makes something."""
    return any(directory.glob("*.jsonl"))


def secret_of(config: Config, kept: bytes | None) -> str:
    """Give what makes digests of secrets useless to others, in hex: what was kept, or one for this run."""
    import secrets

    return config.stash.setdefault(_SECRET, (kept or secrets.token_bytes(32)).hex())


def hand_down(node: Any, run_id: str, state_dir: Path, engine: Sequence[str | None], secret: str) -> None:
    """Tell a worker of the run that it belongs to; the controller owns it.

    Args:
        node: the worker, as xdist has it.
        run_id: the run's id.
        state_dir: where ledgers and locks are kept.
        engine: what the options say of the engine.
        secret: what makes digests of secrets useless to others.
    """
    there = next(each for each in (state_dir, *state_dir.parents) if each.exists())
    node.workerinput |= {
        "dockerkit_run": run_id,
        "dockerkit_state": str(state_dir),
        "dockerkit_secret": secret,
        "dockerkit_place": str(there),
        "dockerkit_home": _home(there, engine),
    }


def handed_down(config: Config, key: str, engine: Sequence[str | None]) -> str | None:
    """Give what the controller has handed down.

    Returns:
        it; None in a process that stands by itself: no worker, or one that can share nothing with the controller, as
        on another machine.
    """
    if _GIVEN not in config.stash:
        given: Mapping[str, Any] = getattr(config, "workerinput", {})
        at_home = "dockerkit_home" in given and given["dockerkit_home"] == _home(
            Path(given["dockerkit_place"]), engine
        )
        config.stash[_GIVEN] = given if at_home else {}
    return config.stash[_GIVEN].get(f"dockerkit_{key}")


def with_those_elsewhere(config: pytest.Config, lines: list[str], left: bool) -> tuple[list[str], bool]:  # noqa: FBT001
    """Add to what is told at the end what workers elsewhere have told; such a worker sends it on its way.

    Args:
        config: of this process.
        lines: what this process tells.
        left: whether something could not be removed.

    Returns:
        the same of all of them.
    """
    if hasattr(config, "workeroutput"):
        config.workeroutput["dockerkit_told"] = [lines, left]
    elsewhere = config.stash.get(_ELSEWHERE, [])
    return [*lines, *(line for said, _ in elsewhere for line in said)], left or any(each for _, each in elsewhere)


def hear(node: Any) -> None:
    """Take what a worker has told at its end; xdist may tell of its end twice."""
    lines, left = getattr(node, "workeroutput", {}).pop("dockerkit_told", ([], False))
    told = [f"{node.gateway.id}, elsewhere: {line}" for line in lines]
    node.config.stash.setdefault(_ELSEWHERE, []).append((told, left))


def _home(place: Path, engine: Sequence[str | None]) -> str:
    """Give what those have in common who can share containers: a machine, a user, files, and an engine."""
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    try:
        status = place.stat()
    except OSError:
        return ""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME")
    said = [os.environ.get(name) for name in _ENGINE]
    return repr((platform.node(), boot, user, status.st_dev, status.st_ino, *engine, *said))
