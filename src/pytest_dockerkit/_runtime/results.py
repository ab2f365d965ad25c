"""What is measured and read: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ExecResult:
    """What a command in a container left behind.

    Attributes:
        exit_code: its exit code.
        stdout_bytes: what it printed to standard output.
        stderr_bytes: what it printed to standard error.
    """

    exit_code: int
    stdout_bytes: bytes
    stderr_bytes: bytes

    @property
    def stdout(self) -> str:
        """Its standard output as UTF-8 text; what cannot be decoded is replaced."""
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stderr(self) -> str:
        """Its standard error as UTF-8 text; what cannot be decoded is replaced."""
        return self.stderr_bytes.decode(errors="replace")


@dataclass(frozen=True)
class RunResult(ExecResult):
    """What a container left behind that was run to its end.

    Attributes:
        seconds: how long it ran, from its start to its end by the engine's clock.
    """

    seconds: float


@dataclass(frozen=True)
class Stats:
    """What a container uses at this moment.

    Attributes:
        cpu_percent: of one core, over about the last second.
        memory_bytes: used memory in bytes, without the file cache.
        peak_memory_bytes: the most it has used, in bytes; None where the kernel does not tell the engine
            (cgroup v2).
        pids: how many processes and threads it has.
    """

    cpu_percent: float
    memory_bytes: int
    peak_memory_bytes: int | None
    pids: int


@dataclass(frozen=True)
class Sight:
    """What a container was, and had said, at one moment.

    Attributes:
        state: the `State` of its description.
        health: its health, or None without a health check.
        log: its last lines.
    """

    state: Mapping[str, Any]
    health: str | None
    log: str


@dataclass(frozen=True)
class Limits:
    """The caps that the engine holds a container to; None where there is none.

    Attributes:
        cpus: in cores.
        memory_bytes: in bytes.
        memory_swap_bytes: memory and swap together, in bytes; -1 for no limit.
        pids: processes and threads.
        shm_bytes: size of /dev/shm in bytes.
        ulimits: soft and hard limits by name.
    """

    cpus: float | None
    memory_bytes: int | None
    memory_swap_bytes: int | None
    pids: int | None
    shm_bytes: int | None
    ulimits: Mapping[str, tuple[int, int]]


def stats_of(measured: Mapping[str, Any]) -> Stats:
    """Give what the engine has measured of a container, as people count it."""
    memory = measured.get("memory_stats") or {}
    cache = memory.get("stats") or {}
    inactive = cache.get("total_inactive_file", cache.get("inactive_file", 0))
    return Stats(
        cpu_percent=_cpu_percent(measured),
        memory_bytes=max(0, memory.get("usage", 0) - inactive),
        peak_memory_bytes=memory.get("max_usage"),
        pids=(measured.get("pids_stats") or {}).get("current") or 0,
    )


def _cpu_percent(measured: Mapping[str, Any]) -> float:
    """Give how much of one core was used between the two moments that the engine has measured, in percent."""
    now, before = measured.get("cpu_stats") or {}, measured.get("precpu_stats") or {}
    used = now.get("cpu_usage", {}).get("total_usage", 0) - before.get("cpu_usage", {}).get("total_usage", 0)
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cores = now.get("online_cpus") or 1
    return 100.0 * cores * used / passed if passed > 0 and used > 0 else 0.0
