"""`--dockerkit-max-containers` and the sum of memory caps: what runs at once, over all workers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import ContainerSpec
from pytest_dockerkit._names import new_run_id
from pytest_dockerkit._runtime.ahead import slot_of
from pytest_dockerkit._runtime.records import Records
from pytest_dockerkit._runtime.scope import ScopeInstance
from pytest_dockerkit._runtime.session import Session
from pytest_dockerkit._runtime.settings import Settings
from pytest_dockerkit._runtime.sharing import Sharing
from pytest_dockerkit._runtime.starting import NotAheadError, Wanted
from tests.plugin.listeners import Deaf

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugin.conftest import Suite

STAYS = 'command=["sleep", "1000"]'
#: Notes, each time a container was created, how many of the run there are, over all workers.
COUNTER = """
    import os
    from pathlib import Path

    from pytest_dockerkit import _run
    from pytest_dockerkit._engine.containers import Containers

    RUN = []

    def pytest_configure(config):
        RUN.append(_run.run_id(config))
        create = Containers.create

        def counted(self, name, body, platform):
            made = create(self, name, body, platform)
            import docker
            client = docker.from_env()
            found = client.api.containers(all=True, filters={"label": f"pytest.dockerkit.run={RUN[0]}"})
            client.close()
            with Path(__file__).with_name(f"counted-{os.getpid()}").open("a") as file:
                file.write(f"{len(found)}\\n")
            return made

        Containers.create = counted
        config.add_cleanup(lambda: setattr(Containers, "create", create))
"""


def most(suite: Suite) -> int:
    """Give how many containers there were at once, as far as it was looked."""
    counted = [int(line) for path in suite.path.glob("counted-*") for line in path.read_text().split()]
    return max(counted, default=0)


MARKED = f"""
    import pytest

    @pytest.mark.container("busybox:stable", name="db", {STAYS})
    @pytest.mark.container("busybox:stable", name="api", {STAYS})
    @pytest.mark.parametrize("number", range(4))
    def test_it(containers, number):
        assert containers["api"].exec(["nslookup", "db"]).exit_code == 0
"""
FIXTURES = f"""
    import pytest
    from pytest_dockerkit import container_fixture

    db = container_fixture("busybox:stable", {STAYS})
    api = container_fixture("busybox:stable", depends_on=[db], {STAYS})

    @pytest.mark.parametrize("number", range(4))
    def test_it(api, number):
        assert api.exec(["nslookup", "db"]).exit_code == 0
"""


@pytest.mark.parametrize(("source", "workers"), [(MARKED, 2), (FIXTURES, 2), (FIXTURES, 0)])
def test_no_more_than_so_many_run_at_once(suite: Suite, source: str, workers: int) -> None:
    """Each test needs two of the three: two workers that took them one by one would wait for each other."""
    outcome = suite.run(
        source, f"-n{workers}", "--dockerkit-max-containers=3", conftest=COUNTER, subprocess=workers > 0
    )
    outcome.ended(passed=4)
    assert len(outcome.containers) == 8
    assert 2 <= most(suite) <= 3


@pytest.mark.parametrize(("workers", "prefetch"), [(2, "on"), (3, "off")])
def test_what_lives_as_long_as_the_session_leaves_room_for_the_tests(
    suite: Suite, workers: int, prefetch: str
) -> None:
    """All may have taken room for their own test when the first of them asks for what all share."""
    outcome = suite.run(
        f"""
        import pytest

        @pytest.mark.container("busybox:stable", name="own", {STAYS})
        @pytest.mark.parametrize("number", range(4))
        def test_own(container, number, db): pass
        """,
        f"-n{workers}",
        "--dockerkit-max-containers=2",
        f"--dockerkit-prefetch={prefetch}",
        conftest=COUNTER
        + f"""
    from pytest_dockerkit import container_fixture

    db = container_fixture("busybox:stable", scope="session", {STAYS})
    """,
        subprocess=True,
    )
    outcome.ended(passed=4)
    assert most(suite) <= 2


def test_what_is_made_ahead_waits_for_no_other_worker(tmp_path: Path) -> None:
    """The other may wait for room that this one has taken for a test, which in turn waits for what is made ahead."""
    session = Session(
        Settings(state_dir=tmp_path, max_containers=2), new_run_id(), "gw0", Deaf(), Sharing(b"a secret")
    )
    spec = ContainerSpec(image="busybox:stable", command=["sleep", "1000"])
    wanted = Wanted(spec, ScopeInstance("session", "session", lambda _: None), "db")
    assert session.shared is not None
    key = session.shared.key_of(wanted, spec)
    assert key is not None
    try:
        with Records(lambda: session.directory / "shared").lock(key):
            errand = session.ahead.container(slot_of(wanted), lambda _: wanted)
            assert isinstance(errand.outcome.exception(timeout=60), NotAheadError)
        assert session.run(wanted).state()["Status"] == "running"
    finally:
        session.end()
        session.undo_all()
        session.close()


def test_too_little_room_is_told_at_once(suite: Suite) -> None:
    outcome = suite.run(MARKED, "--dockerkit-max-containers=1", "-k", "0")
    outcome.ended(errors=1, deselected=3)
    assert "more containers are needed at once than may run" in outcome.text
    assert "--dockerkit-max-containers=2 or more" in outcome.text


def test_memory_caps_bound_what_is_made_ahead(suite: Suite) -> None:
    """Two of such a size do not fit; so the second waits until the first is gone."""
    outcome = suite.run(
        f"""
        import os
        import pytest

        WHOLE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

        @pytest.mark.container("busybox:stable", memory=WHOLE * 2 // 3, {STAYS})
        @pytest.mark.parametrize("number", range(3))
        def test_it(container, number): pass
        """,
        conftest=COUNTER,
    )
    outcome.ended(passed=3)
    assert most(suite) == 1


@pytest.mark.parametrize("written", ["0", "-1", "many", "1.5"])
def test_a_wrong_number_is_told_before_anything_runs(suite: Suite, written: str) -> None:
    outcome = suite.run("def test_it(): pass\n", f"--dockerkit-max-containers={written}")
    assert "dockerkit_max_containers is no number above 0" in outcome.text
    assert json.dumps(written)[1:-1] in outcome.text
