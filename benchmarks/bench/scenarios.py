"""What is measured: each scenario is a list of suites that do the same job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bench.contestants import DOCKER_PY, HANDOVER, HEALTH_AWARE, NONE, OURS, PEERS, RAW

#: How many workers scenarios about workers have.
WORKERS = 4
FRESH_TESTS = 20
TRIVIAL_TESTS = 500
SHARED_TESTS = 16
EIGHT = 8


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A contestant in a scenario.

    Attributes:
        contestant: its name.
        test: the file of its suite.
        suite: another directory than its own.
        label: what the table calls it.
        service: the image of the service.
        environment: what the suite is asked for.
        options: further arguments of pytest.
        workers: of pytest-xdist; 0 is without.
        builds: whether there is something to build: "", "new" (never built before) or "again".
    """

    contestant: str
    test: str
    label: str
    suite: str | None = None
    service: str = "at-once"
    environment: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    workers: int = 0
    builds: str = ""

    @property
    def containers(self) -> int:
        """How many containers it has to start at the least, or it has not done the job."""
        needs = {
            "test_session.py": self.environment.get("BENCH_CONTAINERS", "1"),
            "test_stack.py": self.environment.get("BENCH_CONTAINERS", "1"),
            "test_workers.py": "1",
            "test_unused.py": "0",
        }
        return int(needs.get(self.test, self.environment.get("BENCH_TESTS", "1")))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Contestants that are run in turn.

    Attributes:
        name: what the command line calls it.
        title: what the table is headed with.
        base: the label that the others are compared with.
        entries: who takes part.
        units: what the job consists of, for the time per unit; None where that says nothing.
        unit: what one of them is.
        growth: whether it is one of a row that shows how the cost grows.
        long: whether it is run only when asked for.
        notes: what the reader has to know.
    """

    name: str
    title: str
    base: str
    entries: tuple[Entry, ...]
    units: int | None = None
    unit: str = ""
    growth: bool = False
    long: bool = False
    notes: tuple[str, ...] = ()


def _entries(names: tuple[str, ...], test: str, **fields: object) -> tuple[Entry, ...]:
    return tuple(Entry(contestant=name, test=test, label=name, **fields) for name in names)  # type: ignore[arg-type]


def _nothing() -> Entry:
    return Entry(contestant=NONE, test="test_unused.py", label=NONE)


def _stack(environment: Mapping[str, str], service: str = "at-once") -> Entry:
    """Take part with fixtures, which share a network; markers of tests that have nothing in common do not."""
    return Entry(
        contestant=OURS, test="test_stack.py", label="ours, one stack", environment=environment, service=service
    )


def _polling(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Have all contestants wait by polls of their users where they have several ways."""
    return tuple(replace(each, environment={**each.environment, "BENCH_WAIT": "poll"}) for each in entries)


