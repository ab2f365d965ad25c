"""Volumes and bind mounts, as they are written in `volumes=`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import VolumeSpec, external
from pytest_dockerkit._spec.mounts import Mount, anchored, parse_mounts
from pytest_dockerkit._spec.refs import External, FixtureRef, VolumeHandle
from tests.unit.refusals import refusal

FORMS = (
    '["./data:/data:ro"] (a path of this machine), ["db:/var/lib/db"] (a volume of the test\'s own), '
    '["/scratch"] (an unnamed one), or {"/data": a Path, a volume or its fixture}'
)


@pytest.mark.parametrize(
    ("entry", "mount"),
    [
        ("/scratch", Mount("/scratch", None)),
        ("/scratch:ro", Mount("/scratch", None, read_only=True)),
        ("db:/var/lib/db", Mount("/var/lib/db", "db")),
        ("a:/b", Mount("/b", "a")),
        ("db:/x:rw", Mount("/x", "db")),
        ("./data:/data:ro", Mount("/data", Path("data"), read_only=True)),
        ("../data:/data", Mount("/data", Path("../data"))),
        (".:/data", Mount("/data", Path())),
        ("..:/data", Mount("/data", Path(".."))),
        ("~/x:/data", Mount("/data", Path("~/x"))),
        ("/a:/b", Mount("/b", Path("/a"))),
        ("./with:colon:/b", Mount("/b", Path("with:colon"))),
        ("./ü x:/ü y", Mount("/ü y", Path("ü x"))),
        (Mount("/x", "db"), Mount("/x", "db")),
    ],
)
def test_an_entry_is_read_as_compose_reads_it(entry: object, mount: Mount) -> None:
    assert parse_mounts([entry]) == (mount,)


def test_a_mapping_is_read_from_the_container_s_path() -> None:
    handle, ref = VolumeHandle(), FixtureRef(None, lambda: "data")
    written = {
        "/path": Path("data"),
        "/text": "./data:ro",
        "/named": "db",
        "/named-ro": "db:ro",
        "/unnamed": None,
        "/handle": handle,
        "/fixture": ref,
        "/kept": external("kept"),
    }
    assert parse_mounts(written) == (
        Mount("/path", Path("data")),
        Mount("/text", Path("data"), read_only=True),
        Mount("/named", "db"),
        Mount("/named-ro", "db", read_only=True),
        Mount("/unnamed", None),
        Mount("/handle", handle),
        Mount("/fixture", ref),
        Mount("/kept", External("kept")),
    )


@pytest.mark.parametrize("written", [None, "a:/b", b"a:/b", 5, True])
def test_the_whole_is_a_list_or_a_mapping(written: object) -> None:
    assert refusal(lambda: parse_mounts(written)) == (
        f"volumes= is of the wrong type\n  saw:  volumes={written!r} ({type(written).__name__})\n  mend: {FORMS}"
    )


@pytest.mark.parametrize("entry", [None, b"a:/b", 5, ("/b",), Path("/x")])
def test_an_entry_is_a_text(entry: object) -> None:
    assert refusal(lambda: parse_mounts([entry])) == (
        f"volumes= is of the wrong type\n  saw:  volumes={entry!r} ({type(entry).__name__})\n  mend: {FORMS}"
    )


@pytest.mark.parametrize(
    ("written", "seen", "better"),
    [
        (["a:b"], "'b'", "'/b'"),
        ([""], "''", "'/'"),
        (["scratch"], "'scratch'", "'/scratch'"),
        (["/data:"], "''", "'/'"),
        ({"./d": "x"}, "'./d'", "'/d'"),
        ({1: "x"}, "1", "'/1'"),
        ({None: "x"}, "None", "'/None'"),
    ],
)
def test_a_target_is_absolute(written: object, seen: str, better: str) -> None:
    assert refusal(lambda: parse_mounts(written)) == (
        f"volumes= needs an absolute path in the container\n  saw:  {seen}\n  mend: begin it with '/': {better}"
    )


@pytest.mark.parametrize(
    ("source", "mend"),
    [
        ("data/sub", "'./data/sub' for a path, which begins with '/', './', '../' or '~'"),
        ("x y", "'./x y' for a path, which begins with '/', './', '../' or '~'"),
        ("ü", "'./ü' for a path, which begins with '/', './', '../' or '~'"),
        ("x" * 64, f"'./{'x' * 64}' for a path, which begins with '/', './', '../' or '~'"),
        ("", FORMS),
    ],
)
def test_a_source_is_a_path_or_the_name_of_a_volume(source: str, mend: str) -> None:
    assert refusal(lambda: parse_mounts({"/data": source})) == (
        f"volumes= has a source that is neither a path nor the name of a volume\n  saw:  {source!r}\n  mend: {mend}"
    )


def test_an_entry_with_nothing_before_its_colon_is_refused() -> None:
    assert refusal(lambda: parse_mounts([":/data"])) == (
        f"volumes= has an entry without a source\n  saw:  ':/data'\n  mend: {FORMS}"
    )


@pytest.mark.parametrize(("entry", "mode"), [("/a:/b:z", "z"), ("db:/x:RO", "RO"), ("./a:/b:ro,z", "ro,z")])
def test_a_mode_is_ro_or_rw(entry: str, mode: str) -> None:
    assert refusal(lambda: parse_mounts([entry])) == (
        f'volumes= has an unknown mode\n  saw:  {mode!r} in {entry!r}\n  mend: "ro", or "rw", or none'
    )


@pytest.mark.parametrize("second", ["/c:/b", "/c:/b/", "/c:/x/../b", "/b"])
def test_one_target_is_mounted_once(second: str) -> None:
    assert refusal(lambda: parse_mounts(["/a:/b", second])) == (
        "volumes= has one target twice\n  saw:  '/b'\n  mend: mount one thing at a path"
    )


@pytest.mark.parametrize("entry", ["/", "db:/", "./x:/.."])
def test_nothing_is_mounted_over_the_root(entry: str) -> None:
    assert refusal(lambda: parse_mounts([entry])) == (
        "volumes= cannot mount over the root\n  saw:  '/'\n  mend: mount at a directory below it"
    )


def test_a_relative_path_starts_from_its_base(tmp_path: Path) -> None:
    (tmp_path / "dä ta").mkdir()
    mount = anchored(Mount("/x", Path("dä ta"), read_only=True), tmp_path)
    assert mount == Mount("/x", tmp_path.resolve() / "dä ta", read_only=True)
    assert anchored(mount, Path("/elsewhere")) == mount
    for kept in (Mount("/x", "db"), Mount("/x", None), Mount("/x", External("kept"))):
        assert anchored(kept, tmp_path) == kept


def test_a_path_that_is_not_there_is_refused_where_docker_would_make_it(tmp_path: Path) -> None:
    assert refusal(lambda: anchored(Mount("/x", Path("no")), tmp_path)) == (
        "volumes= mounts a path that does not exist at /x\n"
        f"  saw:  {tmp_path.resolve() / 'no'}\n"
        "  mend: create it, or correct the path; relative paths start from the file that says them"
    )


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("x" * 5000, "File name too long"),
        ("~no-such-user/x", "Could not determine home directory."),
    ],
    ids=["long", "home"],
)
def test_a_path_that_cannot_be_is_refused(path: str, why: str, tmp_path: Path) -> None:
    assert refusal(lambda: anchored(Mount("/x", Path(path)), tmp_path)) == (
        f"volumes= is a path that cannot be\n  saw:  {path[:200]!r}: {why}\n  mend: correct the path"
    )


def test_a_path_with_a_nul_is_refused(tmp_path: Path) -> None:
    """The reason is Python's own, which words it anew now and then."""
    told = refusal(lambda: anchored(Mount("/x", Path("a\0b")), tmp_path))
    assert told.startswith("volumes= is a path that cannot be\n  saw:  'a\\x00b': ")
    assert "embedded null" in told
    assert told.endswith("\n  mend: correct the path")


