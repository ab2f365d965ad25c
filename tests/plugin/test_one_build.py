"""One build for all: processes that ask for the same new image at once, and one that dies while it builds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._poll import Look, until_ready

if TYPE_CHECKING:
    import docker

PROCESSES = 8

SUITE = """
    import os
    from pathlib import Path

    def test_it(dockerkit, image_spec):
        image = dockerkit.build(image_spec)
        Path("made-{number}").write_text(image.file("/made").read_text() + " " + image.reference)
"""

CONFTEST = """
    import pytest
    from pytest_dockerkit import ImageSpec

    @pytest.fixture
    def image_spec():
        return ImageSpec(build="context")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose image is new, and says by its content which build has made it."""
    (tmp_path / "context").mkdir()
    (tmp_path / "conftest.py").write_text(textwrap.dedent(CONFTEST), encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "state"))
    for name in ("PYTEST_ADDOPTS", "CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """The processes that a test has started; those that still run at its end are ended."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def begin(project: Path, number: int, started: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    """Start a pytest of its own that asks for the image."""
    test = project / f"test_{number}.py"
    test.write_text(textwrap.dedent(SUITE).format(number=number), encoding="utf-8")
    argv = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", "-W", "error", test.name]
    process = subprocess.Popen(argv, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    started.append(process)
    return process


def dockerfile(project: Path, seconds: int) -> None:
    """Write a Dockerfile that has never been built; to run it takes a while, so that all come while it is built."""
    made = "cat /proc/sys/kernel/random/uuid > /made"
    text = f"FROM busybox:stable\nRUN sleep {seconds}; echo {uuid.uuid4().hex}; {made}\n"
    (project / "context/Dockerfile").write_text(text, encoding="utf-8")


def test_eight_processes_make_one_build(project: Path, started: list[subprocess.Popen[str]]) -> None:
    """What an image says that every build makes anew is the same for all."""
    dockerfile(project, 1)
    processes = [begin(project, number, started) for number in range(PROCESSES)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, "\n".join(outputs)
    assert sum("images: 1 built" in each for each in outputs) == 1
    assert sum("images: 0 built, 1 from cache" in each for each in outputs) == PROCESSES - 1
    assert len({(project / f"made-{number}").read_text() for number in range(PROCESSES)}) == 1


def test_a_killed_builder_lets_another_finish(
    project: Path, started: list[subprocess.Popen[str]], docker_client: docker.DockerClient
) -> None:
    """Half a build is never taken for a whole one, and who waits for it goes on at once."""
    dockerfile(project, 3)
    first = begin(project, 0, started)
    names: list[str] = []

    def builds() -> Look:
        assert first.poll() is None, first.communicate()[0]
        for path in (project / "state/pytest-dockerkit/runs").glob("*/main.jsonl"):
            lines = [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
            names[:] = [line["name"] for line in lines if line.get("kind") == "image"]
        return Look(bool(names))

    assert until_ready(builds, timeout_s=60).ready
    second = begin(project, 1, started)
    os.kill(first.pid, signal.SIGKILL)
    output, _ = second.communicate()
    assert second.returncode == 0, output
    assert "images: 1 built" in output
    said, _, reference = (project / "made-1").read_text().partition("\n ")
    unfinished = names[0]
    assert unfinished.startswith(f"{reference}-")
    assert docker_client.images.get(reference).tags == [reference]
    assert said
