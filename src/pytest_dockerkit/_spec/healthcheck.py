"""Health checks, as Docker has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_dockerkit._spec import checks
from pytest_dockerkit._units import parse_seconds
from pytest_dockerkit.errors import SpecError, without_our_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = ("CMD", "CMD-SHELL", "NONE")

#: The shortest interval, timeout or period that the engine accepts, in seconds; 0 means "not given".
#: Source: moby, daemon/container.go, containertypes.MinimumDuration (1 ms).
MIN_DURATION_S = 0.001


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """How Docker finds out whether a container does its work.

    What is not given is taken from the image's own health check, else from Docker: an interval and a
    timeout of 30 s, 3 retries, no start period.

    Attributes:
        test: the command: a text is run by the image's shell, a list as it is. A list may begin with
            Docker's own words `CMD` or `CMD-SHELL`. None takes the image's command.
        interval: from the end of one check to the next, seconds or "30s".
        timeout: how long one check may take, seconds or "30s".
        retries: how many failures in a row make it unhealthy.
        start_period: for how long after the start failures do not count, seconds or "30s".
        start_interval: the interval within the start period (engines from 25.0, API 1.44; older
            engines do not have it).

    Raises:
        SpecError: a value has the wrong type or is out of range.
    """

    test: str | Sequence[str] | None = None
    interval: float | str | None = None
    timeout: float | str | None = None
    retries: int | None = None
    start_period: float | str | None = None
    start_interval: float | str | None = None

    @staticmethod
    def none() -> HealthCheck:
        """Switch off the image's own health check."""
        return HealthCheck(test=("NONE",))

    @without_our_frames
    def __post_init__(self) -> None:
        if self.test is not None and not isinstance(self.test, str):
            object.__setattr__(self, "test", checks.argv("healthcheck.test", self.test))
        if self.test is not None and (not self.test or (isinstance(self.test, str) and not self.test.strip())):
            raise checks.wrong_type("healthcheck.test", self.test, 'HealthCheck(test="redis-cli ping")')
        if self.test in (("CMD",), ("CMD-SHELL",)):
            raise SpecError(
                "healthcheck.test= has no command",
                saw=f"healthcheck.test={self.test!r}",
                mend='HealthCheck(test=["CMD", "redis-cli", "ping"])',
            )
        if self.retries is not None:
            checks.whole_number("healthcheck.retries", self.retries, least=1)
        for field in ("interval", "timeout", "start_period", "start_interval"):
            _check_duration(field, getattr(self, field))

    @cached_property
    def docker_test(self) -> tuple[str, ...] | None:
        """The test in the form that Docker keeps it."""
        if self.test is None:
            return None
        if isinstance(self.test, str):
            return ("CMD-SHELL", self.test)
        return tuple(self.test) if self.test[0] in _KINDS else ("CMD", *self.test)

    def durations(self) -> dict[str, float]:
        """Give the durations that are set, in seconds, under Docker's names for them."""
        given = {
            "Interval": self.interval,
            "Timeout": self.timeout,
            "StartPeriod": self.start_period,
            "StartInterval": self.start_interval,
        }
        return {key: parse_seconds(key, value) for key, value in given.items() if value is not None}


def _check_duration(field: str, value: object) -> None:
    if value is None:
        return
    seconds = parse_seconds(f"healthcheck.{field}", value)
    if 0 < seconds < MIN_DURATION_S:
        raise SpecError(
            f"healthcheck.{field} is below the engine's minimum of 1 ms",
            saw=f"{field}={value!r}",
            mend=f'{field}="100ms" or more',
        )
