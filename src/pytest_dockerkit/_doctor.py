"""What `dockerkit doctor` does: says what there is to test with, and what would mend what is wrong."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from pytest_dockerkit import _run
from pytest_dockerkit._engine.checkup import of_builders, of_engine, of_logins
from pytest_dockerkit._engine.finding import NOTE, OK, WRONG, Finding
from pytest_dockerkit._engine.looked_at import look_around, none_answers
from pytest_dockerkit._runtime import checkup
from pytest_dockerkit._runtime.sweeping import left_by_dead_runs, still_there
from pytest_dockerkit.errors import DockerkitError, EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pytest

    from pytest_dockerkit._runtime.session import Session

#: Whose versions matter.
_PACKAGES = ("pytest-dockerkit", "pytest", "docker", "filelock", "pytest-xdist")


def examine(config: pytest.Config, *, as_json: bool) -> int:
    """Print what was found.

    Args:
        config: the settings.
        as_json: whether a program reads it.

    Returns:
        the exit code: 1 if anything is wrong.
    """
    session = _run.session_of(config)
    try:
        found = _examined(session)
    finally:
        session.close()
    wrong = sum(each.verdict == WRONG for findings in found.values() for each in findings)
    if as_json:
        said = {part: [each._asdict() for each in findings] for part, findings in found.items()}
        json.dump({"ok": not wrong, "found": said}, sys.stdout, indent=2)
        print()
    else:
        _print(found, wrong)
    sys.stdout.flush()
    return 1 if wrong else 0


def _examined(session: Session) -> dict[str, list[Finding]]:
    """Give the findings, part by part; what goes wrong in one part is a finding, and stops none of the others."""
    settings = session.settings
    found: dict[str, list[Finding]] = {}
    answers = False

    def add(part: str, findings: Callable[[], Iterable[Finding]]) -> None:
        mine = found.setdefault(part, [])
        try:
            # What was found before it went wrong stays.
            for each in findings():
                mine.append(each)
        except DockerkitError as failure:
            mine.append(Finding(part, f"{failure.what}: {failure.saw}", WRONG, failure.mend))

    try:
        engine = session.engine
        answers = True
    except EngineUnavailableError as failure:
        found["engine"] = [
            none_answers(failure, settings.host, settings.context),
            *look_around(settings.host, settings.context),
        ]
    if answers:
        add("engine", lambda: of_engine(engine, settings.host, settings.context))
        add("builders", lambda: of_builders(engine))
        add("networks", lambda: _pools(session))
    add("registries", of_logins)
    add("state", lambda: checkup.of_state(settings))
    add("state", lambda: checkup.of_runs(settings, _left(session) if answers else None))
    add("versions", _versions)
    return found


def _pools(session: Session) -> Iterator[Finding]:
    there = session.engine.survey.subnets()
    subnets = [subnet for each in there.values() for subnet in each]
    return checkup.of_pools(session.settings, subnets, local=session.engine.facts.local)


def _left(session: Session) -> tuple[int, int]:
    """Count the dead runs that have left something on the engine, and the things."""
    found = left_by_dead_runs(session.settings, session.keeper.engine, session.engine.labelled)
    there = still_there(session.engine, [entry for each in found for entry in each.entries])
    return sum(not there.keys().isdisjoint(each.entries) for each in found), len(there)


def _versions() -> Iterator[Finding]:
    yield Finding("Python", f"{platform.python_version()} ({platform.platform()})")
    for package in _PACKAGES:
        try:
            yield Finding(package, version(package))
        except PackageNotFoundError:
            yield Finding(package, "not installed")


# What is shown


def _print(found: dict[str, list[Finding]], wrong: int) -> None:
    signs = {OK: "  ", NOTE: "! ", WRONG: "X "}
    width = max(len(each.about) for findings in found.values() for each in findings)
    for part, findings in found.items():
        print(part)
        for each in findings:
            said = each.said.replace("\n", "; ")
            print(f"  {signs[each.verdict]}{each.about:{width}}  {said}")
            if each.mend:
                print(f"    {'':{width}}  mend: {each.mend}")
    notes = sum(each.verdict == NOTE for findings in found.values() for each in findings)
    worth = f"{notes} (!) worth a look" if notes else ""
    said = f"{wrong} (X) wrong" if wrong else "nothing is wrong"
    print(", ".join(filter(None, (said, worth))))
