"""What dead runs have left: whose it is, what of it may go, and what is said of it."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path

import pytest

from pytest_dockerkit._engine.labelled import Labelled
from pytest_dockerkit._names import KEPT_LABEL, OWNER_LABEL, RUN_LABEL
from pytest_dockerkit._runtime import keepsakes, sweeping
from pytest_dockerkit._runtime.alive import Alive
from pytest_dockerkit._runtime.keepsakes import Keepsake
from pytest_dockerkit._runtime.ledger import Entry, Ledger
from pytest_dockerkit._runtime.owner import owner_of
from pytest_dockerkit._runtime.runs import age_s, describe, known_runs
from pytest_dockerkit._runtime.settings import Settings
from pytest_dockerkit._runtime.sweeping import FORGET_S, Leavings, Swept, left_by_dead_runs, remove
from pytest_dockerkit.errors import DockerkitError, EngineError

HERE = "unix:///here.sock"
RUN, OTHER = "0123456789ab", "ba9876543210"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(host=HERE, project=tmp_path / "shop", state_dir=tmp_path / "state")


def begun(settings: Settings, run: str = RUN, *entries: tuple[str, str]) -> Path:
    """Write what a run has made into its ledger."""
    directory = settings.directory("runs", run)
    describe(directory, settings)
    book = Ledger(directory / "main.jsonl")
    for kind, name in entries or (("container", f"dockerkit-{run}-db-1"),):
        book.making(kind, name)
    return directory


def thing(settings: Settings, run: str = RUN, name: str = "", **labels: str) -> Labelled:
    """Give what the engine says of a container of a run."""
    named = {each.replace("_", "."): value for each, value in labels.items()}
    return Labelled("container", name or f"dockerkit-{run}-db-2", {RUN_LABEL: run} | named, 100.0)


def left(settings: Settings, *there: Labelled, engine: str = HERE, except_for: str = "") -> dict[str, list[Entry]]:
    asked: list[tuple[str, str]] = []

    def answer(label: str, value: str) -> list[Labelled]:
        asked.append((label, value))
        return list(there)

    found = left_by_dead_runs(settings, engine, answer, except_for=except_for)
    assert asked == [(OWNER_LABEL, owner_of(settings))]
    return {each.run: each.entries for each in found}


# What is left


def test_what_the_ledger_of_a_dead_run_has_open_is_left(settings: Settings) -> None:
    directory = begun(settings, RUN, ("network", "n"), ("container", "a"), ("container", "b"))
    Ledger(directory / "gw0.jsonl").gone("container", "b")
    Ledger(directory / "gw0.jsonl").keep("network", "n")
    assert left(settings) == {RUN: [Entry("container", "a")]}


def test_what_the_label_alone_tells_of_is_left_too(settings: Settings) -> None:
    """Where the run's directory is gone, or its ledger was torn before the name was whole."""
    begun(settings, RUN)
    found = left(settings, thing(settings), thing(settings, OTHER))
    assert found == {
        RUN: [Entry("container", f"dockerkit-{RUN}-db-1"), Entry("container", f"dockerkit-{RUN}-db-2")],
        OTHER: [Entry("container", f"dockerkit-{OTHER}-db-2")],
    }


def test_a_living_run_has_left_nothing(settings: Settings) -> None:
    """Nor has one of which a worker lives, nor the run that looks."""
    for process in (None, "gw1"):
        directory = begun(settings, RUN)
        alive = Alive(lambda: directory, process)  # noqa: B023  - used at once
        alive.hold()
        assert left(settings, thing(settings)) == {}
        alive.release()
        assert left(settings, thing(settings)) != {}
    assert left(settings, thing(settings), except_for=RUN) == {}


def test_a_run_that_has_just_begun_is_not_dead(settings: Settings) -> None:
    """It has a directory, and not yet the lock that shows that it lives."""
    directory = settings.directory("runs", RUN)
    assert left(settings, thing(settings)) == {}
    os.utime(directory, (time.time() + 5, time.time() + 5))
    assert left(settings) == {}
    os.utime(directory, (1, 1))
    assert left(settings) == {RUN: []}


