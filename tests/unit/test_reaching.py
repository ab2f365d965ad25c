"""What one container connects to another one with."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_dockerkit._runtime.reaching import _TRY

if TYPE_CHECKING:
    from pathlib import Path


def outcome(path: Path, port: int) -> tuple[int, str]:
    done = subprocess.run(
        [shutil.which("sh") or "sh", "-c", _TRY, "sh", "127.0.0.1", str(port), "2"],
        env={"PATH": str(path)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize("tools", [("python3",), ("nc", "true"), ("bash", "timeout"), ("perl",)], ids=" ".join)
def test_each_tool_tells_what_is_reached(tmp_path: Path, tools: tuple[str, ...]) -> None:
    for tool in tools:
        found = sys.executable if tool == "python3" else shutil.which(tool)
        if found is None:
            pytest.skip(f"this machine has no {tool}")
        (tmp_path / tool).write_text(f'#!/bin/sh\nexec {shlex.quote(found)} "$@"\n', encoding="utf-8")
        (tmp_path / tool).chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert outcome(tmp_path, port) == (0, "reached")
    code, said = outcome(tmp_path, port)
    assert code == 0
    assert "reached" not in said
    assert "refused" in said.lower() or tools[0] == "nc"


def test_who_has_nothing_to_connect_with_says_so(tmp_path: Path) -> None:
    assert outcome(tmp_path, 1) == (127, "")
