"""Containers that end while a probe looks at them: their end is what is told, not what the engine said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import ContainerSpec, probes
from pytest_dockerkit.errors import ContainerExitedError

if TYPE_CHECKING:
    from pytest_dockerkit import Kit, RunningContainer


class Unlucky:
    """A probe in whose look the container ends before a command is run in it."""

    def look(self, container: RunningContainer) -> bool:
        container.kill()
        container.wait_exit()
        return container.exec(["true"]).exit_code == 0


def test_the_cause_is_that_it_has_ended(dockerkit: Kit) -> None:
    spec = ContainerSpec(image="busybox:stable", command=["sleep", "1000"], wait=Unlucky())
    with pytest.raises(ContainerExitedError) as caught:
        dockerkit.run(spec)
    assert caught.value.what == "container 'busybox' has ended before it was ready"
    assert caught.value.saw == "exit code 137"


def test_a_command_that_finds_it_gone_does_not_end_the_wait_for_its_end(dockerkit: Kit) -> None:
    wait = probes.any_of(probes.command(["false"]), probes.exited(3))
    spec = ContainerSpec(image="busybox:stable", command=["sh", "-c", "exit 3"], wait=wait)
    assert dockerkit.run(spec).status == "exited"
