"""The next run sweeps: what dead runs of this user on this machine have left goes, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from filelock import FileLock

from pytest_dockerkit._names import OWNER_LABEL
from pytest_dockerkit._runtime.alive import Alive
from tests.plugin.leavings import Dead, dead

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

__all__ = ["dead"]

SOURCE = """
import pytest

@pytest.mark.container("busybox:stable", command=["sleep", "600"])
def test_it(container): ...
"""

ALL = ["data", "db", "net"]


def swept(text: str) -> list[str]:
    return [line for line in text.splitlines() if "runs before" in line or line.startswith("removed what")]


def test_what_dead_runs_have_left_is_removed_and_told_in_a_line(dead: Dead, suite: Suite) -> None:
    """By the ledger and by the label; of each run all things, whatever is done to its directory."""
    known, unknown = dead.run(), dead.run(ledger=False)
    outcome = suite.run(SOURCE)
    outcome.ended(passed=1)
    assert swept(outcome.text) == ["removed what 2 runs had left: 2 containers, 2 networks, 2 volumes"]
    assert (dead.things(known), dead.things(unknown)) == ([], [])
    assert swept(suite.run(SOURCE).text) == []


def test_what_is_of_others_and_what_lives_stays(dead: Dead, suite: Suite) -> None:
    """Of another user or machine, of a run that goes on, without a label of ours, or under a name that is not."""
    others, living = dead.run(ledger=False, owner="0" * 16), dead.run()
    alive = Alive(lambda: dead.directory(living))
    alive.hold()
    gone = dead.run(ledger=False)
    mine = dead.client.volumes.create(f"mine-{gone}", labels=dead.labels(gone))
    plain = dead.client.volumes.create(f"dockerkit-{gone}-data")
    try:
        outcome = suite.run(SOURCE, expect_clean=False)
        outcome.ended(passed=1)
        assert swept(outcome.text) == ["removed what 1 run had left: 1 container, 1 network, 1 volume"]
        assert (dead.things(others), dead.things(living)) == (ALL, ALL)
        for each in (mine, plain):
            each.reload()
    finally:
        alive.release()
        mine.remove()
        plain.remove()


def test_what_cannot_be_removed_fails_no_run_and_is_told_once(dead: Dead, suite: Suite) -> None:
    run = dead.run()
    [volume] = dead.client.volumes.list(filters={"label": f"{OWNER_LABEL}={dead.labels(run)[OWNER_LABEL]}"})
    holder = dead.client.containers.create("busybox:stable", "true", volumes=[f"{volume.name}:/data"])
    try:
        outcome = suite.run(SOURCE, expect_clean=False)
        outcome.ended(passed=1)
        first, second = swept(outcome.text)
        assert first == "removed what 1 run had left: 1 container, 1 network"
        assert second.startswith(
            "could not remove what runs before have left, `dockerkit prune` tries again: "
            f"volume {volume.name} (the engine could not remove the volume {volume.name}: "
        )
        assert swept(suite.run(SOURCE, expect_clean=False).text) == []
    finally:
        holder.remove()
    # Now nothing is in the way.
    assert swept(suite.run(SOURCE).text) == ["removed what 1 run had left: 1 volume"]


def test_several_at_once_sweep_once(dead: Dead, suite: Suite) -> None:
    """The workers of a run; and another run that sweeps already is left to it."""
    options = ("-n", "2")
    run = dead.run()
    source = (
        SOURCE
        + '\n\n@pytest.mark.container("busybox:stable", command=["sleep", "600"])\ndef test_too(container): ...'
    )
    lock = FileLock(dead.settings.directory("locks") / "sweep.lock")
    with lock:
        suite.run(source, *options, expect_clean=False, subprocess=True).ended(passed=2)
        assert dead.things(run) == ALL
    outcome = suite.run(source, *options, subprocess=True)
    outcome.ended(passed=2)
    assert swept(outcome.text) == ["removed what 1 run had left: 1 container, 1 network, 1 volume"]


def test_a_run_without_containers_sweeps_nothing(dead: Dead, suite: Suite) -> None:
    run = dead.run()
    suite.run("def test_it(): ...", expect_clean=False).ended(passed=1)
    assert dead.things(run) == ALL


def test_all_that_a_run_makes_says_whose_it_is(dead: Dead, suite: Suite) -> None:
    source = """
    from pytest_dockerkit import container_fixture, volume_fixture

    data = volume_fixture()
    db = container_fixture("busybox:stable", command=["sleep", "600"], volumes={"/data": data})


    def test_it(db, data, docker_client):
        owner = db.labels["pytest.dockerkit.owner"]
        assert docker_client.networks.get(db.network.id).attrs["Labels"]["pytest.dockerkit.owner"] == owner
        assert docker_client.volumes.get(data.name).attrs["Labels"]["pytest.dockerkit.owner"] == owner
        print("owner", owner)
    """
    outcome = suite.run(source, "-s")
    outcome.ended(passed=1)
    assert f"owner {dead.labels('')[OWNER_LABEL]}" in outcome.text
