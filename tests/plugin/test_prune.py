"""`dockerkit prune`: what runs have kept on the engine is removed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from uuid import uuid4

from pytest_dockerkit._names import KEPT_LABEL
from pytest_dockerkit._runtime import kept
from pytest_dockerkit._runtime.settings import Settings
from tests.plugin.test_reuse import DB, age, project

if TYPE_CHECKING:
    import pytest

    from tests.plugin.test_reuse import Project

__all__ = ["project"]

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
    assert project.prune() == "nothing is kept on this engine\n"
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
