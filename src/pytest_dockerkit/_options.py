"""The options of the command line, each of which is also a variable of the environment and a line of the ini file.

Every run imports this module: whatever is heavy is imported where it is needed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_dockerkit._parts import Config

#: What stands between two addresses; a path in one of them may have spaces.
_BETWEEN = r"\s+(?=[a-z]+://)"

#: Options that are on or off, and what they say.
FLAGS = {
    "rebuild": "build every image once more",
    "reuse": "keep containers of the session for the next run, and take those that a run before has kept",
}
#: name, default, choices, help.
OPTIONS: tuple[tuple[str, str | None, tuple[str, ...] | None, str], ...] = (
    (
        "host",
        None,
        None,
        "address of the Docker engine, such as ssh://user@host; several, one by one, are dealt to xdist's workers",
    ),
    ("context", None, None, "docker context to use in place of the active one"),
    (
        "pull",
        "missing",
        ("missing", "always", "never", "locked"),
        "when images are pulled, where a spec does not say; locked holds to the digests in dockerkit.lock",
    ),
    ("builder", "auto", ("auto", "buildx", "buildkit", "classic"), "what builds images"),
    ("mirrors", None, None, "registries to ask first, such as docker.io=mirror.example.com/hub, separated by spaces"),
    ("image-registry", None, None, "where built images are shared between machines, such as registry.example.com/ci"),
    ("image-push", "never", ("never", "always"), "whether what was built is pushed to the image registry"),
    (
        "subnets",
        None,
        None,
        "pools that networks have their subnets from, such as base=10.213.0.0/16,size=24 (the default); or engine",
    ),
    (
        "progress",
        "auto",
        ("auto", "live", "plain", "off"),
        "how a build or pull of more than two seconds is shown: a line that changes, or lines that stay",
    ),
    ("prefetch", "on", ("on", "off"), "whether what the tests want is made in the background, before they ask"),
    ("max-containers", None, None, "how many containers there may be at once, over all xdist workers"),
    (
        "teardown",
        "wait",
        ("wait", "handover"),
        "whether pytest waits at its end until all is removed, or hands that over to a process of its own",
    ),
    ("reuse-lifetime", "12h", None, "for how long what --dockerkit-reuse keeps stays after it was last used"),
    (
        "keep",
        "never",
        ("never", "failed", "always"),
        "whether containers of failed tests, or of all, stay for you to look at",
    ),
    (
        "swarm",
        "join",
        ("join", "init"),
        "whether services need a swarm that is there, or one is made for the run and left again",
    ),
    (
        "missing-engine",
        "fail",
        ("fail", "skip"),
        "what becomes of tests with containers when no engine answers",
    ),
    (
        "missing-capability",
        "fail",
        ("fail", "skip"),
        "what becomes of tests that want what the engine, or the kernel below it, cannot do",
    ),
)


def option(config: Config, name: str) -> str | None:
    """Read an option: command line, then environment, then ini file, then its default."""
    key = f"dockerkit_{name.replace('-', '_')}"
    default = next((each[1] for each in OPTIONS if each[0] == name), None)
    given = config.getoption(key) or os.environ.get(key.upper()) or config.getini(key) or default
    return None if given is None else str(given)


def flag(config: Config, name: str) -> bool:
    """Read an option that is on or off."""
    said = os.environ.get(f"DOCKERKIT_{name.upper()}", "").lower() in ("1", "true", "yes", "on")
    return bool(config.getoption(f"dockerkit_{name}") or said or config.getini(f"dockerkit_{name}"))


def hosts(config: Config) -> tuple[str, ...]:
    """Read the addresses of the engines, each once: command line, then environment, then ini file."""
    import re

    given = config.getoption("dockerkit_host")
    if not isinstance(given, list):
        said = given or os.environ.get("DOCKERKIT_HOST") or config.getini("dockerkit_host") or ""
        given = re.split(_BETWEEN, said)
    return tuple(dict.fromkeys(each.strip() for each in given if each.strip()))
