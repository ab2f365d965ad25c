"""Specs made of keywords, which may be wrong."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_dockerkit._names import did_you_mean
from pytest_dockerkit._spec import checks
from pytest_dockerkit._spec.container import ContainerSpec
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")


def spec_fields() -> tuple[str, ...]:
    """Give the names of the fields, in their order."""
    return tuple(each.name for each in fields(ContainerSpec))


def make_spec(given: Mapping[str, Any]) -> ContainerSpec:
    """Make a spec from keywords, which may be wrong.

    Raises:
        SpecError: a keyword is unknown, or a value is wrong.
    """
    refuse_unknown(given, spec_fields())
    refuse_without_image(given, 'an image such as "redis:7", or build=')
    return ContainerSpec(**given)


def refuse_without_image(given: Mapping[str, Any], mend: str) -> None:
    """Refuse keywords that have no image among them.

    Raises:
        SpecError: there is none.
    """
    if "image" not in given:
        raise SpecError("no image is given", saw=f"keywords: {', '.join(given) or 'none'}", mend=mend)


def spec_from(cls: type[S], spec: object, given: Mapping[str, Any]) -> S:
    """Take a spec, or make one from its fields.

    Raises:
        SpecError: both are given, it is of another kind, or a field is wrong.
    """
    if spec is not None and (given or not isinstance(spec, cls)):
        raise SpecError(
            f"a {cls.__name__} or its fields can be given",
            saw=repr(spec) + (f" and {', '.join(f'{key}=' for key in given)}" if given else ""),
            mend="give one of them",
        )
    refuse_unknown(given, tuple(each.name for each in fields(cls)))
    return spec if isinstance(spec, cls) else cls(**given)


def refuse_unknown(given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a keyword that there is not.

    Raises:
        SpecError: names the keyword, its value and the nearest right one.
    """
    for keyword, value in given.items():
        if keyword not in known:
            raise SpecError(
                f"{keyword}= is no keyword here",
                saw=checks.shown(keyword, value),
                mend=did_you_mean(keyword, known),
            )