def test_a_volume_is_a_frozen_value() -> None:
    number: Any = 5
    spec = VolumeSpec(options={"size": number}, labels={"a": "b"})
    assert spec == VolumeSpec(options={"size": "5"}, labels={"a": "b"})
    assert len({spec, VolumeSpec(options={"size": "5"}, labels={"a": "b"}), VolumeSpec()}) == 2
    assert VolumeSpec().driver == "local"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"driver": ""}, "driver= is of the wrong type\n  saw:  driver='' (str)\n  mend: driver=\"local\""),
        ({"driver": None}, 'driver= is of the wrong type\n  saw:  driver=None (NoneType)\n  mend: driver="local"'),
        (
            {"options": None},
            'options= is of the wrong type\n  saw:  options=None (NoneType)\n  mend: options={"key": "value"}',
        ),
        (
            {"options": {"a": True}},
            'options[\'a\'] must be a text or a number\n  saw:  True (bool)\n  mend: options={"key": "value"}',
        ),
        (
            {"labels": {"": "x"}},
            'labels= has a key that is not a text\n  saw:  \'\'\n  mend: labels={"key": "value"}',
        ),
        (
            {"labels": {"pytest.dockerkit.run": "x"}},
            "labels= holds a label of the plugin's own\n  saw:  pytest.dockerkit.run\n  mend: choose another key",
        ),
    ],
)
def test_a_wrong_field_of_a_volume_is_refused(fields: dict[str, object], text: str) -> None:
    assert refusal(lambda: VolumeSpec(**fields)) == text  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("written", "mount"),
    [
        ({"db": "/data"}, Mount("/data", "db")),
        ({"db": "/data:ro"}, Mount("/data", "db", read_only=True)),
        ({"./src": "/data"}, Mount("/data", Path("src"))),
        ({Path("/host"): "/data"}, Mount("/data", Path("/host"))),
        ({External("kept"): "/data:rw"}, Mount("/data", External("kept"))),
        ({"/host": {"bind": "/data", "mode": "ro"}}, Mount("/data", Path("/host"), read_only=True)),
        ({"/host": {"bind": "/data"}}, Mount("/data", Path("/host"))),
        ([(Path("/host"), "/data")], Mount("/data", Path("/host"))),
        ([("db", "/data", "ro")], Mount("/data", "db", read_only=True)),
    ],
)
def test_other_forms_that_people_know_are_read(written: object, mount: Mount) -> None:
    """Where it cannot be mistaken which of the two is the path in the container."""
    assert parse_mounts(written) == (mount,)


def test_a_mapping_the_wrong_way_round_is_told(tmp_path: Path) -> None:
    (mount,) = parse_mounts({str(tmp_path): "/no/such/place"})
    assert refusal(lambda: anchored(mount, tmp_path)) == (
        f"volumes= mounts a path that does not exist at {tmp_path}\n"
        "  saw:  /no/such/place\n"
        "  mend: a mapping is from the path in the container to what is mounted there; turn it round"
    )
