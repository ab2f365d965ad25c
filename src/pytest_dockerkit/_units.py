"""Text that people write, as numbers with a unit: sizes in bytes, durations in seconds."""

from __future__ import annotations

import re

from pytest_dockerkit.errors import SpecError

# Texts, as `re` compiles them where they are first used: most sizes and durations are numbers.
_SIZE = r"\s*(\d{1,19}(?:\.\d{1,9})?)\s*([kmgt]?)(?:i?b)?\s*"
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_PARTS = r"(\d+(?:\.\d+)?)(ms|us|h|m|s)"

#: The engine counts bytes, and the nanoseconds of durations, in 64 bits.
#: Source: Engine API, HostConfig.Memory and HealthConfig.Interval, int64.
_MOST = 2**63 - 1
_MOST_S = _MOST / 1e9

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


def parse_size(field: str, value: object) -> int:
    """Give the bytes of `256m`, `1.5g`, `64KiB` or a whole number; binary units, as Docker reads them.

    Raises:
        SpecError: it is not a size.
    """
    size: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (match := re.fullmatch(_SIZE, value, re.IGNORECASE | re.ASCII)):
        power: int = 1024 ** _POWERS[match[2].lower()]
        size = int(match[1]) * power if match[1].isdecimal() else int(float(match[1]) * power)
    if size is not None and 0 <= size <= _MOST:
        return size
    raise SpecError(
        f"{field}= is not a size",
        saw=f"{field}={value!r} ({type(value).__name__})",
        mend='a number of bytes, or a text such as "256m" or "1.5g"',
    )


def parse_seconds(field: str, value: object) -> float:
    """Give the seconds of `30`, `0.5`, `"30s"`, `"1m30s"` or `"250ms"`.

    Raises:
        SpecError: it is not a duration of zero or more.
    """
    seconds: int | float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str):
        text = value.strip().lower()
        parts = re.findall(_PARTS, text, re.ASCII)
        if parts and "".join(number + unit for number, unit in parts) == text:
            seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
        elif re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            seconds = float(text)
    if seconds is not None and 0 <= seconds <= _MOST_S:
        return float(seconds)
    raise SpecError(
        f"{field}= is not a duration",
        saw=f"{field}={value!r} ({type(value).__name__})",
        mend='a number of seconds, or a text such as "30s", "1m30s" or "250ms"',
    )


def show_size(size_bytes: int) -> str:
    """Write a size as people read it: `6 MiB`, `1.5 GiB`, `512 bytes`."""
    for unit, power in (("GiB", 3), ("MiB", 2), ("KiB", 1)):
        if size_bytes >= 1024**power:
            # Cut, not rounded: what is below a limit must not read as the limit.
            return f"{size_bytes * 10 // 1024**power / 10:.1f} {unit}".replace(".0 ", " ")
    return f"{size_bytes} bytes"


def show_bytes(count: int) -> str:
    """Write how much was transferred or lies on a disk, in powers of ten, as Docker does: `82 MB`, `4.3 MB`."""
    for unit, power in (("GB", 3), ("MB", 2), ("kB", 1)):
        # What would be rounded to a thousand is one of the next unit.
        if count >= 999.5 * 1000 ** (power - 1):
            size = count / 1000**power
            return f"{size:.1f} {unit}" if size < 9.95 else f"{size:.0f} {unit}"
    return f"{count} bytes"


def show_seconds(seconds: float) -> str:
    """Write a duration as people read it: `30 s`, `0.25 s`."""
    return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s"
