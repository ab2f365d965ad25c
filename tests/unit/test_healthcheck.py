"""Health checks: their command in Docker's form, and their durations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_dockerkit import HealthCheck
from tests.unit.refusals import refusal


@pytest.mark.parametrize(
    ("test", "docker_test"),
    [
        (None, None),
        ("redis-cli ping", ("CMD-SHELL", "redis-cli ping")),
        (["redis-cli", "ping"], ("CMD", "redis-cli", "ping")),
        (("redis-cli",), ("CMD", "redis-cli")),
        (["CMD", "redis-cli", "ping"], ("CMD", "redis-cli", "ping")),
        (["CMD-SHELL", "redis-cli ping"], ("CMD-SHELL", "redis-cli ping")),
        (["NONE"], ("NONE",)),
        ([Path("/bin/check")], ("CMD", "/bin/check")),
    ],
)
def test_a_text_is_for_the_shell_and_a_list_is_not(test: Any, docker_test: tuple[str, ...] | None) -> None:
    assert HealthCheck(test=test).docker_test == docker_test


def test_none_switches_it_off() -> None:
    assert HealthCheck.none() == HealthCheck(test=["NONE"])


def test_only_the_durations_that_are_given_are_sent() -> None:
    assert HealthCheck(test="x").durations() == {}
    check = HealthCheck(interval="250ms", timeout=3, start_period=0, start_interval="1m30s", retries=1)
    assert check.durations() == {"Interval": 0.25, "Timeout": 3.0, "StartPeriod": 0.0, "StartInterval": 90.0}


def test_equal_checks_are_one() -> None:
    assert len({HealthCheck(test=["a"], retries=2), HealthCheck(test=("a",), retries=2), HealthCheck()}) == 2


@pytest.mark.parametrize("test", ["", "  "])
def test_a_text_that_says_nothing_is_refused(test: str) -> None:
    assert refusal(lambda: HealthCheck(test=test)) == (
        f"healthcheck.test= is of the wrong type\n  saw:  healthcheck.test={test!r} (str)\n"
        '  mend: HealthCheck(test="redis-cli ping")'
    )


@pytest.mark.parametrize("test", [5, True, b"x", {"a": 1}, {"a"}, [5], [None], [["a"]]])
def test_what_is_no_command_is_refused(test: Any) -> None:
    assert refusal(lambda: HealthCheck(test=test)) == (
        f"healthcheck.test= is of the wrong type\n  saw:  healthcheck.test={test!r} ({type(test).__name__})\n"
        '  mend: healthcheck.test=["redis-server", "--save", ""], or healthcheck.test="redis-server --save"'
    )


def test_an_empty_list_is_refused() -> None:
    assert "healthcheck.test= is of the wrong type" in refusal(lambda: HealthCheck(test=[]))


@pytest.mark.parametrize("word", ["CMD", "CMD-SHELL"])
def test_docker_s_word_without_a_command_is_refused(word: str) -> None:
    assert refusal(lambda: HealthCheck(test=[word])) == (
        f"healthcheck.test= has no command\n  saw:  healthcheck.test=({word!r},)\n"
        '  mend: HealthCheck(test=["CMD", "redis-cli", "ping"])'
    )


@pytest.mark.parametrize(
    ("retries", "text"),
    [
        (0, "healthcheck.retries= is too small\n  saw:  healthcheck.retries=0\n  mend: a whole number from 1 on"),
        (-1, "healthcheck.retries= is too small\n  saw:  healthcheck.retries=-1\n  mend: a whole number from 1 on"),
        (
            "3",
            (
                "healthcheck.retries= is of the wrong type\n  saw:  healthcheck.retries='3' (str)\n"
                "  mend: healthcheck.retries=1"
            ),
        ),
        (
            True,
            (
                "healthcheck.retries= is of the wrong type\n  saw:  healthcheck.retries=True (bool)\n"
                "  mend: healthcheck.retries=1"
            ),
        ),
    ],
)
def test_retries_are_counted_from_one(retries: Any, text: str) -> None:
    assert refusal(lambda: HealthCheck(retries=retries)) == text


@pytest.mark.parametrize("field", ["interval", "timeout", "start_period", "start_interval"])
def test_durations_are_checked(field: str) -> None:
    below: dict[str, Any] = {field: "0.5ms"}
    assert refusal(lambda: HealthCheck(**below)) == (
        f"healthcheck.{field} is below the engine's minimum of 1 ms\n"
        f"  saw:  {field}='0.5ms'\n"
        f'  mend: {field}="100ms" or more'
    )
    wrong: dict[str, Any] = {field: True}
    assert refusal(lambda: HealthCheck(**wrong)) == (
        f"healthcheck.{field}= is not a duration\n  saw:  healthcheck.{field}=True (bool)\n"
        '  mend: a number of seconds, or a text such as "30s", "1m30s" or "250ms"'
    )
