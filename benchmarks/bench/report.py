"""Makes tables of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.figures import Figures, Results, Series, counts, per_unit, ratio
from bench.tables import Table, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.imports import Import
    from bench.promises import Verdict
    from bench.scenarios import Scenario


def scenario_table(scenario: Scenario, series: Mapping[str, Series]) -> Table:
    """One row for each contestant."""
    base = series[scenario.base].median_s if scenario.base in series else None
    nothing = series["none"].median_s if "none" in series else None
    lag = scenario.name in ("late", "eight")
    header = [
        "contestant",
        "median s",
        "min",
        "max",
        f"x {scenario.base}",
        "containers",
        "networks",
        "builds",
        "rounds",
    ]
    header += ["ready -> test s"] if lag else []
    header += [f"ms/{scenario.unit}"] if scenario.units else []
    rows, notes = [], [*scenario.notes]
    for each in series.values():
        wall = each.wall
        row = [each.label, *_wall(wall), number(ratio(each.median_s, base), 2)]
        row += [counts(each.containers), counts(each.networks), "-" if each.builds is None else str(each.builds)]
        row += [str(len(each.seconds))]
        row += [_lag(each.lag)] if lag else []
        row += [_unit(each, nothing, scenario.units)] if scenario.units else []
        rows.append(row)
        if each.reason is not None:
            notes.append(f"{each.label}: {each.reason}")
        if each.left:
            notes.append(f"{each.label} left behind {', '.join(sorted({*each.left}))}; removed since")
    return Table(scenario.title, header, rows, notes)


def growth_table(title: str, unit: str, scenarios: Sequence[Scenario], results: Results) -> Table:
    """One row for each number and contestant of a row of scenarios."""
    header = [f"{unit}s", "contestant", "median s", "min", "max", f"ms/{unit}", "compared"]
    rows, notes = [], []
    for scenario in scenarios:
        series = results[scenario.name]
        nothing = series["none"].median_s
        for each in series.values():
            if each.label == "none":
                continue
            compared = ratio(each.median_s, series[scenario.base].median_s)
            rows.append(
                [
                    str(scenario.units),
                    each.label,
                    *_wall(each.wall),
                    _unit(each, nothing, scenario.units),
                    f"{number(compared, 2)} x {scenario.base}",
                ]
            )
            if each.reason is not None:
                notes.append(f"{scenario.units} {unit}s, {each.label}: {each.reason}")
    notes.append(f"ms/{unit}: without what an empty run takes")
    return Table(title, header, rows, notes, left=frozenset({0, 1}))


def imports_table(imports: Sequence[Import]) -> Table:
    """What importing each costs."""
    rows = []
    for each in imports:
        found = Figures.of(each.ms)
        figures = ["-"] * 3 if found is None else [f"{x:.1f}" for x in (found.median, found.minimum, found.maximum)]
        rows.append([each.label, *figures, str(each.modules), ", ".join(each.heavy) or each.reason or "-"])
    header = ["contestant", "median ms", "min", "max", "modules", "brings"]
    return Table("P1: what importing adds to pytest", header, rows, left=frozenset({0, 5}))


def context_table(taken: Mapping[str, list[float]], built: Mapping[str, list[bool]]) -> Table:
    """A large context, by what has changed in it."""
    base = Figures.of(taken["docker-py, unchanged"])
    rows = []
    for name, values in taken.items():
        found = Figures.of(values)
        compared = ratio(None if found is None else found.median, None if base is None else base.median)
        figures = ["-"] * 3 if found is None else [f"{x:.1f}" for x in (found.median, found.minimum, found.maximum)]
        builds = "-" if name.startswith("docker-py") else f"{sum(built[name])} in {len(values)}"
        rows.append([name, *figures, number(compared, 3), builds])
    header = ["what", "median ms", "min", "max", "x docker-py", "builds"]
    return Table("P5: a context of 200 MB in 2,000 files: until the image is known to be current", header, rows)


def promises_table(verdicts: Sequence[Verdict]) -> Table:
    """What was promised, and what came of it."""
    rows = [[each.name, each.promised, each.measured, each.outcome] for each in verdicts]
    return Table("The promises", ["", "promised", "measured", ""], rows, left=frozenset({0, 1, 2, 3}))


def _wall(wall: Figures | None) -> list[str]:
    return ["-"] * 3 if wall is None else [number(wall.median), number(wall.minimum), number(wall.maximum)]


def _lag(lag: Figures | None) -> str:
    return "-" if lag is None else f"{lag.median:.3f} ({lag.minimum:.3f}-{lag.maximum:.3f})"


def _unit(series: Series, nothing: float | None, units: int | None) -> str:
    found = per_unit(series.median_s, nothing, units or 0)
    return "-" if found is None else f"{found * 1000:.1f}"
