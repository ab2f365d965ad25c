"""Sizes and durations, as people write them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from pytest_dockerkit._units import parse_seconds, parse_size, show_bytes, show_seconds, show_size
from tests.unit.refusals import refusal

MIB = 1024**2


@pytest.mark.parametrize(
    ("written", "size_bytes"),
    [
        (0, 0),
        (1, 1),
        (2**63 - 1, 2**63 - 1),
        ("0", 0),
        ("512", 512),
        ("1b", 1),
        ("1k", 1024),
        ("1K", 1024),
        ("64KiB", 65536),
        ("64kb", 65536),
        ("256m", 256 * MIB),
        ("256M", 256 * MIB),
        (" 5 mib ", 5 * MIB),
        ("1.5g", 1536 * MIB),
        ("0.5m", 512 * 1024),
        ("1t", MIB * MIB),
        # Above what a float holds exactly.
        ("9007199254740993", 9007199254740993),
    ],
)
def test_a_size_is_read_with_binary_units(written: object, size_bytes: int) -> None:
    read = parse_size("memory", written)
    assert (read, type(read)) == (size_bytes, int)


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "m",
        "-1",
        "1e3",
        "0x10",
        "1_000",
        ".5g",
        "1.m",
        "1 m m",
        "256 megabytes",
        "1p",
        "\uff12m",
        -1,
        2**63,
        1.5,
        math.inf,
        True,
        False,
        None,
        b"256m",
        [256],
        Decimal(1),
        "9" * 5000,
        "9999999t",
    ],
    ids=lambda written: repr(written)[:20],
)
def test_what_is_no_size_is_refused(written: object) -> None:
    assert refusal(lambda: parse_size("memory", written)) == (
        f"memory= is not a size\n"
        f"  saw:  memory={written!r} ({type(written).__name__})\n"
        f'  mend: a number of bytes, or a text such as "256m" or "1.5g"'
    )


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0.0),
        (30, 30.0),
        (0.25, 0.25),
        ("0", 0.0),
        ("30", 30.0),
        ("1.5", 1.5),
        ("30s", 30.0),
        (" 30S ", 30.0),
        ("1m30s", 90.0),
        ("1h2m3s", 3723.0),
        ("250ms", 0.25),
        ("1.5m", 90.0),
        ("5us", 0.000005),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_read_in_seconds(written: object, seconds: float) -> None:
    read = parse_seconds("timeout", written)
    assert read == pytest.approx(seconds)
    assert type(read) is float


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "s",
        "-1",
        "-1s",
        "1ns",
        "1d",
        "1m 30s",
        "30 s",
        "1e3",
        "inf",
        "nan",
        "٣s",
        "half an hour",
        -1,
        -0.001,
        math.inf,
        -math.inf,
        math.nan,
        True,
        False,
        None,
        b"30s",
        [30],
        Decimal(1),
        10**400,
        "9" * 400,
    ],
    ids=lambda written: repr(written)[:20],
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    assert refusal(lambda: parse_seconds("timeout", written)) == (
        f"timeout= is not a duration\n"
        f"  saw:  timeout={written!r} ({type(written).__name__})\n"
        f'  mend: a number of seconds, or a text such as "30s", "1m30s" or "250ms"'
    )


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (6 * MIB, "6 MiB"),
        (6 * MIB - 1, "5.9 MiB"),
        (MIB - 1, "1023.9 KiB"),
        (1536 * MIB, "1.5 GiB"),
        (10 * MIB, "10 MiB"),
        (5000 * 1024 * MIB, "5000 GiB"),
    ],
)
def test_a_size_is_written_as_people_read_it_and_never_rounded_up(size_bytes: int, text: str) -> None:
    assert show_size(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (30, "30 s"), (30.0, "30 s"), (100, "100 s"), (0.25, "0.25 s"), (1.5, "1.5 s")]
)
def test_a_duration_is_written_as_people_read_it(seconds: float, text: str) -> None:
    assert show_seconds(seconds) == text


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (4_261_502, "4.3 MB"),
        (82_400_000, "82 MB"),
        (999_500_000, "1.0 GB"),
        (1_234_000_000_000, "1234 GB"),
    ],
)
def test_what_lies_on_a_disk_is_shown_in_powers_of_ten(count: int, shown: str) -> None:
    assert show_bytes(count) == shown
