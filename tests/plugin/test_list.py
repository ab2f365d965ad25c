"""`dockerkit list`: what goes on, what has died, what is kept, and the image cache."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._runtime.alive import Alive
from tests.plugin.leavings import Dead, dead
from tests.plugin.test_cli import dockerkit_cli
from tests.plugin.test_reuse import project

if TYPE_CHECKING:
    from tests.plugin.test_cli import Run
    from tests.plugin.test_reuse import Project

__all__ = ["dead", "dockerkit_cli", "project"]


def listed(project: Project, *arguments: str) -> str:
    """Give what `dockerkit list` prints."""
    return project.command("list", *arguments)


def groups(project: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(listed(project, "--json"))["groups"]
    return found


def test_a_person_sees_what_there_is_and_what_becomes_of_it(dead: Dead, project: Project) -> None:
    project.run("db = container_fixture(**STAYS)\n\n\ndef test_it(db): ...\n")
    died, living, others = dead.run(), dead.run(), dead.run(owner="0" * 16, ledger=False)
    alive = Alive(lambda: dead.directory(living))
    alive.hold()
    try:
        lines = listed(project).splitlines()
    finally:
        alive.release()
    assert lines[0].split() == ["kind", "name", "image", "state", "age", "size"]
    shop = str(dead.settings.project)
    heads = [line for line in lines[1:] if not line.startswith(" ")]
    assert re.fullmatch(rf"run {living}, {re.escape(shop)}, begun \d+ s ago: goes on", heads[0])
    assert re.fullmatch(rf"run {died}, {re.escape(shop)}, begun \d+ s ago: has died: the next run .*", heads[1])
    assert heads[2] == f"{project.suite.path}: kept for the next run (--dockerkit-reuse)"
    below = lines[lines.index(heads[0]) + 1 : lines.index(heads[1])]
    assert [re.split(r" {2,}", line.strip())[:2] for line in below] == [
        ["container", "db"],
        ["network", next(name for name in below[1].split() if "-net-" in name)],
        ["volume", next(name for name in below[2].split() if "-data-" in name)],
    ]
    assert re.search(r"busybox:stable +running +\d+ s +\d+ bytes$", below[0])
    assert [line.split()[0] for line in lines[lines.index(heads[2]) + 1 :][:2]] == ["container", "network"]
    assert re.fullmatch(r"image cache: (empty|\d+ images?, at most .*)", heads[3])
    # Those of other tests may be there as well.
    assert re.fullmatch(r"not yours: \d+ things of \d+ runs? of other users or machines", heads[4])
    assert others not in "\n".join(lines)


def test_a_program_gets_the_same(dead: Dead, project: Project) -> None:
    died, unknown = dead.run(), dead.run(ledger=False)
    by_run = {each["run"]: each for each in groups(project)}
    assert by_run.keys() == {died, unknown}
    assert (by_run[died]["state"], by_run[died]["project"]) == ("dead", str(dead.settings.project))
    assert (by_run[unknown]["state"], by_run[unknown]["age_s"]) == ("dead", None)
    db, net, data = by_run[died]["things"]
    assert (db["kind"], db["alias"], db["image"], db["state"]) == ("container", "db", "busybox:stable", "running")
    assert (db["age_s"] >= 0, db["size_bytes"]) == (True, 0)
    assert (net["kind"], net["size_bytes"], data["kind"]) == ("network", None, "volume")


def test_runs_that_have_left_nothing_are_a_line(dead: Dead, project: Project) -> None:
    dead.run()
    dead.clear_up()
    text = listed(project)
    assert text.startswith("no run goes on, and none has left anything\n1 run more that died and left nothing here\n")
    assert project.prune() == "nothing is left or kept on this engine\n"
    assert "left nothing here" not in listed(project)


def test_without_an_engine_it_says_so(dockerkit_cli: Run) -> None:
    ran = dockerkit_cli("list", "--host=unix:///nowhere/docker.sock", code=1)
    assert ran.stderr.startswith("no Docker engine answers at unix:///nowhere/docker.sock\n")
