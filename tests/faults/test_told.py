"""What the users of a failing engine see, and what is left of their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._poll import Look, until_ready
from tests.faults.conftest import LIMIT_S
from tests.plugin.conftest import leftovers

if TYPE_CHECKING:
    from tests.faults.proxy import FaultyEngine
    from tests.plugin.conftest import Suite

STAYS = '"busybox:stable", command=["sleep", "1000"], network="none"'


def run_of(suite: Suite) -> str:
    (directory,) = suite.path.glob("state/pytest-dockerkit/runs/*")
    return directory.name


def test_the_tests_concerned_are_told_and_the_others_go_on(suite: Suite, engine: FaultyEngine) -> None:
    """In whichever thread it comes to grief: many a container is made ahead of its test."""
    engine.fail(r"POST /containers/create\?.*-refused-", 500, times=None)
    engine.fail(r"POST /containers/create\?.*-dropped-", "dropped", times=None)
    engine.fail(r"POST /containers/create\?.*-lost-", "done and dropped", times=None)
    engine.fail("GET /containers/[^/]+/logs", "cut", times=None)
    outcome = suite.run(
        f"""
        import pytest
        from pytest_dockerkit import container_fixture

        box = container_fixture({STAYS}, scope="session")

        @pytest.mark.container({STAYS}, name="refused")
        def test_refused(container): pass

        @pytest.mark.container({STAYS}, name="dropped")
        def test_dropped(container): pass

        @pytest.mark.container({STAYS}, name="lost")
        def test_lost(container): pass

        @pytest.mark.container({STAYS}, name="good")
        def test_good(container, box): assert box.exec(["true"]).exit_code == 0

        def test_reads(box): box.logs()
        """,
        f"--dockerkit-host={engine.address}",
    )
    outcome.ended(passed=1, errors=3, failed=1)
    assert "Traceback" not in outcome.text
    assert "pytest_dockerkit/" not in outcome.text
    assert outcome.text.count("\nthe engine could not create the container dockerkit-") == 1
    assert outcome.text.count("\nthe engine went away while it was to create the container dockerkit-") == 2
    assert outcome.text.count("saw:  the engine hung up without an answer") == 2
    assert "the engine went away while it was to read the log of 'box'" in outcome.text
    assert "all removed, images kept" in outcome.text


@pytest.mark.parametrize("fault", [500, "dropped"])
def test_what_cannot_be_removed_is_named_and_goes_when_the_engine_lets_it(
    fault: int | str, suite: Suite, engine: FaultyEngine
) -> None:
    """The run is red, and its watcher goes on."""
    engine.fail("DELETE /containers/", fault, times=None)
    outcome = suite.run(
        f"""
        from pytest_dockerkit import container_fixture

        box = container_fixture({STAYS}, scope="session")

        def test_it(box): pass
        """,
        f"--dockerkit-host={engine.address}",
        expect_clean=False,
    )
    outcome.ended(passed=1)
    assert outcome.result.ret == pytest.ExitCode.TESTS_FAILED
    assert "something could not be removed" in outcome.text
    assert "Traceback" not in outcome.text
    run = run_of(suite)
    assert len(leftovers(run)) == 1
    engine.lift()
    until_ready(lambda: Look(not leftovers(run)), timeout_s=LIMIT_S)
    assert leftovers(run) == []
    until_ready(lambda: Look(not [*suite.path.glob("state/pytest-dockerkit/runs/*")]), timeout_s=LIMIT_S)
    assert [*suite.path.glob("state/pytest-dockerkit/runs/*")] == []
