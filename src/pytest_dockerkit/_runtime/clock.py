"""The engine's times as Python's."""

from __future__ import annotations

from datetime import datetime


def engine_time(said: str) -> datetime:
    """Read a time as the engine writes it: RFC 3339 in UTC, with nanoseconds, of which Python reads six digits."""
    seconds, _, fraction = said.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{fraction[:6]:0<6}+00:00")
