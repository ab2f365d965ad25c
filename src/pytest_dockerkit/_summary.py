"""The end of a run: what is left is removed, and what was done is told in a line."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._runtime import clearing, ledger
from pytest_dockerkit._runtime.handover import NotHandedOverError
from pytest_dockerkit._runtime.keeper import STAYS
from pytest_dockerkit._units import show_bytes
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_dockerkit._runtime.session import Session


#: What can become of an image, the most telling first: what one worker has built is in the cache for the others.
#: "present" is a reference that was on the engine before.
_WORDS = {"built": "built", "pulled": "pulled", "copied": "copied", "cached": "cached", "present": "cached"}

_NOTHING = "nothing was made"


def finish_all(
    ended: Sequence[tuple[Session, str | None]], left_out: Sequence[str], *, verbose: bool
) -> tuple[list[str], bool]:
    """Finish the run on each of its engines, one after the other.

    Args:
        ended: the run, and why nothing of it is kept for the next one that was to be; once for each engine.
        left_out: what is to be said of engines that were not used.
        verbose: whether each image gets a line of its own.

    Returns:
        the lines to show, each with its engine where there are several; and whether something could not be removed.
    """
    told = [(session, finish(session, verbose=verbose, not_kept=why)) for session, why in ended]
    several = any(session.settings.pool for session, _ in told)
    lines = [f"{session.settings.host}: {line}" if several else line for session, (said, _) in told for line in said]
    return [*lines, *left_out], any(left for _, (_, left) in told)


def finish(session: Session, *, verbose: bool = False, not_kept: str | None = None) -> tuple[list[str], bool]:
    """Remove what any process of the run has left, and tell what was done.

    Args:
        session: the run.
        verbose: whether each image gets a line of its own.
        not_kept: why nothing is kept for the next run that was to be; None if that is not so.

    Returns:
        the lines to show, and whether something could not be removed.
    """
    if not session.has_made_anything:
        return [], False
    lines = list(ledger.read(session.directory))
    images = _images(lines) if verbose else []
    # What is noted with a sentence of its own, by whichever process, is told once.
    sentences = list({(line["what"], line["name"]): line["told"] for line in lines if "told" in line}.values())
    if not_kept is not None:
        sentences.append(not_kept)
    told = _told(lines)
    sentences += _kept_for_a_look(session, lines)
    left = 0
    try:
        left = clearing.leave_kept(session)
    except (DockerkitError, OSError) as failure:
        sentences.append(f"what is kept for the next run could not be put in order: {failure}")
    try:
        try:
            handed_over = session.handover.complete()
        except NotHandedOverError as failure:
            handed_over = False
            sentences.append(f"pytest has waited for the removals, and not handed them over: {failure}")
        if not handed_over:
            session.undo_all()
    except DockerkitError as failure:
        return [*images, told, *sentences, *str(failure).splitlines()], True
    if not handed_over:
        with contextlib.suppress(OSError):
            # What is left then is an empty ledger.
            session.forget()
    ended = "being removed in the background" if handed_over else "all removed"
    if any(line["do"] == "keep" for line in lines):
        ended = f"all else {ended.removeprefix('all ')}"
    if left:
        kept = f"{left} {'container' if left == 1 else 'containers'} kept for the next run"
        ended = f"{kept}, all else {ended.removeprefix('all ').removeprefix('else ')}"
    return [*images, told if told == _NOTHING else f"{told}; {ended}, images kept", *sentences], False


def show(reporter: pytest.TerminalReporter, told: tuple[list[str], bool] | None) -> None:
    """Write the lines below the tests' own."""
    lines, left = told or ([], False)
    if not lines:
        return
    reporter.write_sep("=", "dockerkit", red=left)
    for line in lines:
        reporter.write_line(line, red=left)


