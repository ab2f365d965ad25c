"""Where layers come from and where they are kept, as buildx writes it: a reference, or `type=…,key=value,…`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

from pytest_dockerkit._names import did_you_mean, nearest
from pytest_dockerkit._spec import checks
from pytest_dockerkit.errors import SpecError

#: The kinds that there are. Source: docker/buildx, docs/reference/buildx_build.md, --cache-to.
KINDS = ("inline", "registry", "local", "gha", "s3", "azblob")

#: What an entry of a kind cannot be without, and the way it is named on either side.
_NEEDED = {
    ("cache_from", "registry"): "ref",
    ("cache_to", "registry"): "ref",
    ("cache_from", "local"): "src",
    ("cache_to", "local"): "dest",
}
_EXAMPLES = {
    "cache_from": 'cache_from=["registry.example.com/app:cache"], or ["type=local,src=path"]',
    "cache_to": 'cache_to=["type=inline"], ["type=registry,ref=registry.example.com/app:cache"] or '
    '["type=local,dest=path"]',
}


def attributes(entry: str) -> dict[str, str]:
    """Read an entry that was checked: a reference alone is of the kind "registry"."""
    fields = _fields(entry)
    if fields is None or (len(fields) == 1 and "=" not in fields[0]):
        return {"type": "registry", "ref": entry}
    return {key.strip().lower(): value for key, _, value in (each.partition("=") for each in fields)}


def check_entry(field: str, entry: str, check_reference: Callable[[str, str], str]) -> str:
    """Take an entry of `cache_from=` or `cache_to=`.

    Args:
        field: which of the two.
        entry: what was given.
        check_reference: refuses what is no reference of an image.

    Raises:
        SpecError: it is malformed, or lacks what its kind needs.
    """
    fields = _fields(entry)
    if fields is not None and fields and not any("=" in each for each in fields):
        if len(fields) > 1:
            raise SpecError(
                f"{field}= has several references in one entry", saw=repr(entry), mend="an entry of the list for each"
            )
        return check_reference(field, entry)
    if not fields or not all(re.match(r"\s*\w[\w.-]*=", each) for each in fields):
        raise SpecError(f"{field}= is malformed", saw=repr(entry), mend=_EXAMPLES[field])
    said = attributes(entry)
    kind = said.get("type", "")
    if not kind:
        raise SpecError(f"{field}= says no type", saw=repr(entry), mend=_EXAMPLES[field])
    if kind not in KINDS and nearest(kind, KINDS):
        raise SpecError(f"{field}= is of a type that there is not", saw=repr(entry), mend=did_you_mean(kind, KINDS))
    if (field, kind) == ("cache_from", "inline"):
        raise SpecError(
            "an inline cache is in the image, and is taken from there",
            saw=repr(entry),
            mend='the image\'s reference: cache_from=["registry.example.com/app:1"]',
        )
    needed = _NEEDED.get((field, kind))
    if needed is not None and not said.get(needed):
        raise SpecError(f"{field}= of type={kind} needs {needed}=", saw=repr(entry), mend=_EXAMPLES[field])
    if kind == "registry":
        check_reference(field, said["ref"])
    return entry


def anchored(field: str, entry: str, base: Path) -> str:
    """Make the path of an entry of type=local absolute.

    Args:
        field: `cache_from` or `cache_to`.
        entry: what was given.
        base: where relative paths start.
    """
    said = attributes(entry)
    if said["type"] != "local":
        return entry
    key = _NEEDED[field, "local"]
    said[key] = str(checks.resolved(field, base, Path(said[key])))
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(f"{name}={value}" for name, value in said.items())
    return written.getvalue()


def _fields(entry: str) -> list[str] | None:
    """Split an entry at its commas; None if it cannot be."""
    try:
        rows = list(csv.reader([entry], strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None