def test_what_stays_on_purpose_is_not_left(settings: Settings) -> None:
    """For the next run, or for a person to look at."""
    kept = thing(settings, name=f"dockerkit-{RUN}-kept-1", **{KEPT_LABEL: "x"})
    looked_at = thing(settings, name=f"dockerkit-{RUN}-look-1")
    record = Keepsake("container", looked_at.name, HERE, RUN, "test_it", "db", "redis", 1.0)
    keepsakes.record(settings.directory(*keepsakes.PLACE), record)
    begun(settings, RUN, ("container", looked_at.name))
    assert left(settings, kept, looked_at) == {RUN: []}


def test_who_has_the_labels_by_inheritance_is_left_alone(settings: Settings) -> None:
    """As what is started from an image that was committed of a container of a run."""
    for name in ("mine", f"dockerkit-{OTHER}-db-1", "dockerkit-", f"x-dockerkit-{RUN}-db-1"):
        assert left(settings, thing(settings, name=name)) == {}
    assert left(settings, Labelled("container", "dockerkit--db-1", {}, None)) == {}


def test_what_is_on_another_engine_is_for_a_run_there(settings: Settings) -> None:
    """Until nobody has used that engine for a month; the labels tell of it then."""
    directory = begun(settings)
    [elsewhere] = left_by_dead_runs(settings, "unix:///there.sock", lambda *_: ())
    assert (elsewhere.entries, elsewhere.may_go) == ([], False)
    for path in (directory, *directory.iterdir()):
        os.utime(path, (time.time() - FORGET_S - 1,) * 2)
    [elsewhere] = left_by_dead_runs(settings, "unix:///there.sock", lambda *_: ())
    assert (elsewhere.entries, elsewhere.may_go) == ([], True)


# What is broken, or of another version


def test_ledgers_of_other_versions_and_torn_ones_are_read_as_far_as_that_goes(settings: Settings) -> None:
    directory = begun(settings, RUN, ("container", "a"))
    lines = (
        {"do": "make", "kind": "pod", "name": "s"},
        {"do": "renamed", "kind": "container", "name": "a"},
        {"do": "make", "kind": "volume", "name": "v", "size": 3},
        {"do": "make", "kind": "volume"},
        {"do": 7},
        ["make"],
    )
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"do": "make", "kind": "netw'
    (directory / "gw0.jsonl").write_text(text, encoding="utf-8")
    (directory / "gw1.jsonl").write_bytes(b"\xff\xfe\x00\n")
    [found] = left_by_dead_runs(settings, HERE, lambda *_: ())
    assert sorted(found.entries) == [Entry("container", "a"), Entry("volume", "v")]
    # A newer version knows what to do with the rest.
    assert not found.may_go
    found.forget()
    assert directory.is_dir()


def test_a_directory_that_cannot_be_read_stops_nothing(settings: Settings) -> None:
    (settings.directory("runs", OTHER) / "main.jsonl").mkdir()
    (settings.directory("runs") / "a file").write_text("x", encoding="utf-8")
    begun(settings, RUN)
    assert [*left(settings)] == [RUN]


def test_without_a_state_directory_there_are_no_runs(tmp_path: Path) -> None:
    assert list(known_runs(tmp_path / "nowhere")) == []


def test_what_a_directory_says_of_its_run(settings: Settings) -> None:
    directory = begun(settings)
    [run] = known_runs(settings.state_dir)
    assert (run.id, run.project, run.engine, run.lives) == (RUN, str(settings.project), HERE, False)
    assert abs(run.began_at - time.time()) < 3600
    (directory / "about.json").write_text("[]", encoding="utf-8")
    [run] = known_runs(settings.state_dir)
    assert (run.project, run.engine) == ("", "")


