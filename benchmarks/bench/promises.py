"""The promises P1 to P7: what was promised, what was measured, and by how much it was missed."""

from __future__ import annotations

from dataclasses import dataclass

from bench.figures import Results, Series, median_of, per_unit, ratio
from bench.scenarios import EIGHT, FRESH_TESTS, TRIVIAL_TESTS

#: Milliseconds over pytest.
P1_MS = 5.0
#: Of docker-py's time.
P2_RATIO = 1.0
#: From ready to the test, in seconds.
P3_S = 0.15
#: The service's own time, in seconds, and how often the floor comes on top of it.
P4_SERVICE_S = 1.0
P4_FLOOR = 1.2
#: Until it is known that the image of a large context is current.
P5_MS = 60.0
#: Of the raw API's time.
P6_RATIO = 1.0
#: Of docker-py's time for a test.
P7_RATIO = 0.6

OURS, HANDOVER = "ours", "ours, handover"


@dataclass(frozen=True)
class Verdict:
    """One promise.

    Attributes:
        name: P1 to P7, with what distinguishes several lines of one.
        promised, measured: in words.
        met: None when it was not measured.
        miss: by how much it was not met, in words.
    """

    name: str
    promised: str
    measured: str
    met: bool | None
    miss: str = ""

    @property
    def outcome(self) -> str:
        """What the table says."""
        return (
            "not measured" if self.met is None else "met" if self.met else f"NOT met{self.miss and ': ' + self.miss}"
        )


def at_most(name: str, promised: str, value: float | None, limit: float | None, unit: str) -> Verdict:
    """Judge a number that must not be larger than a limit."""
    digits = (
        0 if unit == "ms" and limit is not None and limit >= 10 else 1 if unit == "ms" else 2 if unit == "x" else 3
    )
    if value is None or limit is None:
        return Verdict(name, promised, "-", None)
    measured = f"{value:.{digits}f} {unit}"
    if value <= limit:
        return Verdict(name, promised, measured, met=True)
    over = (value / limit - 1) * 100 if limit else float("inf")
    return Verdict(name, promised, measured, met=False, miss=f"{value - limit:.{digits}f} {unit} over, {over:.0f} %")


def imports(ms: float | None, heavy: tuple[str, ...]) -> list[Verdict]:
    """P1, what importing costs, and what it brings."""
    brought = ", ".join(heavy) or "neither"
    met = None if ms is None else not heavy
    return [
        at_most("P1", f"importing the plugin <= {P1_MS:.0f} ms", ms, P1_MS, "ms"),
        Verdict("P1", "imports neither docker nor requests", "-" if ms is None else brought, met),
    ]


def unused(results: Results) -> Verdict:
    """P1, what each test costs: less than how much runs without a plugin differ among themselves."""
    promised = "nothing measurable per test"
    series = results.get("unused", {})
    nothing, ours = series.get("none", Series("")).wall, series.get(OURS, Series("")).wall
    if nothing is None or ours is None or nothing.spread == 0:
        return Verdict("P1", promised, "-", None)
    more_ms = (ours.median - nothing.median) * 1000
    each_us = more_ms * 1000 / TRIVIAL_TESTS
    spread_ms = nothing.spread * 1000
    measured = (
        f"{each_us:+.0f} us with start-up ({more_ms:+.0f} ms a run; pytest alone differs by {spread_ms:.0f} ms)"
    )
    # A run may always cost what importing the plugin may cost.
    excess = more_ms - spread_ms - P1_MS
    return Verdict("P1", promised, measured, excess <= 0, f"{excess:.0f} ms over the spread" if excess > 0 else "")


def session(results: Results) -> list[Verdict]:
    """P2, a session container on a network of its own against docker-py's container alone."""
    base = median_of(results, "session", "docker-py")
    promised = f"<= {P2_RATIO} x docker-py"
    return [
        at_most(name, promised, ratio(median_of(results, "session", label), base), P2_RATIO, "x")
        for name, label in (("P2", OURS), ("P2, handover", HANDOVER))
    ]


