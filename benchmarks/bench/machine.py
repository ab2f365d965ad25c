"""What was measured where: the machine and the versions, for whoever reads the figures."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.contestants import CONTESTANTS, compose_version, version
from bench.raw import Engine


def describe() -> list[str]:
    """Give lines that say it."""
    about = Engine().call("GET", "/info")
    packages = ["pytest", "pytest-xdist", *sorted({each.package for each in CONTESTANTS.values() if each.package})]
    versions = [f"{name} {found}" for name in packages if (found := version(name)) is not None]
    compose = compose_version()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        (
            f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores ({_processor()}), {memory:.0f} GB of memory, "
            f"{about['OperatingSystem']}, Linux {about['KernelVersion']}"
        ),
        f"Docker {about['ServerVersion']} ({about['Driver']}, cgroup v{about.get('CgroupVersion', '1')})"
        + (f", compose {compose}" if compose else ", no compose"),
        f"Python {platform.python_version()}, {', '.join(versions)}",
    ]


def command() -> str:
    """Give the command that was run."""
    return " ".join(["python", "benchmarks/run.py", *sys.argv[1:]])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
