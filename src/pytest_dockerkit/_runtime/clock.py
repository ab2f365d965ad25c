"""The engine's times as Python's."""

from __future__ import annotations

from datetime import datetime


def engine_time(said: str) -> datetime:
    """Read a time as the engine writes it: RFC 3339, with nanoseconds, of which Python reads six digits."""
    return datetime.fromisoformat(said)
