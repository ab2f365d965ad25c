"""Runs that have died: what they have left on the engine and in the state directory, made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import docker
import docker.errors
import pytest
from docker import DockerClient

from pytest_dockerkit._names import NAME_LABEL, OWNER_LABEL, RUN_LABEL
from pytest_dockerkit._runtime.ledger import Ledger
from pytest_dockerkit._runtime.owner import owner_of
from pytest_dockerkit._runtime.runs import describe
from pytest_dockerkit._runtime.settings import Settings
from tests.plugin.conftest import Suite, leftovers


class Dead:
    """Makes what dead runs of the inner suite's user have left.

    Attributes:
        settings: the suite's.
        client: of the engine.
    """

    def __init__(self, suite: Suite, client: DockerClient) -> None:
        self.settings = Settings(state_dir=suite.path / "state" / "pytest-dockerkit", project=suite.path / "shop")
        self.client = client
        self._runs: list[str] = []

    def labels(self, run: str, owner: str | None = None, **more: str) -> dict[str, str]:
        return {RUN_LABEL: run, OWNER_LABEL: owner or owner_of(self.settings) or "", **more}

    def run(self, *, ledger: bool = True, owner: str | None = None) -> str:
        """Leave a container that runs, a network that it is in, and a volume that it has.

        Args:
            ledger: whether a directory tells of it.
            owner: whose it is; None is the suite's user.

        Returns:
            the run's id.
        """
        run = uuid4().hex[:12]
        self._runs.append(run)
        db, net, data = (f"dockerkit-{run}-{each}-{uuid4().hex[:6]}" for each in ("db", "net", "data"))
        if ledger:
            describe(self.directory(run), self.settings)
            book = Ledger(self.directory(run) / "main.jsonl")
            for kind, name in (("network", net), ("volume", data), ("container", db)):
                book.making(kind, name)
        self.client.networks.create(net, labels=self.labels(run, owner))
        self.client.volumes.create(data, labels=self.labels(run, owner))
        self.client.containers.run(
            "busybox:stable",
            ["sleep", "600"],
            name=db,
            network=net,
            volumes=[f"{data}:/data"],
            labels=self.labels(run, owner, **{NAME_LABEL: "db"}),
            detach=True,
        )
        return run

    def directory(self, run: str) -> Path:
        return self.settings.directory("runs", run)

    def things(self, run: str) -> list[str]:
        """Name what the engine still has of a run, without its id."""
        return sorted(name.split("-")[2] for name in leftovers(run))

    def clear_up(self) -> None:
        for run in self._runs:
            wanted: dict[str, str | list[str] | bool] = {"label": f"{RUN_LABEL}={run}"}
            for container in self.client.containers.list(all=True, filters=wanted, ignore_removed=True):
                with suppress(docker.errors.NotFound):
                    container.remove(force=True)
            for kind in (self.client.networks, self.client.volumes):
                for each in kind.list(filters=wanted):
                    with suppress(docker.errors.NotFound):
                        each.remove()


@pytest.fixture
def dead(suite: Suite, docker_client: DockerClient) -> Iterator[Dead]:
    """What dead runs have left; all of it is gone after the test."""
    made = Dead(suite, docker_client)
    yield made
    made.clear_up()
