"""P1: what importing the plugin adds to pytest, and what it brings with it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field

from bench.contestants import version

_CODE = """
import json, sys, time
import pytest
before = set(sys.modules)
begin = time.perf_counter()
import {module}
taken = time.perf_counter() - begin
new = set(sys.modules) - before
print(json.dumps([taken * 1000, len(new), sorted({{"docker", "requests", "urllib3"}} & new)]))
"""

#: What is imported when the plugin is active, by contestant, and its distribution.
MODULES = {
    "ours": ("pytest_dockerkit.plugin", "pytest-dockerkit"),
    "docker-py": ("docker", "docker"),
    "pytest-docker": ("pytest_docker", "pytest-docker"),
    "pytest-docker-tools": ("pytest_docker_tools.plugin", "pytest-docker-tools"),
    "pytest-container": ("pytest_container.plugin", "pytest-container"),
    "testcontainers": ("testcontainers.core.container", "testcontainers"),
}


@dataclass
class Import:
    """What importing takes, in milliseconds, and what it brings."""

    label: str
    ms: list[float] = field(default_factory=list)
    modules: int = 0
    heavy: tuple[str, ...] = ()
    reason: str | None = None


def measure_imports(rounds: int) -> list[Import]:
    """Import each contestant's plugin in processes of its own."""
    found = {label: Import(label) for label in MODULES}
    # The first import of each writes its bytecode.
    for number in range(rounds + 1):
        for label, (module, package) in MODULES.items():
            if version(package) is None:
                found[label].reason = "not run: not installed"
                continue
            ended = subprocess.run(
                [sys.executable, "-c", _CODE.format(module=module)], capture_output=True, text=True, check=False
            )
            if ended.returncode != 0:
                found[label].reason = f"failed: {ended.stderr.strip().splitlines()[-1]}"
                continue
            ms, found[label].modules, heavy = json.loads(ended.stdout)
            found[label].heavy = tuple(heavy)
            if number:
                found[label].ms.append(ms)
    return list(found.values())
