"""`dockerkit prune`: what runs have kept on the engine is removed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

from pytest_dockerkit._names import KEPT_LABEL
from pytest_dockerkit._runtime import kept
from pytest_dockerkit._runtime.alive import Alive
from pytest_dockerkit._runtime.ledger import Ledger
from pytest_dockerkit._runtime.settings import Settings
from tests.plugin.leavings import Dead, dead
from tests.plugin.matrix import Matrix, matrix
from tests.plugin.test_reuse import DB, age, project

if TYPE_CHECKING:
    import pytest

    from tests.plugin.test_reuse import Project

__all__ = ["dead", "matrix", "project"]

SOURCE = 'db = container_fixture(**STAYS, volumes={"/data": "data"})\n\n\ndef test_it(db): ...\n'


def rows(text: str) -> list[tuple[str, ...]]:
    """Give the lines of the table, cell by cell."""
    return [tuple(re.split(r" {2,}", line.strip())) for line in text.splitlines()]


def test_all_that_is_kept_is_shown_and_removed(project: Project) -> None:
    """A line for each thing below its project, and how many are gone."""
    project.run(SOURCE)
    dry = rows(project.prune("--dry-run"))
    assert dry[0] == ("kind", "name", "image", "last used", "age", "what becomes of it")
    assert dry[1] == (str(project.suite.path),)
    assert [(row[0], row[-1]) for row in dry[2:5]] == [
        ("container", "would be removed"),
        ("network", "would be removed"),
        ("volume", "would be removed"),
    ]
    assert dry[2][1:3] == ("db", "busybox:stable")
    assert all(re.fullmatch(r"\d+ (s|min) ago", row[-3]) for row in dry[2:5])
    assert dry[5] == ("3 of 3 would be removed",)
    assert len(project.containers()) == 1
    done = rows(project.prune())
    assert [row[-1] for row in done[2:]] == ["removed", "removed", "removed", "3 of 3 removed"]
    assert (project.containers(), project.things()) == ([], [])
    assert project.prune() == "nothing is left or kept on this engine\n"
    # The next run begins anew.
    assert "reused" not in project.run(SOURCE).text


def test_what_was_used_since_stays(project: Project) -> None:
    """With all that it stands on."""
    project.run(SOURCE)
    before = project.ids()
    young = rows(project.prune("--older-than=1h"))
    assert {row[-1] for row in young[2:5]} == {"stays: was used since"}
    assert young[5] == ("0 of 3 removed",)
    age(project, 3 * 3600)
    # Used again: the volume and the network with it.
    project.run(SOURCE)
    project.prune("--older-than=2h")
    assert project.ids() == before
    assert len(project.things()) == 2
    age(project, 3 * 3600)
    old = rows(project.prune("--older-than=2h"))
    assert {row[-3] for row in old[2:5]} == {"3 h ago"}
    assert project.containers() == []


def test_what_a_run_uses_at_the_moment_stays(project: Project) -> None:
    source = """
import subprocess, sys
db = container_fixture(**STAYS)


