"""Commands that build: what they print, and that they end whatever happens."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit._engine.builders import process
from pytest_dockerkit._engine.builders.process import Commands, lines
from pytest_dockerkit._poll import Look, until_ready
from pytest_dockerkit.errors import EngineError

ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath}


def shell(text: str) -> list[str]:
    return ["/bin/sh", "-c", text]


def lives(pid: str) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return re.search(r"^State:\s+[ZX]", status, re.MULTILINE) is None


def test_its_lines_come_as_they_are_and_its_exit_code_afterwards() -> None:
    argv = shell("printf 'one\\r\\n\\ntwo' ; echo three >&2; exit 4")
    with Commands().running(argv, environment=ENVIRONMENT, stdin=subprocess.DEVNULL) as child:
        assert list(lines(child)) == [b"one\r", b"", b"twothree"]
    assert child.returncode == 4


def test_it_reads_what_it_is_given_and_sees_no_other_variables(tmp_path: Path) -> None:
    (tmp_path / "given").write_text("given\n", encoding="utf-8")
    with (
        (tmp_path / "given").open("rb") as given,
        Commands().running(shell("cat; env"), environment={"A": "b"}, stdin=given) as child,
    ):
        # A shell adds some of its own.
        seen = {line for line in lines(child) if not line.startswith((b"PWD=", b"SHLVL=", b"_=", b"OLDPWD="))}
    assert seen == {b"given", b"A=b"}


def test_one_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    commands = Commands()
    with (
        pytest.raises(EngineError) as caught,
        commands.running([str(tmp_path / "nothing")], environment=ENVIRONMENT, stdin=subprocess.DEVNULL),
    ):
        pass
    assert caught.value.what == f"{tmp_path}/nothing cannot be started"


@pytest.mark.parametrize("stubborn", [False, True])
def test_whatever_happens_it_ends_with_all_that_it_has_started(
    monkeypatch: pytest.MonkeyPatch, *, stubborn: bool
) -> None:
    monkeypatch.setattr(process, "PATIENCE_S", 0.2)
    trap = "trap '' TERM; " if stubborn else ""
    argv = shell(f"{trap}sleep 1000 & echo $$ $!; while :; do echo more; wait; done")
    pids: list[bytes] = []

    def interrupted() -> None:
        with Commands().running(argv, environment=ENVIRONMENT, stdin=subprocess.DEVNULL) as child:
            pids.extend(next(lines(child)).split())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(pids) == 2
    assert until_ready(lambda: Look(not any(lives(pid.decode()) for pid in pids)), timeout_s=30).ready


def test_another_thread_can_let_all_end() -> None:
    commands = Commands()
    begun = threading.Event()
    codes: list[int] = []

    def wait() -> None:
        argv = shell("echo begun; exec sleep 1000")
        with commands.running(argv, environment=ENVIRONMENT, stdin=subprocess.DEVNULL) as child:
            for _ in lines(child):
                begun.set()
        codes.append(child.returncode)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert begun.wait(30)
    commands.end()
    waiting.join(30)
    assert codes == [-15]
    commands.end()


def test_after_the_end_none_begins(tmp_path: Path) -> None:
    commands = Commands()
    commands.end()
    with (
        pytest.raises(EngineError, match="no build begins any more"),
        commands.running(shell(f"touch {tmp_path}/began"), environment=ENVIRONMENT, stdin=subprocess.DEVNULL),
    ):
        pass
    assert not (tmp_path / "began").exists()


def test_one_that_begins_while_all_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not yet known when the others are told."""
    commands = Commands()
    begun: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def begin(*args: Any, **fields: Any) -> subprocess.Popen[bytes]:
        begun.append(popen(*args, **fields))
        commands.end()
        return begun[0]

    monkeypatch.setattr(subprocess, "Popen", begin)
    with (
        pytest.raises(EngineError, match="no build begins any more"),
        commands.running(shell("exec sleep 1000"), environment=ENVIRONMENT, stdin=subprocess.DEVNULL),
    ):
        pytest.fail("the block is not entered")
    assert begun[0].returncode == -15
