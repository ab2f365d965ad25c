"""Suites that are written to a temporary directory and run by a pytest of their own, against the real engine."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from pytest_dockerkit import RunningContainer

RUN_LABEL = "pytest.dockerkit.run"


class Recorder:
    """A plugin of the inner run: notes each container as the engine describes it while it lives."""

    def __init__(self) -> None:
        self.containers: list[dict[str, Any]] = []

    def pytest_dockerkit_container_ready(self, container: RunningContainer) -> None:
        self.containers.append(container.inspect())


@dataclass
class Outcome:
    """How an inner run ended.

    Attributes:
        result: pytester's own.
        containers: what `docker inspect` said of each container when it was ready.
    """

    result: pytest.RunResult
    containers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that pytest has printed."""
        return self.result.stdout.str() + self.result.stderr.str()

    def ended(self, **counts: int) -> Outcome:
        """Hold the run against how many tests were to pass, fail, …; shows its output if they did not."""
        found = {key: value for key, value in self.result.parseoutcomes().items() if key not in ("seconds", "warnings")}
        assert found == counts, self.text
        return self


class Suite:
    """Writes and runs an inner suite."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path: Path = pytester.path

    def write(self, files: Mapping[str, str]) -> None:
        """Write files, by their relative paths; the texts are dedented."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")

    def run(self, source: str, *args: str, conftest: str = "", expect_clean: bool = True) -> Outcome:
        """Run one test module, and see that nothing is left of the run on the engine."""
        self.write({"test_inner.py": source} | ({"conftest.py": conftest} if conftest else {}))
        return self.run_files(*args, expect_clean=expect_clean)

    def run_files(self, *args: str, expect_clean: bool = True) -> Outcome:
        """Run what was written."""
        recorder = Recorder()
        options = ("-p", "no:randomly", "-p", "no:cacheprovider", "-W", "error")
        result = self.pytester.runpytest_inprocess(*options, *args, plugins=[recorder])
        outcome = Outcome(result, recorder.containers)
        if expect_clean:
            runs = {each["Config"]["Labels"][RUN_LABEL] for each in recorder.containers}
            assert [left for run in runs for left in leftovers(run)] == []
            assert list(self.path.glob("state/pytest-dockerkit/runs/*")) == []
        return outcome


def leftovers(run_id: str) -> list[str]:
    """Name what the engine still has of a run: containers, networks, volumes."""
    client = docker.from_env()
    try:
        chosen = {"filters": {"label": f"{RUN_LABEL}={run_id}"}}
        found = [each.name for each in client.containers.list(all=True, **chosen)]
        found += [each.name for each in client.networks.list(**chosen)]
        return [str(name) for name in found + [each.name for each in client.volumes.list(**chosen)]]
    finally:
        client.close()


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """An inner suite, with a state directory of its own, so that it can be seen to be empty afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "state"))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    yield Suite(pytester)
