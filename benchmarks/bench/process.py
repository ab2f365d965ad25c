"""Runs a contestant's suite as a pytest process of its own, and says what came of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import images
from bench.contestants import CONTESTANTS, HANDOVER
from bench.raw import Engine, socket_path
from bench.relay import Relay
from bench.scenarios import Entry
from bench.watch import HANDOVER_S, Watch

BENCHMARKS = Path(__file__).parent.parent
#: After so long a suite is given up, in seconds.
TIMEOUT_S = 900.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one process took, made and left.

    Attributes:
        seconds: the whole process.
        lags_s: from the moment that its service was ready to the test, for each test.
        containers, networks: how many it made.
        builds: how many builds it asked for; None when nobody looked.
        left: what was there when it had ended, in words.
        failure: the end of what it said, or None when it succeeded.
    """

    seconds: float
    lags_s: tuple[float, ...] = ()
    containers: int = 0
    networks: int = 0
    builds: int | None = None
    left: tuple[str, ...] = ()
    failure: str | None = None


class Bench:
    """A place for the suites' files, and what all processes of a run have in common."""

    def __init__(self, directory: Path) -> None:
        self.run = uuid.uuid4().hex[:8]
        self._directory = directory
        self._api_version = Engine().call("GET", "/version")["ApiVersion"]

    def once(self, entry: Entry, *, counted: bool = False) -> Outcome:
        """Run one suite; `counted` has its requests seen, which makes it a little slower."""
        with self.prepared(entry) as (argv, environment, scratch), Watch(self.run) as watch:
            if not counted:
                seconds, ended = _timed(argv, environment)
                builds = None
            else:
                with Relay(socket_path()) as relay:
                    seconds, ended = _timed(argv, {**environment, "DOCKER_HOST": relay.host})
                    builds = relay.builds
            lags = _lags(scratch / "record.jsonl")
        left = watch.left(HANDOVER_S if entry.contestant == HANDOVER else 0.0)
        return Outcome(
            seconds=seconds,
            lags_s=lags,
            containers=len(watch.containers),
            networks=len(watch.networks),
            builds=builds,
            left=tuple(left),
            failure=_failure(ended),
        )

    @contextmanager
    def prepared(self, entry: Entry, *, more: Sequence[str] = ()) -> Iterator[tuple[list[str], dict[str, str], Path]]:
        """Have a suite's files ready: the command, its environment, and a directory for this process alone."""
        contestant = CONTESTANTS[entry.contestant]
        suite = self._suite(contestant.suite)
        with tempfile.TemporaryDirectory(dir=self._directory, prefix="once-") as text:
            scratch = Path(text)
            plugins = [*contestant.plugins, *(["xdist"] if entry.workers else [])]
            argv = [sys.executable, *more, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
            argv += [argument for each in plugins for argument in ("-p", each)]
            argv += [*contestant.options, *entry.options, *(["-n", str(entry.workers)] if entry.workers else [])]
            argv += ["--rootdir", str(suite), "-c", str(suite / "pytest.ini"), str(suite / Path(entry.test).name)]
            asked = {**contestant.environment, **entry.environment, **self._asked(entry, scratch)}
            yield argv, self._environment(asked, scratch), scratch

    def _suite(self, name: str) -> Path:
        """Give a copy of a suite: below the repository it would get the repository's own conftest.py."""
        suite = self._directory / "suites" / name
        if not suite.exists():
            shutil.copytree(BENCHMARKS / "suites" / name, suite, ignore=shutil.ignore_patterns("__pycache__"))
            for path in (BENCHMARKS / "suites/none").glob("test_*.py"):
                shutil.copy(path, suite)
            (suite / "pytest.ini").write_text("[pytest]\n")
        return suite

    def _asked(self, entry: Entry, scratch: Path) -> dict[str, str]:
        asked = {
            "BENCH_IMAGE": images.tag(entry.service, self.run),
            "BENCH_RECORD": str(scratch / "record.jsonl"),
            "BENCH_SCRATCH": str(scratch),
            "BENCH_API_VERSION": self._api_version,
        }
        if entry.builds:
            context, tag = self._context(entry, scratch)
            asked |= {"BENCH_CONTEXT": str(context), "BENCH_TAG": tag}
        return asked

    def _context(self, entry: Entry, scratch: Path) -> tuple[Path, str]:
        new = entry.builds == "new"
        stamp = uuid.uuid4().hex[:8] if new else f"again-{CONTESTANTS[entry.contestant].suite}"
        context = (scratch if new else self._directory) / f"context-{stamp}"
        if not context.exists():
            context.mkdir()
            (context / "stamp").write_text(f"{self.run}-{stamp}")
            base = images.tag(entry.service, self.run)
            text = f"FROM {base}\nLABEL dockerkit.benchmark.stamp={self.run}-{stamp}\nCOPY stamp /srv/stamp\n"
            (context / "Dockerfile").write_text(text)
        return context, f"{images.NAME}:{self.run}-built-{stamp}"

    def _environment(self, asked: Mapping[str, str], scratch: Path) -> dict[str, str]:
        ours = ("PYTEST_", "DOCKERKIT_", "BENCH_", "COV_", "TESTCONTAINERS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        temporary = scratch / "tmp"
        temporary.mkdir()
        return {
            **kept,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_DEBUG_TEMPROOT": str(temporary),
            "PYTHONPATH": str(BENCHMARKS),
            "XDG_CACHE_HOME": str(self._directory / "cache"),
            **asked,
        }


def _timed(argv: list[str], environment: dict[str, str]) -> tuple[float, subprocess.CompletedProcess[str]]:
    begin = time.perf_counter()
    try:
        ended = subprocess.run(
            argv, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_S, cwd=Path(argv[-1]).parent
        )
    except subprocess.TimeoutExpired:
        ended = subprocess.CompletedProcess(argv, -1, "", f"given up after {TIMEOUT_S:.0f} s")
    return time.perf_counter() - begin, ended


def _lags(path: Path) -> tuple[float, ...]:
    if not path.exists():
        return ()
    return tuple(json.loads(line)["lag_s"] for line in path.read_text().splitlines())


def _failure(ended: subprocess.CompletedProcess[str]) -> str | None:
    if ended.returncode == 0:
        return None
    lines = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
    return "\n".join(lines[-40:]) or f"ended with {ended.returncode}"
