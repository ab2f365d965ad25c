"""Runs a contestant's suite as a pytest process of its own, and says what came of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import images
from bench.contestants import CONTESTANTS, HANDOVER
from bench.raw import Engine, socket_path
from bench.relay import Relay
from bench.watch import HANDOVER_S, Watch

if TYPE_CHECKING:
    from bench.scenarios import Entry

BENCHMARKS = Path(__file__).parent.parent
#: After so long a suite is given up, in seconds.
TIMEOUT_S = 900.0
#: How long what is interrupted may take to end, in seconds.
PATIENCE_S = 30.0


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
                seconds, failure = _timed(argv, environment)
                builds = None
            else:
                with Relay(socket_path()) as relay:
                    seconds, failure = _timed(argv, {**environment, "DOCKER_HOST": relay.host})
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
            failure=failure,
        )

    @contextmanager
    def prepared(self, entry: Entry, *, more: Sequence[str] = ()) -> Iterator[tuple[list[str], dict[str, str], Path]]:
        """Have a suite's files ready: the command, its environment, and a directory for this process alone."""
        contestant = CONTESTANTS[entry.contestant]
        suite = self._suite(entry.suite or contestant.suite)
        with tempfile.TemporaryDirectory(dir=self._directory, prefix="once-") as text:
            scratch = Path(text)
            plugins = [*contestant.plugins, *(["xdist"] if entry.workers else [])]
            argv = [sys.executable, *more, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
            argv += [argument for each in plugins for argument in ("-p", each)]
            argv += [*contestant.options, *entry.options, *(["-n", str(entry.workers)] if entry.workers else [])]
            argv += ["--rootdir", str(suite), "-c", str(suite / "pytest.ini"), str(suite / entry.test)]
            asked = {**contestant.environment, **entry.environment, **self._asked(entry, scratch)}
            yield argv, self._environment(asked, scratch), scratch

    def _suite(self, name: str) -> Path:
        """Give a copy of a suite: below the repository it would get the repository's own conftest.py."""
        suite = self._directory / "suites" / name
        if not suite.exists():
            shutil.copytree(BENCHMARKS / "suites" / name, suite, ignore=shutil.ignore_patterns("__pycache__"))
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


def _timed(argv: list[str], environment: dict[str, str]) -> tuple[float, str | None]:
    """Run it: the seconds until it ended, and the end of what it said if it failed."""
    # A file, not a pipe: what outlives pytest, as the one does that removes behind it, may hold a pipe open.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        begin = time.perf_counter()
        # A group of its own: it is interrupted by us alone, once, and has time to remove what it made.
        running = subprocess.Popen(
            argv, env=environment, stdout=said, stderr=said, cwd=Path(argv[-1]).parent, start_new_session=True
        )
        # Waiting with a timeout looks only every 50 ms.
        alarm = threading.Timer(TIMEOUT_S, _interrupt, [running])
        alarm.start()
        try:
            running.wait()
        except BaseException:
            _interrupt(running)
            raise
        finally:
            alarm.cancel()
        seconds = time.perf_counter() - begin
        said.seek(0)
        return seconds, _failure(running.returncode, seconds, said.read())


def _interrupt(running: subprocess.Popen[bytes]) -> None:
    """End it as Ctrl-C does, and if that is not enough, for good."""
    os.killpg(running.pid, signal.SIGINT)
    try:
        running.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _lags(path: Path) -> tuple[float, ...]:
    if not path.exists():
        return ()
    return tuple(json.loads(line)["lag_s"] for line in path.read_text().splitlines())


def _failure(status: int, seconds: float, said: str) -> str | None:
    if status == 0:
        return None
    if seconds > TIMEOUT_S:
        said += f"\ngiven up after {TIMEOUT_S:.0f} s"
    lines = [line for line in said.splitlines() if line.strip()]
    return "\n".join(lines[-40:]) or f"ended with {status}"
