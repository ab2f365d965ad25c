"""The directives at the beginning of a Dockerfile: `# syntax=`, `# escape=`, `# check=`.

Source: moby/buildkit, frontend/dockerfile/parser/directives.go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from pytest_dockerkit._spec.words import SPACES

_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[\t\f\r ]*=[\t\f\r ]*(.+?)[\t\f\r ]*")
_NAMES = ("syntax", "escape", "check")
#: Docker's own builder of Dockerfiles, wherever it is pulled from.
_DOCKERS = re.compile(r"(?:.*/)?docker/dockerfile(?:-upstream)?(?:[:@].*)?")


def directives(lines: Sequence[str], comment: str = "#") -> tuple[tuple[str, str], ...]:
    """Read the directives; they end at the first line that is none.

    Args:
        lines: the Dockerfile's, without a byte order mark.
        comment: what begins them.
    """
    found: list[tuple[str, str]] = []
    for line in lines:
        stripped = line.lstrip(SPACES)
        if not stripped.startswith(comment):
            break
        match = _DIRECTIVE.fullmatch(stripped.removeprefix(comment).lstrip(SPACES))
        if match is None or match[1].lower() not in _NAMES:
            break
        found.append((match[1].lower(), match[2]))
    return tuple(found)


def foreign(text: str, build_args: Mapping[str, str]) -> bool:
    """Tell whether a text is read by another builder than Docker's own, so that it may mean anything.

    Args:
        text: the Dockerfile.
        build_args: may name the builder too, as `BUILDKIT_SYNTAX`.
    """
    syntax = build_args.get("BUILDKIT_SYNTAX") or _syntax(text.removeprefix("\N{BYTE ORDER MARK}"))
    return bool(syntax) and _DOCKERS.fullmatch(syntax.partition(" ")[0]) is None


def _syntax(text: str) -> str:
    """Find the image that reads a text; any text may name one, in a comment of its own kind."""
    lines = text.split("\n")
    if lines[0].startswith("#!"):
        lines = lines[1:]
    for comment in ("#", "//"):
        found = dict(directives(lines, comment))
        if "syntax" in found:
            return found["syntax"]
    if not text.lstrip().startswith("{"):
        return ""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    return str(said.get("syntax", "")) if isinstance(said, dict) else ""