def late(results: Results) -> Verdict:
    """P3, from ready to the test."""
    found = results.get("late", {}).get(OURS, Series("")).lag
    promised = f"test begins <= {P3_S} s after ready"
    return at_most("P3", promised, None if found is None else found.median, P3_S, "s")


def eight(results: Results) -> list[Verdict]:
    """P4, eight late services, against the floor of starting eight in parallel."""
    floor = median_of(results, "eight", "raw, ready at once")
    limit = None if floor is None else P4_SERVICE_S + P4_FLOOR * floor
    told = "-" if limit is None or floor is None else f"{limit:.3f} s ({P4_SERVICE_S} s + {P4_FLOOR} x {floor:.3f} s)"
    return [
        at_most(name, f"whole run <= {told}", median_of(results, "eight", label), limit, "s")
        for name, label in (("P4", OURS), ("P4, one stack", "ours, one stack"), ("P4, handover", HANDOVER))
    ]


def eight_strictly(results: Results, starts_s: float | None) -> Verdict:
    """P4, against the eight starts alone: without pytest, without the requests, without a removal."""
    limit = None if starts_s is None else P4_SERVICE_S + P4_FLOOR * starts_s
    told = "-" if limit is None else f"{limit:.3f} s ({P4_SERVICE_S} s + {P4_FLOOR} x {starts_s:.3f} s)"
    promised = f"the same over {EIGHT} start calls alone, {told}"
    return at_most("P4, strictly", promised, median_of(results, "eight", OURS), limit, "s")


def context(unchanged_ms: float | None, builds: int, unused_builds: int) -> list[Verdict]:
    """P5, a large context that has not changed, or whose change does not matter."""
    measured = unchanged_ms is not None
    return [
        at_most("P5", f"an unchanged context: <= {P5_MS:.0f} ms", unchanged_ms, P5_MS, "ms"),
        Verdict(
            "P5", "no builder is called", f"{builds} builds" if measured else "-", not builds if measured else None
        ),
        Verdict(
            "P5",
            "a changed file that is not used: no build",
            f"{unused_builds} builds" if measured else "-",
            not unused_builds if measured else None,
        ),
    ]


def workers(results: Results) -> list[Verdict]:
    """P6, four workers, against four that share by hand."""
    base = median_of(results, "workers", "raw")
    promised = f"<= {P6_RATIO} x four workers sharing over the raw API"
    found = [
        at_most(name, promised, ratio(median_of(results, "workers", label), base), P6_RATIO, "x")
        for name, label in (("P6", OURS), ("P6, handover", HANDOVER))
    ]
    series = results.get("workers", {}).get(OURS, Series(""))
    if series.wall is None or series.builds is None:
        return [*found, Verdict("P6", "one build, one container", "-", None)]
    made = f"{series.builds} builds, {max(series.containers)} containers at most"
    return [
        *found,
        Verdict("P6", "one build, one container", made, (series.builds, max(series.containers)) == (1, 1)),
    ]


def fresh(results: Results) -> list[Verdict]:
    """P7, a fresh container per test, against docker-py's container alone, one after the other."""
    nothing = median_of(results, "fresh", "none")

    def each(label: str) -> float | None:
        return per_unit(median_of(results, "fresh", label), nothing, FRESH_TESTS)

    promised = f"per test <= {P7_RATIO} x docker-py"
    return [
        at_most(name, promised, ratio(each(label), each("docker-py")), P7_RATIO, "x")
        for name, label in (("P7", OURS), ("P7, handover", HANDOVER))
    ]


def judge(results: Results, starts_s: float | None) -> list[Verdict]:
    """Give the verdicts on all that pytest processes show."""
    return [
        unused(results),
        *session(results),
        late(results),
        *eight(results),
        eight_strictly(results, starts_s),
        *workers(results),
        *fresh(results),
    ]
