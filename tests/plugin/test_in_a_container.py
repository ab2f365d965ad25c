"""Tests that run in a container themselves, with the engine's socket, as jobs of many CI systems do."""

from __future__ import annotations

import sysconfig
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_dockerkit import Kit

ROOT = Path(__file__).parents[2]
SUITE = """
    from http.server import HTTPServer, SimpleHTTPRequestHandler
    from threading import Thread
    from urllib.request import urlopen

    import pytest
    from pytest_dockerkit import assert_reachable, container_fixture

    SERVES = {"image": "busybox:stable", "command": "httpd -f -p 8080 -h /etc", "ports": [8080]}
    db = container_fixture(**SERVES, scope="session")

    def is_there(container):
        assert urlopen(container.url(8080, "/passwd"), timeout=10).status == 200

    @pytest.mark.container(**SERVES)
    @pytest.mark.parametrize("number", range(2))
    def test_each_of_its_own(container, db, number):
        is_there(container)
        is_there(db)

    @pytest.mark.container(**SERVES, network="internal", host_access=True)
    def test_there_and_back(container):
        is_there(container)
        with HTTPServer(("0.0.0.0", 0), SimpleHTTPRequestHandler) as ours:
            Thread(target=ours.handle_request, daemon=True).start()
            assert_reachable(container, "host.docker.internal", ours.server_port)

    @pytest.mark.container(**SERVES, network="bridge")
    def test_where_it_is_already(container): is_there(container)
"""


def test_its_containers_are_reached_all_the_same(dockerkit: Kit, tmp_path: Path) -> None:
    """Published ports are on the engine's machine; the container of the tests joins the networks instead."""
    host = dockerkit.engine.host
    if not host.startswith("unix://"):
        pytest.skip(f"the engine is not at a socket of this machine: {host}")
    (tmp_path / "test_inner.py").write_text(textwrap.dedent(SUITE), encoding="utf-8")
    packages = sysconfig.get_path("purelib")
    job = dockerkit.run(
        "python:3-slim",
        command=["sleep", "1000"],
        network="bridge",
        volumes={
            "/var/run/docker.sock": Path(host.removeprefix("unix://")),
            "/packages": Path(packages),
            "/source": ROOT / "src",
        },
        files={"/job/test_inner.py": tmp_path / "test_inner.py"},
        env={"PYTHONPATH": "/source:/packages", "PYTHONDONTWRITEBYTECODE": "1"},
        workdir="/job",
        stop_timeout=0,
    )
    with job:
        before = set(job.inspect()["NetworkSettings"]["Networks"])
        done = job.exec(["python3", "-m", "pytest", "-n2", "-p", "no:cacheprovider"])
        assert done.exit_code == 0, done.stdout + done.stderr
        assert "all removed, images kept" in done.stdout
        assert set(job.inspect()["NetworkSettings"]["Networks"]) == before
