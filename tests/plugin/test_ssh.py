"""An engine that is reached by ssh: what the tests do with it, and that nothing is left there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
import pytest

from pytest_dockerkit._engine.daemon import Daemon
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit.errors import EngineUnavailableError
from tests.plugin.conftest import leftovers
from tests.plugin.ssh_server import SshServer, reached_by_ssh

if TYPE_CHECKING:
    from pytest_dockerkit import Kit
    from tests.plugin.conftest import Suite

JOB = """
    import urllib.request

    import pytest

    from pytest_dockerkit import container_fixture, probes

    db = container_fixture("busybox:stable", command=["sh", "-c", "echo up; exec httpd -f -p 80 -h /etc"],
                           ports=[80], scope="session")

    def test_it_is_reached(db):
        with urllib.request.urlopen(db.url(80, "/hostname")) as answer:
            assert answer.status == 200

    def test_what_goes_in_and_out(db):
        text = "what it reads\\n" * 20_000
        assert db.exec(["cat"], stdin=text, timeout=60).stdout == text
        db.write_file("/etc/of-the-test", "here")
        assert db.read_file("/etc/of-the-test") == "here"
        with pytest.raises(TimeoutError):
            db.exec(["sleep", "60"], timeout=0.5)

    def test_its_log_is_followed(db):
        assert next(iter(db.follow())).strip() == "up"

    @pytest.mark.container(build=".", wait=probes.running(), command="sleep 600")
    def test_what_is_built_there(container):
        assert container.exec(["cat", "/said"]).stdout == "hello\\n"
"""
DOCKERFILE = """
    FROM busybox:stable
    RUN echo hello > /said
"""


@pytest.fixture
def server(suite: Suite, dockerkit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    """The way to the engine by ssh, for runs below."""
    home = tmp_path / "home"
    with reached_by_ssh(home, dockerkit.engine.host) as made:
        monkeypatch.setenv("HOME", str(home))
        yield made


def test_the_main_job(suite: Suite, server: SshServer) -> None:
    suite.write({"Dockerfile": DOCKERFILE})
    suite.run(JOB, f"--dockerkit-host={server.address}", subprocess=True).ended(passed=4)
    assert set(server.commands) == {"docker system dial-stdio"}


def test_workers_share_what_the_session_has(suite: Suite, server: SshServer) -> None:
    suite.write({"Dockerfile": DOCKERFILE})
    outcome = suite.run(JOB, f"--dockerkit-host={server.address}", "-n", "2", subprocess=True).ended(passed=4)
    assert "2 containers, " in outcome.text


def test_a_run_that_is_killed_leaves_nothing(suite: Suite, server: SshServer) -> None:
    """The watcher goes the same way."""
    suite.run(
        """
        import os, signal, pathlib
        import pytest

        @pytest.mark.container("busybox:stable", command="sleep 600")
        def test_it(container):
            pathlib.Path("run").write_text(container.labels["pytest.dockerkit.run"])
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        f"--dockerkit-host={server.address}",
        subprocess=True,
        expect_clean=False,
    )
    run = (suite.path / "run").read_text()
    assert until_ready(lambda: Look(not leftovers(run)), timeout_s=60).ready


def test_who_has_another_key_is_told(suite: Suite, server: SshServer) -> None:
    server.key_file.unlink()
    paramiko.ECDSAKey.generate().write_private_key_file(str(server.key_file))
    suite.write({"Dockerfile": DOCKERFILE})
    outcome = suite.run(JOB, f"--dockerkit-host={server.address}", "-k", "reached", subprocess=True)
    outcome.ended(errors=1, deselected=3)
    assert f"no Docker engine answers at {server.address}\n" in outcome.text
    assert "  saw:  SSHException: " in outcome.text


@pytest.mark.parametrize("used", [True, False])
def test_a_connection_that_ends_is_told(server: SshServer, used: bool) -> None:
    engine = Daemon(server.address)
    if used:
        assert engine.memory_bytes()
    server.close()
    with pytest.raises(EngineUnavailableError, match="the engine went away while it was to "):
        engine.containers.inspect("of-nobody")
    engine.close()
