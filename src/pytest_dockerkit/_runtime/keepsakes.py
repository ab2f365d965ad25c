"""What stays on the engine for a person to look at: containers of failed tests, with what they need.

Each thing has a record in a file of its own in the state directory: the run that has made it forgets it with its
ledger. Whoever clears up after dead runs leaves alone what is recorded here, until its time is over.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

#: For how long they stay, in seconds: until the same time of the next day.
LIFETIME_S = 24 * 3600.0

#: The number is that of the records' form: another version of the plugin may read none that it does not know.
_DIRECTORY = "keepsakes-1"


class Keepsake(NamedTuple):
    """Something that stays.

    Attributes:
        kind: container, network, volume or image.
        name: its name on the engine.
        engine: what the engine is called, as `_engine.connect.called` does it.
        run: the id of the run that has made it.
        test: the test that has used it.
        alias: what a container is found by; empty of all else.
        image: what a container's image is called; empty of all else.
        kept_at: since when it stays, in seconds since the epoch.
        needs: the names of the networks and volumes that a container stands on, and that are kept for the next run.
    """

    kind: str
    name: str
    engine: str
    run: str
    test: str
    alias: str
    image: str
    kept_at: float
    needs: Sequence[str] = ()


def kept_things(state_dir: Path) -> list[Keepsake]:
    """Give all that stays, on whichever engine, the oldest first; what cannot be read is left out."""
    found: list[Keepsake] = []
    for path in (state_dir / _DIRECTORY).glob("*.json"):
        try:
            found.append(Keepsake(**json.loads(path.read_bytes())))
        except (OSError, ValueError, TypeError):
            # Gone meanwhile, or torn by a crash of the machine.
            continue
    return sorted(found, key=lambda each: each.kept_at)


def outdated(state_dir: Path, engine: str, older_than_s: float = LIFETIME_S) -> list[Keepsake]:
    """Give what has stayed on an engine for too long.

    Args:
        state_dir: where it is recorded.
        engine: what the engine is called.
        older_than_s: for how long it may stay, in seconds.
    """
    until = time.time() - older_than_s
    return [each for each in kept_things(state_dir) if each.engine == engine and each.kept_at < until]


def record(directory: Path, thing: Keepsake) -> None:
    """Write down that something stays; what has a record keeps it.

    Args:
        directory: `settings.directory(*PLACE)`.
        thing: what stays.
    """
    path = _path(directory, thing.kind, thing.name)
    if not path.exists():
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(thing._asdict()), encoding="utf-8")
        new.replace(path)


def forget(state_dir: Path, names: Collection[str]) -> None:
    """Forget what has these names on the engine: it is gone."""
    for thing in kept_things(state_dir):
        if thing.name in names:
            _path(state_dir / _DIRECTORY, thing.kind, thing.name).unlink(missing_ok=True)


def commands(names: Sequence[str], running: Collection[str], docker: str) -> dict[str, list[str]]:
    """Write what a person types to look into containers that stay.

    Args:
        names: of the containers.
        running: those of them that run.
        docker: how the docker command is called for their engine.

    Returns:
        the commands for each container.
    """
    return {
        name: [f"{docker} logs {name}", f"{docker} exec -it {name} sh"]
        if name in running
        else [f"{docker} logs {name}", f"{docker} cp {name}:/PATH .", f"{docker} start {name}"]
        for name in names
    }


def removal(entries: Sequence[tuple[str, str]], docker: str) -> str:
    """Write the command that removes what stays: first the containers, then what they stand on."""
    verbs = {"container": "rm -f -v", "network": "network rm", "volume": "volume rm", "image": "image rm"}
    parts = []
    for kind, verb in verbs.items():
        if names := [name for each, name in entries if each == kind]:
            parts.append(f"{docker} {verb} {' '.join(names)}")
    return " && ".join(parts)


#: Below the state directory.
PLACE = (_DIRECTORY,)


def _path(directory: Path, kind: str, name: str) -> Path:
    return directory / f"{kind}.{name}.json"
