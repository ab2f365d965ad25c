"""Whose a thing on an engine is: others may use the engine as well, and other machines too."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_dockerkit._runtime.settings import Settings

#: The file that tells a state directory from all others; what is in it is random.
_FILE = "owner"
_BYTES = 16


def owner_of(settings: Settings) -> str | None:
    """Give what all that a user's runs make on a machine is labelled with; None where it cannot be told.

    Of the user, the machine and the state directory: whoever has the same can see whether a run lives. The name of
    the machine and the place of the directory alone are not enough. Two containers with the same host name, each
    with a home of its own, may use one engine.
    """
    try:
        known = _random_of(settings.directory())
    except OSError:
        return None
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME")
    parts = [platform.node(), user, str(settings.state_dir.absolute()), known]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _random_of(directory: Path) -> str:
    path = directory / _FILE
    known = _read(path)
    if known is None:
        # Written beside, and put in its place in whole: of several processes the last one wins, and all read that.
        new = directory / f"{_FILE}.{os.getpid()}-{os.urandom(4).hex()}"
        new.write_text(os.urandom(_BYTES).hex(), encoding="ascii")
        try:
            os.link(new, path)
        except FileExistsError:
            if _read(path) is None:
                # As a crash of the machine leaves it.
                new.replace(path)
        except OSError:
            # A file system without hard links.
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
        known = _read(path)
    if known is None:
        raise OSError(f"{path} cannot be written")
    return known


def _read(path: Path) -> str | None:
    """Give what is written in a file; None if it is not there, or not whole."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return text if len(text) == 2 * _BYTES else None
