"""What an engine that answers can do, what builds on it, and where its user is logged in."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.connect import configuration, place_of
from pytest_dockerkit._engine.finding import NOTE, OK, WRONG, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_dockerkit._engine.base import EngineFacts
    from pytest_dockerkit._engine.daemon import Daemon

Json = dict[str, Any]

#: What caps need of an engine, by its name in `GET /info`. Source: Engine API, SystemInfo.
_CAPS = {
    "MemoryLimit": "memory=",
    "SwapLimit": "memory_swap=",
    "CpuCfsQuota": "cpus=",
    "PidsLimit": "pids=",
}

#: How much an engine should have left where its images lie, in bytes: a build of some size takes that.
_ROOM_BYTES = 1_000_000_000

#: What docker's own hub is called in its configuration. Source: docker/cli, cli/config/configfile.
_HUB = "https://index.docker.io/v1/"


def of_engine(engine: Daemon, host: str | None, context: str | None) -> Iterator[Finding]:
    """Say which engine it is, how it was found, and what it can do.

    Raises:
        EngineError: it does not say what it is.
    """
    facts = engine.facts
    yield Finding("found", f"{facts.host}, {place_of(host, context).how}")
    kind = "Podman" if facts.podman else "Docker"
    yield Finding("version", f"{kind} {facts.version}, API {'.'.join(map(str, facts.api))}, {facts.os}/{facts.arch}")
    yield from of_info(engine.survey.info(), facts)


def of_info(info: Mapping[str, Any], facts: EngineFacts) -> Iterator[Finding]:
    """Say what an engine tells of itself and its machine.

    Args:
        info: its answer to `GET /info`.
        facts: what else is known of it.
    """
    memory = f"{int(info.get('MemTotal') or 0) / 1e9:.0f} GB of memory"
    where = "this machine" if facts.local else str(info.get("Name") or "another machine")
    yield Finding("runs on", f"{where}: {info.get('OperatingSystem', '?')}, {info.get('NCPU', '?')} CPUs, {memory}")
    driver = str(info.get("Driver") or "?")
    slow = driver == "vfs"
    yield Finding(
        "storage driver",
        f"{driver}: each container is a copy of its whole image" if slow else driver,
        NOTE if slow else OK,
        "overlay2, where the file system has it; `docker info` tells the engine's directory" if slow else "",
    )
    rootless = any("rootless" in str(each) for each in info.get("SecurityOptions") or ())
    cgroup = f"version {info.get('CgroupVersion') or '1'}, driver {info.get('CgroupDriver') or '?'}"
    yield Finding("cgroups", cgroup)
    yield Finding("rootless", "yes" if rootless else "no")
    yield from _abilities(info, facts, rootless=rootless)
    yield from (Finding("engine warns", str(each), NOTE) for each in info.get("Warnings") or ())
    yield from _room(info, facts)


def _abilities(info: Mapping[str, Any], facts: EngineFacts, *, rootless: bool) -> Iterator[Finding]:
    missing = [word for key, word in _CAPS.items() if info.get(key) is False]
    if missing:
        mend = "cgroup version 2, with its controllers delegated to your user" if rootless else "see `docker info`"
        yield Finding("caps", f"has none for {', '.join(missing)}", NOTE, mend)
    else:
        yield Finding("caps", "memory, swap, CPU and processes")
    if facts.start_interval:
        yield Finding("start_interval=", "the engine's own")
    else:
        # No test is the slower for it: the plugin looks by itself.
        yield Finding("start_interval=", "not the engine's own (Docker 25.0 has it); the plugin looks by itself")


def _room(info: Mapping[str, Any], facts: EngineFacts) -> Iterator[Finding]:
    if not facts.local:
        return
    try:
        free = shutil.disk_usage(str(info.get("DockerRootDir"))).free
    except OSError:
        # In a virtual machine, or not for this user to see.
        return
    full = free < _ROOM_BYTES
    yield Finding(
        "space for images",
        f"{free / 1e9:.1f} GB left in {info['DockerRootDir']}",
        WRONG if full else OK,
        "`dockerkit prune --images`, `docker system df` tells what else takes it" if full else "",
    )


def of_builders(engine: Daemon) -> Iterator[Finding]:
    """Say which builders there are, and which of them is asked first."""
    from pytest_dockerkit._engine.builders import Ladder
    from pytest_dockerkit._engine.builders.tools import find_tool

    if not isinstance(engine.builder, Ladder):  # pragma: no cover  - a Daemon has no other
        return
    rungs = engine.builder.rungs
    first = next((name for name, absent in rungs if absent is None), None)
    for name, absent in rungs:
        tool = find_tool().tool if name == "buildx" else None
        there = f"there{'' if tool is None else f', version {tool.version} ({tool.argv[0]})'}"
        used = f"{there}; is asked first" if name == first else there
        if absent is None:
            yield Finding(name, used)
        elif len(rungs) == 1:
            yield Finding(name, f"is chosen, and is not there: {absent}", WRONG, "install it, or choose another")
        else:
            mend = "install buildx for build secrets, ssh and caches of every kind" if name == "buildx" else ""
            yield Finding(name, f"not there: {absent}", NOTE, mend)


def of_logins() -> Iterator[Finding]:
    """Say at which registries the user is logged in, and what keeps the passwords; never these themselves."""
    settings = configuration()
    if settings is None:
        yield Finding(
            "configuration",
            "docker's configuration file cannot be read, or is not JSON",
            WRONG,
            "correct ~/.docker/config.json, or the one in DOCKER_CONFIG",
        )
        return
    helpers = _mapping(settings.get("credHelpers"))
    hosts = dict.fromkeys([*_mapping(settings.get("auths")), *helpers])
    yield Finding("logged in at", ", ".join(_host(each) for each in hosts) or "no registry")
    stores = dict.fromkeys(str(each) for each in (settings.get("credsStore"), *helpers.values()) if each)
    for store in stores:
        program = f"docker-credential-{store}"
        if shutil.which(program) is None:
            yield Finding(
                "passwords",
                f"are kept by {program}, which is not there",
                WRONG,
                "install it; or take it out of docker's configuration (credsStore, credHelpers), and log in anew",
            )
        else:
            yield Finding("passwords", f"are kept by {program}")


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _host(key: str) -> str:
    """Write a registry as people know it; some clients write a user's name, and even a password, into the address."""
    if key == _HUB:
        return "docker.io"
    return key.partition("://")[2].rpartition("@")[2] if "://" in key else key.rpartition("@")[2]