def _images(lines: list[dict[str, Any]]) -> list[str]:
    """Write a line for each image: `built   api (target web)   12.3 s    82 MB`."""
    found: dict[str, dict[str, Any]] = {}
    for what in _WORDS:
        for line in lines:
            if line["do"] == "note" and line["what"] == what and line["name"] not in found:
                found[line["name"]] = line
    rows = [
        (
            _WORDS[line["what"]],
            str(line.get("title", line["name"])),
            f"{line['seconds']:.1f} s" if "seconds" in line else "",
            show_bytes(line["bytes"]) if "bytes" in line else "",
        )
        for line in found.values()
    ]
    # Where nothing was built or pulled, nothing has taken any time.
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    aligned = "<<>>"
    return [
        "   ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, aligned, widths, strict=False)).rstrip()
        for row in zip(*columns, strict=True)
    ]


def _kept_for_a_look(session: Session, lines: list[dict[str, Any]]) -> list[str]:
    """Write the commands to look into what stays, and to remove it; what the next run would meet is stopped."""
    kept = {(line["kind"], line["name"]): line for line in lines if line["do"] == "keep"}
    containers = {name: line for (kind, name), line in kept.items() if kind == "container"}
    notes = [line for line in lines if line["do"] == "note" and line["what"] == STAYS]
    taken = {line["name"]: line for line in notes if line["name"] not in containers}
    if not kept and not taken:
        return []
    import shlex

    from pytest_dockerkit._runtime import keepsakes

    host, context = session.settings.host, session.settings.context
    docker = "docker" + (f" -H {shlex.quote(host)}" if host else f" -c {shlex.quote(context)}" if context else "")
    shown: list[str] = []
    if kept:
        shown += ["", "kept for you to look at, until `dockerkit prune` or for a day:"]
        shown += _ways_in(session, containers, docker)
        shown += ["  to remove all of it: dockerkit prune, or", f"    {keepsakes.removal([*kept], docker)}"]
    if ways := _ways_in(session, taken, docker):
        shown += ["", "kept for the next run, which takes it as it is:", *ways]
    return shown


def _ways_in(session: Session, containers: dict[str, dict[str, Any]], docker: str) -> list[str]:
    """Write what containers that stay are, and the commands to look into them."""
    from pytest_dockerkit._runtime import keepsakes

    said: dict[str, str] = {}
    for name, line in containers.items():
        with contextlib.suppress(DockerkitError):
            if line.get("stops"):
                session.engine.containers.stop(name, 1)
            state = session.engine.containers.inspect(name)["State"]
            said[name] = state["Status"] if state["Running"] else f"{state['Status']} ({state['ExitCode']})"
    running = {name for name, state in said.items() if state == "running"}
    shown: list[str] = []
    for name, each in keepsakes.commands([*said], running, docker).items():
        line = containers[name]
        shown.append(f"  {line['alias']} ({line['image']}), {said[name]}, of {line['test']}")
        shown += [f"    {command}" for command in each]
    return shown


def _told(lines: list[dict[str, Any]]) -> str:
    images: dict[str, dict[str, None]] = {"built": {}, "pulled": {}, "copied": {}, "cached": {}, "started": {}}
    for line in lines:
        if line["do"] == "note":
            images.setdefault(line["what"], {})[line["name"]] = None
    made = Counter(line["kind"] for line in lines if line["do"] == "make")
    built = len(images["built"])
    # An image that one worker has built is taken from the cache by the others.
    cached = len([name for name in images["cached"] if name not in images["built"] and name not in images["copied"]])
    parts = []
    if built or cached:
        parts.append(f"images: {built} built, {cached} from cache")
    parts += [f"{len(images[what])} {what}" for what in ("pulled", "copied") if images[what]]
    if reused := len(images.get("reused", ())):
        parts.append(f"{reused} {'container' if reused == 1 else 'containers'} reused")
    made["container"] = len(images["started"])
    parts += [
        f"{made[kind]} {kind}{'s' if made[kind] != 1 else ''}"
        for kind in ("service", "container", "network", "volume")
        if made[kind]
    ]
    return ", ".join(parts) or _NOTHING
