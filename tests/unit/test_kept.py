"""What is recorded of what is kept for the next run."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dockerkit._runtime import kept, kept_records
from pytest_dockerkit._runtime.kept import Kept
from pytest_dockerkit._runtime.kept_records import Thing
from pytest_dockerkit._runtime.records import Records
from pytest_dockerkit._runtime.settings import Settings
from pytest_dockerkit.errors import LockError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DOCKER_HOST", "unix:///a/socket")
    return Settings(state_dir=tmp_path / "state", project=tmp_path / "project")


def container(name: str, **facts: Any) -> dict[str, Any]:
    about = {
        "alias": "db",
        "place": "",
        "run": "now",
        "used_at": 100.0,
        "networks": [],
        "volumes": [],
        "title": "redis",
    }
    return {"name": name, **about, **facts}


def test_one_run_at_a_time_has_it(settings: Settings) -> None:
    """Another is told that it cannot, and has it once the first has let go; the key stays the same."""
    first = Kept.take(settings)
    assert first is not None
    assert Kept.take(settings) is None
    first.release()
    second = Kept.take(settings)
    assert second is not None
    assert (second.directory, second.secret) == (first.directory, first.secret)
    second.release()


def test_a_project_an_engine_and_a_user_have_one_each(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name(settings), name(settings, host="unix:///b"), name(settings, project=settings.project / "below")]
    monkeypatch.setenv("DOCKER_HOST", "unix:///c")
    names.append(name(settings))
    names.append(name(settings, host="unix:///a/socket"))
    assert names[4] == names[0]
    assert len({*names}) == 4


def name(settings: Settings, **changed: Any) -> str:
    made = Kept.take(Settings(**{**vars(settings), **changed}))
    assert made is not None
    made.release()
    return made.directory.name


def test_what_is_secret_is_for_the_user_alone(settings: Settings) -> None:
    made = Kept.take(settings)
    assert made is not None
    made.release()
    assert len(made.secret) == 32
    assert stat.S_IMODE((made.directory / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(made.directory.stat().st_mode) == 0o700
    # Cut off by a full disk.
    (made.directory / "secret").write_bytes(b"")
    again = Kept.take(settings)
    assert again is not None
    again.release()
    assert len(again.secret) == 32


def test_a_lock_that_cannot_be_is_an_error(settings: Settings) -> None:
    made = Kept.take(settings)
    assert made is not None
    made.release()
    lock = made.directory / kept_records.IN_USE
    lock.unlink(missing_ok=True)
    lock.mkdir()
    with pytest.raises(LockError, match=r"the lock of what is kept for the next run cannot be taken"):
        Kept.take(settings)


def test_what_is_known_of_a_project(settings: Settings) -> None:
    made = Kept.take(settings)
    assert made is not None
    made.release()
    assert kept.about(made.directory) == {
        "project": str(settings.project),
        "engine": "unix:///a/socket",
        "lifetime_s": 12 * 3600,
    }
    (made.directory / "about").write_text("{torn")
    assert kept.about(made.directory) == {}
    assert kept.directories(settings) == [made.directory]
    assert kept.directories(Settings(state_dir=settings.state_dir / "none")) == []


def test_what_nothing_needs_is_outdated() -> None:
    """Networks and volumes stay as long as a container that stands on them, whatever they are themselves."""
    old, new = 1.0, 9.0
    web = Thing("container", "web", new, frozenset({"net", "data"}))
    db = Thing("container", "db", old, frozenset({"net", "store"}))
    net, data, store = Thing("network", "net", 0.0), Thing("volume", "data", old), Thing("volume", "store", new)
    loose = Thing("volume", "loose", old)
    assert kept_records.outdated([web, db, net, data, store, loose], until=5.0) == [db, loose]
    assert kept_records.outdated([db, net, store], until=5.0) == [db, net]
    assert kept_records.outdated([web, net, data], until=10.0) == [web, net, data]
    assert kept_records.last_used([db, web, net, data, store]) == {
        "web": new,
        "db": old,
        "net": new,
        "data": new,
        "store": new,
    }


def test_what_was_made_for_a_container_alone_goes_with_it(tmp_path: Path) -> None:
    records = Records(lambda: tmp_path)
    records.write("a", container("db", volumes=["db-secrets", "data"], own_volume="db-secrets"))
    records.write("b", container("api", own_volume=None))
    assert kept_records.names(records) == {"db", "db-secrets", "api"}
    things = kept_records.things(tmp_path)
    assert Thing("volume", "db-secrets", 0.0) in things
    assert [each.name for each in kept_records.outdated(things, until=50.0)] == []
    assert sorted(each.name for each in kept_records.outdated(things, until=200.0)) == ["api", "db", "db-secrets"]
    kept_records.forget(tmp_path, {"db", "db-secrets"})
    assert kept_records.names(records) == {"api"}


def test_after_a_run_its_records_are_in_order(tmp_path: Path) -> None:
    records = Records(lambda: tmp_path)
    records.write("a", container("db-a", networks=["net"]))
    records.write("b", container("db-b", run="before"))
    records.write("c", container("db-c"))
    records.mark(kept_records.gone("db-c"))
    records.write("d", {"failed": ["it"], "run": "now"})
    records.write("e", {"kind": "volume", "name": "used", "used_at": 100.0})
    records.mark(kept_records.used("e"))
    records.write("f", {"kind": "volume", "name": "unused", "used_at": 100.0})
    records.write("g", {"rooms": [{"name": "net", "names": {"db": "a", "x": "c"}}, {"name": "net-2", "names": {}}]})
    (tmp_path / "about").touch()
    (tmp_path / kept_records.IN_USE).touch()
    with records.lock("h"):
        pass
    assert kept_records.settle(tmp_path, "now") == {"db-a"}
    assert {path.name for path in tmp_path.iterdir()} == {
        *("a.json", "b.json", "e.json", "f.json", "g.json", "about", kept_records.IN_USE)
    }
    used = {each.name: each.used_at for each in kept_records.things(tmp_path)}
    assert (used["db-a"] > 100, used["used"] > 100) == (True, True)
    assert (used["db-b"], used["unused"], used["net"]) == (100.0, 100.0, 0.0)
    assert (records.read("g") or {})["rooms"] == [
        {"name": "net", "names": {"db": "a"}},
        {"name": "net-2", "names": {}},
    ]


def test_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    records = Records(lambda: tmp_path)
    records.write("a", container("db-a", networks=["net"]))
    records.write("g", {"rooms": [{"name": "net", "names": {"db": "a"}}, {"name": "net-2", "names": {"db": "b"}}]})
    kept_records.forget(tmp_path, {"db-a", "net-2"})
    assert records.read("a") is None
    assert records.read("g") == {"rooms": [{"name": "net", "names": {}}]}
    kept_records.forget(tmp_path, {"net"})
    assert kept_records.things(tmp_path) == []
    assert records.read("g") is None
    assert kept_records.things(tmp_path / "nowhere") == []
