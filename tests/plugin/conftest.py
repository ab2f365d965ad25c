"""Suites that are written to a temporary directory and run by a pytest of their own, against the real engine."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

import pytest_dockerkit
from pytest_dockerkit import Kit
from pytest_dockerkit._engine.client import ClientWire
from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit._engine.wire import SocketWire
from tests.plugin.registry import Proxy, Registry, proxied, running
from tests.plugin.wires import Relay

# pytester forgets after each inner run which modules that run has imported, but not the packages' attributes: a
# module that is imported late would meet another copy of the errors than the plugin has.
for _module in pkgutil.walk_packages(pytest_dockerkit.__path__, "pytest_dockerkit."):
    importlib.import_module(_module.name)

RUN_LABEL = "pytest.dockerkit.run"

#: A plugin of the inner run: notes each container as the engine describes it while it lives, and the run's id. It
#: stands in a file, since xdist's workers have to find it as well.
RECORDER = """
import json
import os
from pathlib import Path

from pytest_dockerkit import _run


def note(what, value):
    with Path(__file__).with_name(f"recorded-{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps([what, value]) + "\\n")


def pytest_dockerkit_container_ready(container):
    note("container", container.inspect())


def pytest_sessionfinish(session):
    note("run", session.config.stash.get(_run._RUN_ID, None))
"""


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

    @property
    def names(self) -> list[str]:
        """The names of the containers in the order in which they became ready."""
        return [each["Config"]["Labels"]["pytest.dockerkit.name"] for each in self.containers]

    def says(self, sentences: str, times: int = 1) -> Outcome:
        """Look for whole lines that follow each other, and see that no frame of the plugin's is shown.

        Args:
            sentences: the lines, dedented here.
            times: how often.
        """
        wanted = "\n" + textwrap.dedent(sentences).strip("\n") + "\n"
        # pytest marks the lines of an error, and indents them as the source line that raised it.
        plain = re.sub(
            r"(?m)(?:^E +.*\n)+", lambda match: textwrap.dedent(re.sub("(?m)^E", " ", match[0])), f"{self.text}\n"
        )
        assert f"\n{plain}\n".count(wanted) == times, f"{wanted}\nis not {times} times in\n\n{self.text}"
        assert "pytest_dockerkit/" not in self.text
        return self

    def ended(self, **counts: int) -> Outcome:
        """Hold the run against how many tests were to pass, fail, …; shows its output if they did not."""
        found = {
            key: value for key, value in self.result.parseoutcomes().items() if key not in ("seconds", "warnings")
        }
        assert found == counts, self.text
        return self


class Suite:
    """Writes and runs an inner suite."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path: Path = pytester.path
        # The inner run may have another engine, or none.
        self.environment = dict(os.environ)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files, by their relative paths; the texts are dedented."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")

    def run(
        self, source: str, *args: str, conftest: str = "", expect_clean: bool = True, subprocess: bool = False
    ) -> Outcome:
        """Run one test module, and see that nothing is left of the run on the engine."""
        self.write({"test_inner.py": source} | ({"conftest.py": conftest} if conftest else {}))
        return self.run_files(*args, expect_clean=expect_clean, subprocess=subprocess)

    def run_files(self, *args: str, expect_clean: bool = True, subprocess: bool = False) -> Outcome:
        """Run what was written.

        Args:
            *args: further arguments for pytest.
            expect_clean: whether nothing may be left on the engine, nor in the state directory.
            subprocess: whether it is a process of its own, as xdist and Ctrl-C need it.
        """
        self.write({"dockerkit_recorder.py": RECORDER})
        for old in self.path.glob("recorded-*.jsonl"):
            old.unlink()
        options = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "dockerkit_recorder", "-W", "error", *args)
        if subprocess:
            result = self.pytester.runpytest_subprocess(*options)
        else:
            self.pytester.syspathinsert()
            result = self.pytester.runpytest_inprocess(*options)
        notes = [
            json.loads(line)
            for path in sorted(self.path.glob("recorded-*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
        outcome = Outcome(result, [value for what, value in notes if what == "container"])
        if expect_clean:
            runs = {value for what, value in notes if what == "run" and value}
            assert [left for run in runs for left in leftovers(run, self.environment)] == []
            assert list(self.path.glob("state/pytest-dockerkit/runs/*")) == []
        return outcome


def leftovers(run_id: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """Name what the engine still has of a run: containers, networks, volumes."""
    client = docker.from_env(environment=environment)
    try:
        label = f"{RUN_LABEL}={run_id}"
        found = [
            each.name for each in client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        ]
        found += [each.name for each in client.networks.list(filters={"label": label})]
        return [str(name) for name in found + [each.name for each in client.volumes.list(filters={"label": label})]]
    finally:
        client.close()


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """An inner suite, with a state directory of its own, so that it can be seen to be empty afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "state"))
    # In CI pytest writes its summary out in full: an inner run is to print the same everywhere.
    for name in ("PYTEST_ADDOPTS", "CI", "BUILD_NUMBER", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    return Suite(pytester)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry of images that runs on this machine, empty."""
    with running(tmp_path / "registry") as made:
        yield made


@pytest.fixture
def proxy(registry: Registry) -> Iterator[Proxy]:
    """What stands before the registry, and may refuse."""
    with proxied(registry) as made:
        yield made


@pytest.fixture(params=["socket", "tcp"])
def daemon(request: pytest.FixtureRequest, dockerkit: Kit) -> Iterator[Daemon]:
    """The engine, over either wire."""
    host = dockerkit.engine.host
    if not host.startswith("unix:///"):
        pytest.skip("the engine is elsewhere")
    with contextlib.ExitStack() as stack:
        if request.param == "tcp":
            relay = Relay(host.removeprefix("unix://"))
            stack.callback(relay.close)
            host = relay.url
        made = Daemon(host)
        stack.callback(made.close)
        assert isinstance(made._wire, SocketWire if request.param == "socket" else ClientWire)
        yield made
