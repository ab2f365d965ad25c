"""Files of environment variables, as `docker run --env-file` reads them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path


def read_env_file(path: Path) -> dict[str, str]:
    """Read lines of `NAME=value`; a bare `NAME` takes this process's value; `#` begins a comment line.

    Nothing is unquoted or expanded, as Docker does not either.

    Raises:
        SpecError: the file cannot be read, or a line has no name.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as failure:
        raise SpecError("env_file= cannot be read", saw=f"{path}: {failure}", mend="a readable UTF-8 file") from None
    env: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.lstrip()
        if not text or text.startswith("#"):
            continue
        name, has_value, value = text.partition("=")
        if not name or any(letter.isspace() for letter in name):
            raise SpecError(
                "env_file= has a line without a name",
                # What follows may be a secret, and so may a line without a '=': the rest of one above.
                saw=f"{path}, line {number}" + (f": {name!r} before its '='" if has_value else ", which has no '='"),
                mend="NAME=value",
            )
        if has_value:
            env[name] = value
        elif name in os.environ:
            env[name] = os.environ[name]
    return env