def test_it(db):
    done = subprocess.run([sys.executable, "-m", "pytest_dockerkit.cli", "prune"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("stays: a run of the project goes on") == 2
    assert "0 of 2 removed" in done.stdout
    db.exec(["true"], check=True)
"""
    project.run(source)
    assert len(project.containers()) == 1


def test_what_others_have_kept_and_what_has_no_label_stays(project: Project) -> None:
    """Of another user, of another machine, or from another state directory on the same engine."""
    project.run(DB)
    name = f"dockerkit-test-{uuid4().hex[:8]}"
    others = [
        project.client.volumes.create(f"{name}-{number}", labels=labels)
        for number, labels in enumerate(({KEPT_LABEL: f"{'0' * 12}-{'1' * 12}"}, {KEPT_LABEL: ""}, {}))
    ]
    try:
        assert name not in project.prune()
        assert project.containers() == []
        for each in others:
            each.reload()
    finally:
        for each in others:
            each.remove()


def test_what_is_not_recorded_is_found_by_its_label(project: Project) -> None:
    """As when the cache directory was cleared; and a record of what is gone is forgotten."""
    project.run(SOURCE)
    [directory] = project.directories
    for each in directory.iterdir():
        each.unlink()
    assert "3 of 3 removed" in project.prune()
    assert (project.containers(), project.things()) == ([], [])
    project.run(SOURCE)
    for container in project.containers():
        container.remove(force=True)
    assert "2 of 2 removed" in project.prune()
    assert list(directory.glob("*.json")) == []


def test_one_that_cannot_be_removed_stops_none_of_the_others(project: Project) -> None:
    """A volume that a container of the user's holds: it stays on the list, and is gone the next time."""
    project.run(SOURCE)
    [volume] = [each for each in project.things() if "-data-" in each]
    holder = project.client.containers.create("busybox:stable", "true", volumes=[f"{volume}:/data"])
    try:
        text = project.prune(code=1)
        assert [row[-1] for row in rows(text)[2:5]] == ["removed", "removed", "could not be removed"]
        assert "2 of 3 removed" in text
        assert f"\nvolume {volume}: the engine could not remove the volume {volume}\n  saw:  " in text
    finally:
        holder.remove(force=True)
    assert "1 of 1 removed" in project.prune()


def test_it_is_the_same_where_the_option_is_set_for_good(project: Project) -> None:
    project.run(SOURCE)
    assert "3 of 3 removed" in project.prune(DOCKERKIT_REUSE="1")


def test_without_an_engine_it_says_so(project: Project) -> None:
    text = project.prune("--host=unix:///nowhere/docker.sock", code=1)
    assert text.startswith("no Docker engine answers at unix:///nowhere/docker.sock\n  saw:  ")


def test_a_wrong_duration_is_refused(project: Project) -> None:
    assert project.prune("--older-than=soon", code=2).startswith("--older-than= is not a duration\n  saw:  ")


def test_the_owner_is_a_user_a_machine_and_a_state_directory(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(state_dir=project.suite.path / "state")
    other = Settings(state_dir=project.suite.path / "other")
    name = kept._name(settings, "unix:///a")
    assert kept.directory_of(settings, name) is not None
    assert kept.directory_of(other, name) is None
    monkeypatch.setattr(os, "getuid", lambda: 4711, raising=False)
    assert kept.directory_of(settings, name) is None


# What dead runs have left


def test_what_dead_runs_have_left_goes_and_what_lives_stays(dead: Dead, project: Project) -> None:
    known, unknown, living, others = (
        dead.run(),
        dead.run(ledger=False),
        dead.run(),
        dead.run(owner="0" * 16, ledger=False),
    )
    alive = Alive(lambda: dead.directory(living))
    alive.hold()
    try:
        dry = project.prune("--dry-run")
        head = (f"{dead.settings.project}: run {known}, which has died",)
        table = rows(dry)
        assert table[table.index(head) + 1][:3] == ("container", "db", "busybox:stable")
        assert (f"run {unknown}, which has died",) in table
        assert table[-1] == ("6 of 6 would be removed",)
        assert dead.things(known) == ["data", "db", "net"]
        assert "0 of 6 removed" in project.prune("--older-than=1h")
        assert rows(project.prune())[-1] == ("6 of 6 removed",)
        assert (dead.things(known), dead.things(unknown)) == ([], [])
        assert (dead.things(living), dead.things(others)) == (["data", "db", "net"],) * 2
        assert [each.name for each in (dead.settings.state_dir / "runs").iterdir()] == [living]
        assert project.prune() == "nothing is left or kept on this engine\n"
    finally:
        alive.release()


# The image cache

#: Prunes, and sees none of the images that other tests have built.
MINE_ALONE = """
import sys
from pytest_dockerkit import _prune, cli
found = _prune.cached_images
_prune.cached_images = lambda session: [each for each in found(session) if each.name in sys.argv[1].split()]
sys.exit(cli.main(["prune", "--images", *sys.argv[2:]]))
"""


def test_images_of_the_cache_go_where_that_is_wanted(project: Project, matrix: Matrix) -> None:
    """But for those that a container stands on, those that a run uses, and names that a person has given."""
    client = project.client
    names = ("one", "two", "mine", "used")
    matrix.declare(**{each: f"FROM busybox:stable\nRUN echo {matrix.unique} > /{each}" for each in names})
    one, two, mine, run = project.command("build", "-q", *names).split()
    holder = client.containers.create(two, "true")
    client.images.get(mine).tag(f"mine-{matrix.unique}")
    directory = Settings(state_dir=project.suite.path / "state" / "pytest-dockerkit").directory("runs", "0" * 12)
    Ledger(directory / "main.jsonl").note("cached", run)
    alive = Alive(lambda: directory)
    alive.hold()

    def prune(*arguments: str) -> dict[str, str]:
        ran = subprocess.run(
            [sys.executable, "-c", MINE_ALONE, f"{one} {two} {mine} {run}", *arguments],
            cwd=project.suite.path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        return {row[1]: row[-1] for row in rows(ran.stdout) if row[0] == "image" and len(row) > 1}

    try:
        assert set(prune("--older-than=1h").values()) == {
            "stays: a container uses it",
            "stays: a run that goes on uses it",
            "stays: was built since",
        }
        wanted = {one: "removed", two: "stays: a container uses it", mine: "removed"}
        wanted[run] = "stays: a run that goes on uses it"
        assert prune("--dry-run") == {
            key: each.replace("removed", "would be removed") for key, each in wanted.items()
        }
        assert prune() == wanted
        # Its name of the cache is gone; the person's own stays.
        assert matrix.built() == ["mine", "two", "used"]
        assert prune() == {two: wanted[two], run: wanted[run]}
    finally:
        alive.release()
        holder.remove()
        client.images.remove(f"mine-{matrix.unique}")


def test_without_the_option_the_cache_stays(project: Project) -> None:
    assert "image" not in project.prune("--dry-run")
