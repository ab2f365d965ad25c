"""Medians, ratios and times per unit: arithmetic alone."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Figures:
    """What is said of some measurements."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Figures | None:
        """Give the figures of the values, or None when there are none."""
        held = list(values)
        return cls(statistics.median(held), min(held), max(held)) if held else None

    @property
    def spread(self) -> float:
        """How far apart the measurements are."""
        return self.maximum - self.minimum


@dataclass
class Series:
    """All that was measured of one contestant in one scenario.

    Attributes:
        label: what the contestant is called in the table.
        seconds: whole pytest processes, one a round.
        lags_s: from the moment a service was ready to the beginning of its test; one for each test of each round.
        containers, networks: how many it made, one for each round.
        builds: how many builds it asked the engine for in the warm-up, or None when that was not seen.
        left: what was still there when it had ended.
        reason: why it was not run, or failed.
    """

    label: str
    seconds: list[float] = field(default_factory=list)
    lags_s: list[float] = field(default_factory=list)
    containers: list[int] = field(default_factory=list)
    networks: list[int] = field(default_factory=list)
    builds: int | None = None
    left: list[str] = field(default_factory=list)
    reason: str | None = None

    @property
    def wall(self) -> Figures | None:
        """The whole process, in seconds; None when it did not do the job."""
        return None if self.reason else Figures.of(self.seconds)

    @property
    def lag(self) -> Figures | None:
        """From ready to the test, in seconds."""
        return None if self.reason else Figures.of(self.lags_s)

    @property
    def median_s(self) -> float | None:
        """The median of the whole process, in seconds."""
        return None if self.wall is None else self.wall.median


#: What was measured: by scenario, then by the contestant's label.
Results = dict[str, dict[str, Series]]


def ratio(value: float | None, base: float | None) -> float | None:
    """Give value over base, or None where either is missing or there is nothing to divide by."""
    return None if value is None or base is None or base <= 0 else value / base


def per_unit(whole_s: float | None, nothing_s: float | None, units: int) -> float | None:
    """Give the seconds that each unit costs, when a run with nothing to do is taken off."""
    if whole_s is None or units < 1:
        return None
    return (whole_s - (nothing_s or 0.0)) / units


def median_of(results: Mapping[str, Mapping[str, Series]], scenario: str, label: str) -> float | None:
    """Look up a median, in seconds; None when it was not measured."""
    series = results.get(scenario, {}).get(label)
    return None if series is None else series.median_s


def counts(values: Iterable[int]) -> str:
    """Write how many: one number when every round had the same, else the least and the most."""
    held = sorted({*values})
    return "-" if not held else str(held[0]) if len(held) == 1 else f"{held[0]}-{held[-1]}"
