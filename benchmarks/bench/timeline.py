"""Shows where our time goes: every call of the engine on a line of time, and what the main thread was in.

A first process is seen through the relay, a second by cProfile, which slows it down: its figures are shares.
"""

from __future__ import annotations

import json
import pstats
import re
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import images
from bench.contestants import OURS
from bench.process import Bench
from bench.raw import socket_path
from bench.relay import Relay, Request
from bench.tables import Table

if TYPE_CHECKING:
    from bench.scenarios import Entry, Scenario

WIDTH = 48
FUNCTIONS = 30
_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
#: Calls that stay open to listen: they are no work of the engine.
LISTENING = ("/events", "/wait", "/logs", "/attach", "/session", "/grpc")
#: What belongs to no contestant.
_PYTEST = re.compile(r"(_pytest|pluggy|importlib|runpy|<frozen|<string>|cProfile|/pytest/|^~)")


@dataclass(frozen=True)
class Moment:
    """A line of the timeline, in seconds since the process began; `ended` is None for what takes no time."""

    began: float
    ended: float | None
    what: str


def run(scenario: Scenario) -> None:
    """Run our part of a scenario, and print it."""
    entry = next((each for each in scenario.entries if each.contestant == OURS), None)
    assert entry is not None, "ours is in every scenario"
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        bench = Bench(Path(directory))
        with images.provided(bench.run):
            bench.once(entry)
            moments, whole = traced(bench, entry)
            print(f"{scenario.title}\n\n{drawn(moments, whole)}\n\n{calls(moments, whole).text()}\n")
            print(functions(bench, entry))


def traced(bench: Bench, entry: Entry) -> tuple[list[Moment], float]:
    """Run it behind the relay: what happened, in order, and the whole time in seconds."""
    with bench.prepared(entry) as (argv, environment, scratch), Relay(socket_path()) as relay:
        marks = scratch / "marks.jsonl"
        environment |= {"DOCKER_HOST": relay.host, "BENCH_MARKS": str(marks)}
        begin = time.monotonic()
        _run([*argv, "-p", "bench.marks"], environment)
        whole = time.monotonic() - begin
        found = [_of_request(each, begin, whole) for each in relay.requests]
        for line in marks.read_text(encoding="utf-8").splitlines():
            mark = json.loads(line)
            worker = f"[{mark['worker']}] " if mark["worker"] else ""
            found.append(Moment(mark["at"] - begin, None, f"-- {worker}{mark['what']}"))
    return sorted(found, key=lambda each: each.began), whole


def _of_request(request: Request, begin: float, whole: float) -> Moment:
    path = _ID.sub(r"\1", request.plain_path)
    failed = f" -> {request.status}" if request.status >= 400 else ""
    ended = whole if request.ended is None else min(request.ended - begin, whole)
    return Moment(request.began - begin, ended, f"{request.verb} {path}{failed}")


def drawn(moments: Sequence[Moment], whole: float) -> str:
    """Draw the line of time: when each call began, how long it took, and where in the run that was."""
    lines = [f"{'at ms':>8} {'took ms':>8}  |{'-' * WIDTH}|"]
    for each in moments:
        start = min(int(each.began / whole * WIDTH), WIDTH - 1)
        if each.ended is None:
            lines.append(f"{each.began * 1000:8.1f} {'':8}  |{' ' * start}.{' ' * (WIDTH - start - 1)}| {each.what}")
            continue
        length = max(1, min(round((each.ended - each.began) / whole * WIDTH), WIDTH - start))
        bar = f"{' ' * start}{'#' * length}".ljust(WIDTH)
        lines.append(f"{each.began * 1000:8.1f} {(each.ended - each.began) * 1000:8.1f}  |{bar}| {each.what}")
    lines.append(f"{whole * 1000:8.1f} {'':8}  |{'-' * WIDTH}| the process has ended")
    return "\n".join(lines)


def calls(moments: Iterable[Moment], whole: float) -> Table:
    """Sum up the calls by their kind, and say for how long the engine was asked for nothing."""
    kinds: dict[str, list[float]] = defaultdict(list)
    spans = []
    for each in moments:
        if each.ended is None:
            continue
        kind = re.sub(r"(?<=/)(containers|networks|images|exec|volumes)/(?!create\b|json\b)[^/]+", r"\1/*", each.what)
        kinds[kind].append(each.ended - each.began)
        if not any(path in each.what for path in LISTENING):
            spans.append((each.began, each.ended))
    rows = [
        [kind, str(len(taken)), f"{sum(taken) * 1000:.1f}", f"{max(taken) * 1000:.1f}"]
        for kind, taken in sorted(kinds.items(), key=lambda pair: -sum(pair[1]))
    ]
    busy = covered(spans)
    note = (
        f"of {whole * 1000:.0f} ms the engine was at work for {busy * 1000:.0f}, and was asked for nothing for "
        f"{(whole - busy) * 1000:.0f}; calls that only listen are not counted"
    )
    return Table("Calls of the engine", ["call", "times", "ms together", "longest"], rows, [note])


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Give how much time is covered by spans that may overlap."""
    total, until = 0.0, float("-inf")
    for began, ended in sorted(spans):
        total += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return total


def functions(bench: Bench, entry: Entry) -> str:
    """Run it under cProfile: the functions of the main thread that it was in for longest."""
    with bench.prepared(entry) as (_, _, scratch):
        file = scratch / "profile"
        with bench.prepared(entry, more=("-m", "cProfile", "-o", str(file))) as (argv, environment, _):
            _run(argv, environment)
        stats = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]
    rows = []
    for (path, line, name), (_, times, own, cumulated, _) in stats.items():
        if not _PYTEST.search(path):
            rows.append((cumulated, [f"{_short(path)}:{line} {name}", str(times), _ms(cumulated), _ms(own)]))
    rows.sort(key=lambda row: -row[0])
    header = ["function", "calls", "ms with what it calls", "ms of its own"]
    title = "The main thread, under cProfile (slower than it is); without pytest's own frames"
    return Table(title, header, [row for _, row in rows[:FUNCTIONS]]).text()


def _short(path: str) -> str:
    return re.sub(r"^.*/(site-packages|src|lib/python[\d.]+)/", "", path)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _run(argv: Sequence[str], environment: dict[str, str]) -> None:
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"failed:\n{ended.stdout}{ended.stderr}")
