"""Several engines for one run: xdist's workers are dealt to them, and each engine has a part of the run.

Every run imports this module: whatever is heavy is imported where it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit import _options

if TYPE_CHECKING:
    from pathlib import Path

_PARTS = pytest.StashKey[list["Part"]]()
_LEFT_OUT = pytest.StashKey[list[str]]()
#: What the controller hands down to a worker: the address of its engine.
_HOST = "dockerkit_host"


class Part:
    """What xdist's controller has of the run on one engine: pytest's configuration, and a stash of its own.

    Attributes:
        config: pytest's.
        host: the engine's address.
        stash: what is remembered of the run on that engine.
        workers: those that live, by their ids.
    """

    def __init__(self, config: pytest.Config, host: str) -> None:
        self.config = config
        self.host = host
        self.stash = pytest.Stash()
        self.workers: set[str] = set()

    @property
    def hook(self) -> Any:
        """Pytest's hooks."""
        return self.config.hook

    @property
    def rootpath(self) -> Path:
        """The project's directory."""
        return self.config.rootpath

    def getoption(self, name: str) -> Any:
        """Give an option of the command line."""
        return self.config.getoption(name)

    def getini(self, name: str) -> Any:
        """Give a line of the ini file."""
        return self.config.getini(name)


#: Of a run, or of its part on one of several engines.
Config = pytest.Config | Part


def whole(config: Config) -> pytest.Config:
    """Give pytest's own configuration."""
    return config.config if isinstance(config, Part) else config


def parts_of(config: pytest.Config) -> list[pytest.Config] | list[Part]:
    """Give the parts of a run in this process: itself, but where its workers have several engines."""
    return config.stash.get(_PARTS, None) or [config]


def part_for(node: Any) -> Config:
    """Choose the engine of an xdist worker that begins: the first of those that the fewest have."""
    config: pytest.Config = node.config
    if not others(config):
        return config
    if _PARTS not in config.stash:
        config.stash[_PARTS] = _those_that_answer(config, [Part(config, each) for each in _options.hosts(config)])
    parts = config.stash[_PARTS]
    part = min(parts, key=lambda each: len(each.workers))
    part.workers.add(str(node.gateway.id))
    node.workerinput[_HOST] = part.host
    return part


def _those_that_answer(config: pytest.Config, parts: list[Part]) -> list[Part]:
    """Leave out engines that do not answer: their workers would fail at once, and take the tests of the others."""
    from pytest_dockerkit._runtime.elsewhere import why_silent

    reasons = {part.host: why_silent(part.host) for part in parts}
    if all(reasons.values()):
        # As where there is one alone: each test that needs it says so.
        return parts
    config.stash[_LEFT_OUT] = [f"{host} was not used: {reason}" for host, reason in reasons.items() if reason]
    return [part for part in parts if not reasons[part.host]]


def left_out(config: pytest.Config) -> list[str]:
    """Say which engines have got no workers, and why."""
    return config.stash.get(_LEFT_OUT, [])


def part_without(config: pytest.Config, worker: str) -> Config:
    """Give the part that a worker has belonged to, which has ended."""
    for part in config.stash.get(_PARTS, []):
        if worker in part.workers:
            part.workers.remove(worker)
            return part
    return config


def header(config: pytest.Config) -> list[str]:
    """Say which of several engines are used."""
    hosts = _options.hosts(config)
    if len(hosts) < 2:
        return []
    if config.pluginmanager.hasplugin("dsession"):
        return [f"dockerkit: the workers are dealt to {len(hosts)} engines: {', '.join(hosts)}"]
    return [f"dockerkit: of {len(hosts)} engines the first is used, {hosts[0]}; pytest -n {len(hosts)} uses all"]


def host_of(config: Config) -> str | None:
    """Give the address of the engine: of a part's, of a worker's, or else the first that is given."""
    if isinstance(config, Part):
        return config.host
    given: str | None = getattr(config, "workerinput", {}).get(_HOST)
    return given or next(iter(_options.hosts(config)), None)


def others(config: Config) -> tuple[str, ...]:
    """Give the addresses of the other engines that the run has."""
    mine = host_of(config)
    return tuple(each for each in _options.hosts(whole(config)) if each != mine)
