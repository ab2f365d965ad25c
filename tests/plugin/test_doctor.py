"""`dockerkit doctor`: what there is to test with, and what would mend what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._runtime.alive import Alive
from tests.plugin.leavings import Dead, dead
from tests.plugin.test_cli import dockerkit_cli
from tests.plugin.test_reuse import project

if TYPE_CHECKING:
    import pytest

    from tests.plugin.conftest import Suite
    from tests.plugin.test_cli import Ran, Run
    from tests.plugin.test_reuse import Project

__all__ = ["dead", "dockerkit_cli", "project"]

Found = dict[str, dict[str, dict[str, Any]]]


def found(ran: Ran) -> Found:
    """Give what was found, by the part and by what it is about."""
    said = json.loads(ran.stdout)
    assert said["ok"] == (ran.returncode == 0)
    return {part: {each["about"]: each for each in findings} for part, findings in said["found"].items()}


def test_a_machine_that_is_well(dockerkit_cli: Run, suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(suite.path))
    (suite.path / "config.json").write_text('{"auths": {"ghcr.io": {"auth": "c2VjcmV0"}}}', encoding="utf-8")
    ran = dockerkit_cli("doctor", "--json")
    said = found(ran)
    assert [*said] == ["engine", "builders", "networks", "registries", "state", "versions"]
    assert said["engine"]["found"]["said"].endswith(("the usual socket", "from DOCKER_HOST"))
    assert {"version", "runs on", "storage driver", "cgroups", "rootless", "caps"} < said["engine"].keys()
    assert [*said["builders"]] == ["buildx", "buildkit", "classic"]
    assert sum("is asked first" in each["said"] for each in said["builders"].values()) == 1
    assert " free in base=10.213.0.0/16,size=24" in said["networks"]["subnets"]["said"]
    assert said["registries"]["logged in at"]["said"] == "ghcr.io"
    assert "c2VjcmV0" not in ran.stdout
    assert said["state"]["directory"]["said"] == f"{suite.path}/state/pytest-dockerkit, mode 0700"
    assert said["state"]["left by dead runs"]["said"] == "nothing"
    assert {"Python", "pytest", "pytest-dockerkit", "docker"} < said["versions"].keys()
    # The same for a person.
    lines = dockerkit_cli("doctor").stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")][:-1] == [*said]
    assert lines[-1].startswith("nothing is wrong")


def test_where_no_engine_answers_it_says_where_it_has_looked(dockerkit_cli: Run, suite: Suite) -> None:
    """And of all else what can be said without one."""
    nowhere = f"unix://{suite.path}/nowhere.sock"
    ran = dockerkit_cli("doctor", "--json", code=1, DOCKER_HOST=nowhere, DOCKER_CONFIG=str(suite.path))
    said = found(ran)
    assert [*said] == ["engine", "registries", "state", "versions"]
    first = next(iter(said["engine"].values()))
    assert (first["about"], first["verdict"]) == ("engine", "wrong")
    assert first["said"].startswith(f"none answers at {nowhere} (from DOCKER_HOST): ")
    assert first["mend"]
    assert said["engine"]["--dockerkit-host"]["said"] == "not set"
    assert said["engine"]["DOCKER_HOST"]["said"] == nowhere
    assert said["engine"]["docker context"]["said"] == "default"
    assert any(about.startswith("unix:///") for about in said["engine"])
    text = dockerkit_cli("doctor", "--host", nowhere, code=1).stdout
    assert "  X engine" in text
    assert "  mend: " in text
    assert text.splitlines()[-1].startswith("1 (X) wrong")


def test_a_context_that_is_not_there_is_told(dockerkit_cli: Run, suite: Suite) -> None:
    said = found(dockerkit_cli("doctor", "--json", "--context=desk", code=1, DOCKER_CONFIG=str(suite.path)))
    first = next(iter(said["engine"].values()))
    assert first["said"] == "the docker context 'desk' cannot be used: no such context"
    assert said["engine"]["--dockerkit-context"]["said"] == "desk"


def test_what_is_wrong_with_the_state_is_told_and_all_else_is_too(dockerkit_cli: Run, suite: Suite) -> None:
    (suite.path / "state").write_text("a file", encoding="utf-8")
    said = found(dockerkit_cli("doctor", "--json", code=1))
    assert said["state"]["directory"]["verdict"] == "wrong"
    assert "versions" in said


def test_what_dead_runs_have_left_is_counted(dead: Dead, project: Project) -> None:
    living = dead.run()
    dead.run(ledger=False)
    alive = Alive(lambda: dead.directory(living))
    alive.hold()
    try:
        said = json.loads(project.command("doctor", "--json"))["found"]["state"]
    finally:
        alive.release()
    state = {each["about"]: each for each in said}
    assert state["runs that go on"]["said"] == "1"
    assert (state["left by dead runs"]["said"], state["left by dead runs"]["verdict"]) == (
        "3 things of 1 run",
        "note",
    )
