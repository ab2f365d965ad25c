"""Runs a scenario: each contestant in turn, a warm-up round first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.contestants import CONTESTANTS, PEERS
from bench.figures import Results, Series

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.process import Bench, Outcome
    from bench.scenarios import Entry, Scenario

#: A peer that takes longer than this in the warm-up is measured once only, in seconds.
SLOW_S = 10.0


def measure(bench: Bench, scenario: Scenario, rounds: int, without: Iterable[str] = ()) -> dict[str, Series]:
    """Give what was measured, by label."""
    found = {entry.label: Series(entry.label) for entry in scenario.entries}
    running = []
    for entry in scenario.entries:
        series = found[entry.label]
        series.reason = "left out" if entry.contestant in without else CONTESTANTS[entry.contestant].why_not()
        if series.reason is not None:
            series.reason = f"not run: {series.reason}"
            continue
        outcome = bench.once(entry, counted=True)
        tell(f"{scenario.name}: {entry.label}: warm-up {outcome.seconds:.2f} s")
        series.builds = outcome.builds
        if _fine(series, outcome, entry):
            slow = entry.contestant in PEERS and outcome.seconds > SLOW_S
            running.append((entry, 1 if slow else rounds))
    for number in range(rounds):
        for entry, its_rounds in running:
            series = found[entry.label]
            if number < its_rounds and series.reason is None:
                outcome = bench.once(entry)
                tell(f"{scenario.name}: {entry.label}: {number + 1}/{its_rounds} {outcome.seconds:.3f} s")
                _note(series, outcome, entry)
    return found


def _note(series: Series, outcome: Outcome, entry: Entry) -> None:
    if _fine(series, outcome, entry):
        series.seconds.append(outcome.seconds)
        series.lags_s.extend(outcome.lags_s)
        series.containers.append(outcome.containers)
        series.networks.append(outcome.networks)


def _fine(series: Series, outcome: Outcome, entry: Entry) -> bool:
    series.left.extend(outcome.left)
    if outcome.failure is None:
        if outcome.containers >= entry.containers:
            return True
        series.reason = f"failed: it started {outcome.containers} containers instead of {entry.containers}"
        return False
    lines = outcome.failure.splitlines()
    series.reason = (
        f"failed: {next((x for x in reversed(lines) if x.startswith(('E ', 'FAILED', 'ERROR'))), lines[-1])}"
    )
    tell(f"{entry.label} failed:\n{outcome.failure}")
    return False


def tell(text: str) -> None:
    """Say how far it is, beside what is printed."""
    print(text, file=sys.stderr, flush=True)


def nothing(results: Results, scenario: str) -> float | None:
    """Give the median of a run with nothing to do, in seconds."""
    series = results.get(scenario, {}).get("none")
    return None if series is None else series.median_s