def _both_waits(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Run the peers that know health checks twice: once waiting by them, once by polls of their users."""
    found: list[Entry] = []
    for each in entries:
        found.append(each)
        if each.contestant in HEALTH_AWARE:
            polls = {**each.environment, "BENCH_WAIT": "poll"}
            found.append(replace(each, label=f"{each.label}, polled", environment=polls))
    return tuple(found)


def _fresh(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Tell pytest-docker, whose stacks have one scope for all."""
    per_test = {"options": ("--container-scope", "function")}
    return tuple(
        replace(each, environment={**each.environment, "BENCH_FRESH": "1"}, **per_test)  # type: ignore[arg-type]
        if each.contestant == "pytest-docker"
        else each
        for each in entries
    )


def _workers(name: str, title: str, builds: str, notes: tuple[str, ...] = ()) -> Scenario:
    tests = {"BENCH_TESTS": str(SHARED_TESTS)}
    nothing = replace(_nothing(), environment=tests, workers=WORKERS)
    names = (OURS, HANDOVER, RAW, DOCKER_PY, *PEERS)
    others = _entries(names, "test_workers.py", environment=tests, workers=WORKERS, builds=builds)
    others = tuple(
        replace(each, label=f"{each.label}, unshared") if each.contestant == DOCKER_PY else each for each in others
    )
    return Scenario(name=name, title=title, base=RAW, entries=(nothing, *_polling(others)), notes=notes)


def _main() -> list[Scenario]:
    everyone = (OURS, HANDOVER, RAW, DOCKER_PY, *PEERS)
    eight = {"BENCH_CONTAINERS": str(EIGHT)}
    fresh = {"BENCH_TESTS": str(FRESH_TESTS)}
    trivial = {"BENCH_TESTS": str(TRIVIAL_TESTS)}
    with_plugin = (OURS, "pytest-docker", "pytest-docker-tools", "pytest-container")
    return [
        Scenario(
            name="unused",
            title=f"P1: {TRIVIAL_TESTS} trivial tests, the plugin active and not used",
            base=NONE,
            entries=tuple(
                Entry(contestant=name, test="test_unused.py", suite="none", label=name, environment=trivial)
                for name in (NONE, *with_plugin)
            ),
            units=TRIVIAL_TESTS,
            unit="test",
        ),
        Scenario(
            name="session",
            title="P2: one session container, its image present (ours: on a network of its own)",
            base=DOCKER_PY,
            entries=(_nothing(), *_polling(_entries(everyone, "test_session.py"))),
        ),
        Scenario(
            name="late",
            title="P3: a service that is ready 1.0 s after its start; HEALTHCHECK --interval=30s",
            base=RAW,
            entries=_both_waits(_entries(everyone, "test_session.py", service="late")),
            notes=(
                (
                    "ready -> test: from the moment that the service wrote down when it became ready, to the first "
                    "line of the test. Polled: the user waits by hand, or by an HTTP strategy."
                ),
            ),
        ),
        Scenario(
            name="eight",
            title="P4: eight session containers, each ready after 1.0 s; HEALTHCHECK --interval=250ms",
            base="raw",
            entries=(
                *_both_waits(_entries(everyone, "test_session.py", service="late-looked-at", environment=eight)),
                _stack(eight, service="late-looked-at"),
                Entry(contestant=RAW, test="test_session.py", label="raw, ready at once", environment=eight),
            ),
            notes=(
                (
                    "raw, ready at once: the floor of P4, a whole run that starts eight of the same containers in "
                    "parallel and removes them, whose service has no delay."
                ),
            ),
        ),
        _workers(
            "workers",
            f"P6: -n {WORKERS}, an image that was never built, one session container, {SHARED_TESTS} tests",
            "new",
            ("raw: a lock file and a count of users. pytest-container has only a label to build, without a file.",),
        ),
        _workers("workers-again", "P6, the same with an image that is up to date", "again"),
        Scenario(
            name="fresh",
            title=f"P7: {FRESH_TESTS} tests, each with a fresh container (ours: each on an isolated network)",
            base=DOCKER_PY,
            entries=(
                _nothing(),
                *_fresh(_polling(_entries(everyone, "test_fresh.py", environment=fresh))),
                Entry(contestant=RAW, test="test_ahead.py", label="raw, three ahead", environment=fresh),
            ),
            units=FRESH_TESTS,
            unit="test",
        ),
    ]


def _growth() -> list[Scenario]:
    found = []
    for number in (1, 8, 32, 64):
        asked = {"BENCH_CONTAINERS": str(number)}
        found.append(
            Scenario(
                name=f"sessions-{number}",
                title=f"{number} session containers",
                base=RAW,
                entries=(_nothing(), *_entries((OURS, RAW), "test_session.py", environment=asked), _stack(asked)),
                units=number,
                unit="container",
                growth=True,
            )
        )
    for number in (10, 100, 500):
        asked = {"BENCH_TESTS": str(number)}
        found.append(
            Scenario(
                name=f"fresh-{number}",
                title=f"{number} tests with a fresh container each",
                base=DOCKER_PY,
                entries=(_nothing(), *_entries((OURS, DOCKER_PY), "test_fresh.py", environment=asked)),
                units=number,
                unit="test",
                growth=True,
                long=number == 500,
            )
        )
    for number in (1, 2, 4, 8):
        asked = {"BENCH_TESTS": str(SHARED_TESTS)}
        fields = {"environment": asked, "workers": number}
        ours, by_hand = _entries((OURS, DOCKER_PY), "test_workers.py", **fields, builds="new")
        nothing = replace(_nothing(), **fields)  # type: ignore[arg-type]
        found.append(
            Scenario(
                name=f"workers-{number}",
                title=f"-n {number}, one image to build, {SHARED_TESTS} tests",
                base="docker-py, unshared",
                entries=(nothing, ours, replace(by_hand, label="docker-py, unshared")),
                units=number,
                unit="worker",
                growth=True,
            )
        )
    return found


#: All scenarios, by name, in the order in which they are run.
SCENARIOS = {each.name: each for each in [*_main(), *_growth()]}
