"""What the user has set for a run, and what of it xdist's controller hands down.

Every run imports this module: whatever is heavy is imported where it is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit import _workers
from pytest_dockerkit._options import OPTIONS, flag, option
from pytest_dockerkit._parts import host_of, others

if TYPE_CHECKING:
    from pytest_dockerkit._parts import Config
    from pytest_dockerkit._runtime.settings import Settings

_SETTINGS = pytest.StashKey["Settings"]()


def engine_of(config: Config) -> tuple[str | None, ...]:
    """Give what the options say of the engine."""
    return host_of(config), option(config, "context")


def handed_down(config: Config, key: str) -> str | None:
    """Give what the controller has handed down to this process; None in one that stands by itself."""
    return _workers.handed_down(config, key, engine_of(config))


def settings(config: Config) -> Settings:
    """Give what the user has set, as it was when pytest began: tests change the environment."""
    from pytest_dockerkit._runtime.settings import (
        Settings,
        declared_images,
        read_image_registry,
        read_max_containers,
        read_mirrors,
        read_subnets,
        state_dir,
    )
    from pytest_dockerkit._units import parse_seconds

    if _SETTINGS not in config.stash:
        # Of the controller, whose business it is to clear up after its workers.
        given = handed_down(config, "state")
        config.stash[_SETTINGS] = Settings(
            host=host_of(config),
            pool=others(config),
            context=option(config, "context"),
            pull=option(config, "pull") or "missing",
            builder=option(config, "builder") or "auto",
            mirrors=read_mirrors(option(config, "mirrors") or ""),
            image_registry=read_image_registry(option(config, "image-registry")),
            image_push=option(config, "image-push") == "always",
            subnets=read_subnets(option(config, "subnets")),
            lock_file=config.rootpath / "dockerkit.lock",
            images=declared_images(config.rootpath),
            rebuild=flag(config, "rebuild"),
            reuse=flag(config, "reuse"),
            reuse_lifetime_s=parse_seconds("dockerkit_reuse_lifetime", option(config, "reuse-lifetime")),
            project=config.rootpath,
            max_containers=read_max_containers(option(config, "max-containers")),
            teardown=option(config, "teardown") or "wait",
            swarm=option(config, "swarm") or "join",
            keep=option(config, "keep") or "never",
            state_dir=state_dir() if given is None else Path(given),
        )
    return config.stash[_SETTINGS]


def checked(config: Config) -> Settings:
    """Give the settings, once the options and the table of the images have been checked.

    Raises:
        pytest.UsageError: something in them is wrong.
    """
    for name, _, choices, _ in OPTIONS:
        value = option(config, name)
        if choices and value not in choices:
            msg = f"dockerkit_{name.replace('-', '_')} is {value!r}, and has to be one of: {', '.join(choices)}"
            raise pytest.UsageError(msg)
    from pytest_dockerkit.errors import SpecError

    try:
        return settings(config)
    except SpecError as failure:
        raise pytest.UsageError(str(failure)) from None
