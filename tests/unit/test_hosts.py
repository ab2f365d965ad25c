"""The addresses of several engines: where they are written, and what the header says of them."""

from __future__ import annotations

import pytest

from pytest_dockerkit import _options, _parts

pytest_plugins = ["pytester"]

ONE, TWO = "unix:///run/one.sock", "tcp://192.0.2.7:2376"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKERKIT_HOST", raising=False)


def given(pytester: pytest.Pytester, *arguments: str) -> tuple[str, ...]:
    return _options.hosts(pytester.parseconfig(*arguments))


def test_the_command_line_names_them_one_by_one(pytester: pytest.Pytester) -> None:
    """Each once, and as it is written: a path may have spaces."""
    spaced = "unix:///run/the engine/docker.sock"
    arguments = [f"--dockerkit-host={each}" for each in (ONE, spaced, ONE)]
    assert given(pytester, *arguments) == (ONE, spaced)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{ONE} {TWO}", (ONE, TWO)),
        (f"  {ONE}\n  {TWO}\n", (ONE, TWO)),
        (
            "unix:///run/the engine/docker.sock ssh://me@there",
            ("unix:///run/the engine/docker.sock", "ssh://me@there"),
        ),
        ("", ()),
    ],
)
def test_the_environment_and_the_ini_file_name_them_in_a_row(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, text: str, found: tuple[str, ...]
) -> None:
    pytester.makeini("[pytest]\ndockerkit_host = " + text.strip().replace("\n", "\n  "))
    assert given(pytester) == found
    pytester.makeini("[pytest]\ndockerkit_host = tcp://192.0.2.9:1")
    monkeypatch.setenv("DOCKERKIT_HOST", text)
    assert given(pytester) == (found or ("tcp://192.0.2.9:1",))
    assert given(pytester, f"--dockerkit-host={TWO}") == (TWO,)


def test_without_workers_the_first_is_used_and_the_header_says_so(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig(f"--dockerkit-host={ONE}", f"--dockerkit-host={TWO}")
    assert _parts.header(config) == [f"dockerkit: of 2 engines the first is used, {ONE}; pytest -n 2 uses all"]
    assert (_parts.host_of(config), _parts.others(config)) == (ONE, (TWO,))
    assert _parts.header(pytester.parseconfig(f"--dockerkit-host={ONE}")) == []
