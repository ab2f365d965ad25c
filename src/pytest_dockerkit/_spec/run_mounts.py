"""What `RUN --mount=type=bind,source=a,target=/b` says, field by field."""

from __future__ import annotations

import re
from typing import NamedTuple

#: A field of a line of comma-separated values; within double quotes a comma is a character like others.
_FIELD = re.compile(r'("(?:[^"]|"")*"[^,]*|[^,]*)(?:,|\Z)')


class MountField(NamedTuple):
    """One field of a mount.

    Attributes:
        key: in small letters.
        value: what stands after the `=`; empty where there is none.
        at: where that begins in the mount.
    """

    key: str
    value: str
    at: int


def mount_fields(mount: str) -> list[MountField]:
    """Give the fields of the value of a `--mount` flag."""
    found = []
    for match in _FIELD.finditer(mount):
        start, field = match.start(1), match[1]
        if field.startswith('"'):
            start, field = start + 1, field[1:].removesuffix('"').replace('""', '"')
        key, _, value = field.partition("=")
        found.append(MountField(key.lower(), value, start + len(key) + 1))
        if match.end() == len(mount) and not match[0].endswith(","):
            break
    return found