def test_an_age_is_never_below_zero() -> None:
    assert age_s(time.time() + 3600) == 0.0
    assert age_s(time.time() - 3600) >= 3600


# Whose it is


def test_an_owner_is_a_user_on_a_machine_with_a_state_directory(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = owner_of(settings)
    assert mine is not None
    assert owner_of(settings) == mine
    found = {mine, owner_of(Settings(state_dir=tmp_path / "other"))}
    with monkeypatch.context() as other:
        other.setattr(platform, "node", lambda: "another")
        found.add(owner_of(settings))
    # Two machines with one name and one path, as containers have them: what is in the file differs.
    (settings.state_dir / "owner").unlink()
    found.add(owner_of(settings))
    # A crash of the machine has left it empty.
    (settings.state_dir / "owner").write_bytes(b"")
    found.add(owner_of(settings))
    assert len(found) == 5
    assert None not in found
    assert [each.name for each in settings.state_dir.iterdir()] == ["owner"]


def test_where_the_owner_cannot_be_told_nothing_is_found_by_label(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings.directory() / "owner").mkdir()
    assert owner_of(settings) is None
    begun(settings)
    found = left_by_dead_runs(settings, HERE, lambda *_: pytest.fail("it asks for all labels"))
    assert [each.run for each in found] == [RUN]


# Removing


def test_one_that_cannot_be_removed_stops_none_of_the_others_and_is_told_once(settings: Settings) -> None:
    first = begun(settings, OTHER, ("container", "a"), ("volume", "held"), ("network", "was gone before"))
    second = begun(settings, RUN, ("container", "b"))
    refusal = EngineError("the engine could not remove it", saw="in use")

    def carry_out(entry: Entry) -> bool:
        if entry.name == "held":
            raise refusal
        return "gone" not in entry.name

    def sweep() -> Swept:
        return remove(left_by_dead_runs(settings, HERE, lambda *_: ()), carry_out)

    swept = sweep()
    assert swept.sentences == [
        "removed what 2 runs had left: 2 containers",
        (
            "could not remove what runs before have left, `dockerkit prune` tries again: "
            "volume held (the engine could not remove it: in use)"
        ),
    ]
    assert not second.exists()
    assert "volume held: the engine could not remove it: in use" in (first / "undoing.log").read_text()
    assert sweep().failures == {}


def test_what_is_not_there_any_more_is_not_worth_a_word(settings: Settings) -> None:
    directory = begun(settings)
    swept = remove(left_by_dead_runs(settings, HERE, lambda *_: ()), lambda _: False)
    assert swept.sentences == []
    assert not directory.exists()


def test_one_is_told_in_the_singular() -> None:
    found = Leavings(RUN, None, "", 0.0, [Entry("container", "a"), Entry("network", "n")])
    assert remove([found], lambda _: True).sentences == ["removed what 1 run had left: 1 container, 1 network"]


def test_what_is_not_swept_by_the_end_of_a_run_is_left_for_the_next(settings: Settings) -> None:
    directory = begun(settings, RUN, ("container", "a"), ("container", "b"), ("volume", "v"))
    removed: list[Entry] = []

    def carry_out(entry: Entry) -> bool:
        removed.append(entry)
        return True

    swept = remove(left_by_dead_runs(settings, HERE, lambda *_: ()), carry_out, lambda: len(removed) > 1)
    assert swept.removed["container"] == 2
    assert swept.removed["volume"] == 0
    assert directory.is_dir()


def test_a_failure_without_a_directory_is_told_each_time() -> None:
    def refuse(entry: Entry) -> bool:
        raise DockerkitError("no", saw=entry.name)

    found = Leavings(RUN, None, "", 0.0, [Entry("container", "a")])
    for _ in range(2):
        assert len(remove([found], refuse).sentences) == 1
    assert sweeping.counted(remove([found], lambda _: True).removed) == "1 container"
