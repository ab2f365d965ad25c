"""What `dockerkit list` does: shows the runs that live, those that have died, what is kept, and the image cache."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from pytest_dockerkit import _run
from pytest_dockerkit._names import KEPT_LABEL, NAME_LABEL, OWNER_LABEL, RUN_LABEL
from pytest_dockerkit._runtime import keepsakes, kept
from pytest_dockerkit._runtime.owner import owner_of
from pytest_dockerkit._runtime.runs import age_s, known_runs
from pytest_dockerkit._tables import show_age, write_table
from pytest_dockerkit._units import show_bytes
from pytest_dockerkit.errors import DockerkitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pytest

    from pytest_dockerkit._engine.labelled import Labelled
    from pytest_dockerkit._engine.survey import CachedImage
    from pytest_dockerkit._runtime.session import Session

#: What a group of things is: of a run that goes on, of one that does not, of `--dockerkit-reuse` or of
#: `--dockerkit-keep`.
RUNNING, DEAD, FOR_REUSE, FOR_A_LOOK = "running", "dead", "kept for the next run", "kept for a look"


@dataclass
class Thing:
    """A container, network or volume.

    Attributes:
        kind: which of them.
        name: its name on the engine.
        alias: what a test knows it by; empty where it has no such name.
        image: what a container's image is called; empty of all else.
        state: what a container does; empty of all else.
        age_s: how old it is, in seconds; None where the engine does not say.
        size_bytes: how much a container has written, or a volume holds; None where the engine does not say it soon.
    """

    kind: str
    name: str
    alias: str
    image: str
    state: str
    age_s: float | None
    size_bytes: int | None


@dataclass
class Group:
    """What belongs together.

    Attributes:
        state: what it is.
        run: the id of the run, where it is one's.
        project: the project's directory; empty where nothing says so.
        test: the test that has used it, of what is kept for a look.
        age_s: how long ago the run began, in seconds; None where nothing says so.
        things: what there is of it on the engine.
    """

    state: str
    run: str = ""
    project: str = ""
    test: str = ""
    age_s: float | None = None
    things: list[Thing] = field(default_factory=list)


def show(config: pytest.Config, *, as_json: bool) -> int:
    """Print what there is.

    Args:
        config: the settings.
        as_json: whether a program reads it.

    Returns:
        the exit code.

    Raises:
        EngineUnavailableError: no engine answers.
        EngineError: it does not say what it has.
    """
    session = _run.session_of(config)
    try:
        survey = session.engine.survey
        things = survey.labelled(RUN_LABEL)
        sizes = _volume_sizes(session, things)
        groups, others = _grouped(session, things, sizes)
        images = survey.cached_images()
    finally:
        session.close()
    if as_json:
        said = {
            "engine": survey.facts.host,
            "groups": [asdict(group) for group in groups],
            "images": {"count": len(images), "bytes": sum(each.size_bytes for each in images)},
            "others": {"runs": len({each.labels[RUN_LABEL] for each in others}), "things": len(others)},
        }
        json.dump(said, sys.stdout, indent=2)
        print()
    else:
        _print(groups, images, others)
    return 0


def _volume_sizes(session: Session, things: Iterable[Labelled]) -> Mapping[str, int]:
    if all(each.kind != "volume" for each in things):
        return {}
    try:
        return session.engine.survey.volume_sizes()
    except DockerkitError:
        # It has the names, and that is what matters.
        return {}


def _grouped(
    session: Session, things: Sequence[Labelled], sizes: Mapping[str, int]
) -> tuple[list[Group], list[Labelled]]:
    """Put together what belongs together.

    Returns:
        the groups, those that go on first; and what others have on the same engine.
    """
    settings = session.settings
    owner = owner_of(settings)
    runs = {run.id: run for run in known_runs(settings.state_dir)}
    looked_at = {each.name: each for each in keepsakes.kept_things(settings.state_dir)}
    ours = {entry.name for run in runs.values() for entry in run.entries} | looked_at.keys()
    groups = {
        (run.id, ""): Group(
            RUNNING if run.lives else DEAD, run=run.id, project=run.project, age_s=round(age_s(run.began_at))
        )
        for run in runs.values()
        if run.lives or run.engine in ("", session.keeper.engine)
    }
    others: list[Labelled] = []
    for each in things:
        run_id, project = each.labels[RUN_LABEL], each.labels.get(KEPT_LABEL, "")
        directory = kept.directory_of(settings, project)
        if directory is None and each.name not in ours and owner != each.labels.get(OWNER_LABEL):
            others.append(each)
            continue
        if directory is not None and each.name not in looked_at:
            where = str(kept.about(directory).get("project", ""))
            group = groups.setdefault(("", project), Group(FOR_REUSE, project=where))
        elif each.name in looked_at:
            test = looked_at[each.name].test
            group = groups.setdefault(("", test), Group(FOR_A_LOOK, test=test, run=run_id))
        else:
            group = groups.setdefault((run_id, ""), Group(DEAD, run=run_id))
        group.things.append(_thing(each, sizes))
    order = (RUNNING, DEAD, FOR_REUSE, FOR_A_LOOK)
    return sorted(groups.values(), key=lambda each: (order.index(each.state), each.age_s or 0.0)), others


def _thing(each: Labelled, sizes: Mapping[str, int]) -> Thing:
    size = each.size_bytes if each.kind == "container" else sizes.get(each.name) if each.kind == "volume" else None
    return Thing(
        each.kind,
        each.name,
        each.labels.get(NAME_LABEL, ""),
        each.image,
        each.state,
        None if each.created_at is None else round(age_s(each.created_at)),
        size,
    )


# What is shown


_MEANING = {
    RUNNING: "goes on",
    DEAD: "has died: the next run removes what it has left, and `dockerkit prune` now",
    FOR_REUSE: "kept for the next run (--dockerkit-reuse)",
    FOR_A_LOOK: "kept for you to look at (--dockerkit-keep)",
}


def _print(groups: Sequence[Group], images: Sequence[CachedImage], others: Sequence[Labelled]) -> None:
    rows: list[str | tuple[str, ...]] = []
    shown = [group for group in groups if group.things or group.state != DEAD]
    for group in shown:
        rows.append(_head(group))
        rows += [_row(each) for each in group.things] or ["  nothing on this engine"]
    if shown:
        write_table(("  kind", "name", "image", "state", "age", "size"), rows)
    else:
        print("no run goes on, and none has left anything")
    if empty := len(groups) - len(shown):
        print(f"{'1 run' if empty == 1 else f'{empty} runs'} more that died and left nothing here")
    if images:
        size = show_bytes(sum(each.size_bytes for each in images))
        count = "1 image" if len(images) == 1 else f"{len(images)} images"
        print(f"image cache: {count}, at most {size} (`dockerkit prune --images` removes what no container uses)")
    else:
        print("image cache: empty")
    if others:
        runs = len({each.labels[RUN_LABEL] for each in others})
        whose = "1 run" if runs == 1 else f"{runs} runs"
        what = "1 thing" if len(others) == 1 else f"{len(others)} things"
        print(f"not yours: {what} of {whose} of other users or machines")
    sys.stdout.flush()


def _head(group: Group) -> str:
    parts = [f"run {group.run}" if group.run and group.state in (RUNNING, DEAD) else "", group.project, group.test]
    if group.age_s is not None:
        parts.append(f"begun {show_age(group.age_s)} ago")
    return f"{', '.join(filter(None, parts)) or '?'}: {_MEANING[group.state]}"


def _row(thing: Thing) -> tuple[str, ...]:
    return (
        f"  {thing.kind}",
        thing.alias or thing.name,
        thing.image.removeprefix("sha256:")[:40],
        thing.state,
        "" if thing.age_s is None else show_age(thing.age_s),
        "" if thing.size_bytes is None else show_bytes(thing.size_bytes),
    )
