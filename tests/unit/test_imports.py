"""What a run with one plain container imports: whatever it does not need is left for where it is needed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: All that such a run goes through.
PATH = "import pytest, pytest_dockerkit.plugin, pytest_dockerkit._prefetch, pytest_dockerkit._runtime.session"

#: Of others, each with what does need it.
OTHERS = {
    "difflib": "words that are wrong",
    "docker": "what streams",
    "filelock": "locks between processes",
    "hmac": "secrets",
    "http": "probes of HTTP",
    "requests": "what streams",
    "ssl": "probes of HTTPS",
    "tarfile": "files into and out of containers",
    "tomllib": "declared images and the lock file",
    "urllib3": "what streams",
    "xdist": "several processes",
}

#: Our own, each with what does need it.
OURS = {
    "_commands": "the command line",
    "_engine.build_request": "builds",
    "_engine.builders": "builds",
    "_engine.context": "builds",
    "_engine.context_size": "builds",
    "_engine.registry": "pulls",
    "_runtime.builds": "builds",
    "_runtime.capacity": "bounds",
    "_runtime.files": "files into and out of containers",
    "_runtime.image_config": "what an image says of itself",
    "_runtime.keeping": "containers that are kept for the next run",
    "_runtime.kit": "the `dockerkit` fixture",
    "_runtime.once": "`Image.run`",
    "_runtime.records": "several processes",
    "_runtime.registries": "pulls",
    "_runtime.results": "exec and measurements",
    "_runtime.room": "bounds",
    "_runtime.shared": "several processes",
    "_spec.declared": "declared images",
    "_spec.dockerfile": "builds",
    "_spec.instructions": "builds",
    "_spec.lockfile": "the lock file",
    "_spec.words": "builds",
}


@pytest.fixture(scope="module")
def imported() -> frozenset[str]:
    """The modules of a new process that has imported that path."""
    script = f"{PATH}; import json, sys; print(json.dumps([*sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return frozenset(json.loads(ran.stdout))


def test_what_a_plain_container_does_not_need_is_left_out(imported: frozenset[str]) -> None:
    named = OTHERS | {f"pytest_dockerkit.{name}": why for name, why in OURS.items()}
    assert {name: why for name, why in named.items() if name in imported} == {}


def test_what_is_left_out_is_there(imported: frozenset[str]) -> None:
    """Else a module that was renamed would count as left out for ever."""
    script = f"import {', '.join(f'pytest_dockerkit.{name}' for name in OURS)}"
    subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"pytest_dockerkit.plugin", "pytest_dockerkit._runtime.session"} <= imported
