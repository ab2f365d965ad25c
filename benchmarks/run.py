"""Runs each scenario with each contestant in turn, and prints medians, ratios and what became of the promises."""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import context
from bench import floor, images, machine, promises, report, timeline
from bench.contestants import CONTESTANTS
from bench.imports import measure_imports
from bench.measure import measure, tell
from bench.process import Bench
from bench.scenarios import EIGHT, SCENARIOS, Scenario

if TYPE_CHECKING:
    from bench.figures import Results
    from bench.imports import Import
    from bench.tables import Table

ROUNDS = 5
#: How the cost grows is seen from fewer rounds.
GROWTH_ROUNDS = 3

#: What is no suite of contestants.
IMPORTS, CONTEXT, GROWTH = "imports", "context", "growth"

GROWTHS = {
    "sessions-": ("How it grows: session containers", "container"),
    "fresh-": ("How it grows: tests with a fresh container each", "test"),
    "workers-": ("How it grows: workers", "worker"),
}


@dataclass
class Report:
    """All that was measured, in tables."""

    tables: list[Table] = field(default_factory=list)
    verdicts: list[promises.Verdict] = field(default_factory=list)

    def add(self, table: Table) -> None:
        """Take a table in, and show it at once: a long run is read while it goes on."""
        self.tables.append(table)
        print(f"\n{table.text()}", flush=True)

    def markdown(self) -> str:
        """Write all of it for a page."""
        return "\n\n".join(table.markdown() for table in self.tables) + "\n"


@dataclass
class Measured:
    """What the promises are held against."""

    results: Results = field(default_factory=dict)
    ours_import: Import | None = None
    looks: context.Looks | None = None
    starts: float | None = None


def chosen(given: argparse.Namespace) -> list[str]:
    """Give the names of what is to be measured, in order."""
    main = [IMPORTS, *(name for name, each in SCENARIOS.items() if not each.growth), CONTEXT]
    growing = [name for name, each in SCENARIOS.items() if each.growth and (given.full or not each.long)]
    if not given.scenario:
        return main if given.quick else [*main, *growing]
    asked = [name for each in given.scenario for name in (growing if each == GROWTH else [each])]
    return [name for name in [*main, *SCENARIOS] if name in asked and (name in main or SCENARIOS[name].growth)]


def measure_all(given: argparse.Namespace, found: Report) -> None:
    """Measure what was asked for."""
    made = Measured()
    try:
        measure_each(given, list(dict.fromkeys(chosen(given))), found, made)
    except KeyboardInterrupt:
        # Half an hour of measurements is not lost with the last of them.
        tell("interrupted: what follows is of what was measured to its end")
    add_growth(found, made.results)
    if made.ours_import is not None:
        ms = statistics.median(made.ours_import.ms) if made.ours_import.ms else None
        found.verdicts += promises.imports(ms, made.ours_import.heavy)
    found.verdicts += judged(made.results, made.starts, made.looks)
    if given.scenario:
        # Nobody asked for the others.
        found.verdicts = [each for each in found.verdicts if each.met is not None]
    found.add(report.promises_table(found.verdicts))


def measure_each(given: argparse.Namespace, names: list[str], found: Report, made: Measured) -> None:
    """Measure one scenario after the other, and keep what was measured."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        bench = Bench(Path(directory))
        with images.provided(bench.run):
            for name in names:
                if name == IMPORTS:
                    measured = measure_imports(given.rounds)
                    made.ours_import = next(each for each in measured if each.label == "ours")
                    found.add(report.imports_table(measured))
                elif name == CONTEXT:
                    made.looks = attempt_context(given.rounds, found)
                else:
                    scenario = SCENARIOS[name]
                    rounds = min(given.rounds, GROWTH_ROUNDS) if scenario.growth else given.rounds
                    made.results[name] = measure(bench, scenario, rounds, given.without)
                    if not scenario.growth:
                        found.add(report.scenario_table(scenario, made.results[name]))
                    if name == "eight":
                        image = images.tag("at-once", bench.run)
                        made.starts = statistics.median(floor.starts_s(image, EIGHT) for _ in range(given.rounds))


def attempt_context(rounds: int, found: Report) -> context.Looks | None:
    """Measure the large context; a failure is told, and ends nothing else."""
    tell("context: 2,000 files")
    try:
        looks = context.measure(rounds)
    except RuntimeError as failure:
        tell(str(failure))
        return None
    found.add(report.context_table(looks.taken, looks.built))
    return looks


def judged(results: Results, starts: float | None, looks: context.Looks | None) -> list[promises.Verdict]:
    """Give the verdicts in the order of their numbers, P5 among the others."""
    ms = builds = unused_builds = None
    if looks is not None:
        ms = statistics.median(looks.taken["unchanged"])
        builds, unused_builds = sum(looks.built["unchanged"]), sum(looks.built["an unused file changed"])
    verdicts = promises.judge(results, starts) + promises.context(ms, builds or 0, unused_builds or 0)
    return sorted(verdicts, key=lambda each: each.name.partition(",")[0])


def add_growth(found: Report, results: Results) -> None:
    """Add a table for each row of scenarios that was measured."""
    for prefix, (title, unit) in GROWTHS.items():
        row: list[Scenario] = [
            SCENARIOS[name] for name in results if name.startswith(prefix) and SCENARIOS[name].growth
        ]
        if row:
            found.add(report.growth_table(title, unit, row, results))


def parsed() -> argparse.Namespace:
    """Read the command line."""
    known = [IMPORTS, CONTEXT, GROWTH, *SCENARIOS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"all, if none is named: {', '.join(known)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"after a warm-up; {ROUNDS} if not given")
    parser.add_argument("--quick", action="store_true", help="two rounds, and without how the cost grows")
    parser.add_argument("--full", action="store_true", help="with what takes minutes: 500 fresh containers")
    parser.add_argument("--without", action="append", default=[], metavar="CONTESTANT", choices=[*CONTESTANTS])
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as a page, too")
    parser.add_argument("--profile", metavar="SCENARIO", choices=[*SCENARIOS], help="show where our time goes")
    given = parser.parse_args()
    wrong = [name for name in given.scenario if name not in known]
    if wrong or given.rounds < 1:
        parser.error(
            f"no scenario is called {wrong[0]}; there are {', '.join(known)}" if wrong else "--rounds is below 1"
        )
    if given.quick:
        given.rounds = min(given.rounds, 2)
    return given


def main() -> int:
    """Measure and print."""
    given = parsed()
    # What is installed has its bytecode beside it. The warm-up writes that of a checkout.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Ended from outside, it removes what it made as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if given.profile:
        timeline.run(SCENARIOS[given.profile])
        return 0
    about = machine.describe()
    print("\n".join([*about, f"command: {machine.command()}"]), flush=True)
    found = Report()
    measure_all(given, found)
    if given.markdown is not None:
        given.markdown.write_text(page(about, found), encoding="utf-8")
        tell(f"written: {given.markdown}")
    return 0


def page(about: list[str], found: Report) -> str:
    """Write the results as a page of the documentation."""
    head = Path(__file__).with_name("page.md").read_text(encoding="utf-8")
    lines = "\n".join(f"- {line}" for line in about)
    return f"{head}\n{lines}\n- Command: `{machine.command()}`\n\n{found.markdown()}"


if __name__ == "__main__":
    sys.exit(main())
