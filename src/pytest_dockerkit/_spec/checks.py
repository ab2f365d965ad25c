"""Checks of single fields: each gives the value in its frozen form, or says what is wrong with it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeVar

from pytest_dockerkit._names import KEPT_LABEL, NAME_LABEL, OWNER_LABEL, RUN_LABEL
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError

T = TypeVar("T")


def wrong_type(field: str, value: object, example: str) -> SpecError:
    """Make the error for a value of the wrong type."""
    return SpecError(
        f"{field}= is of the wrong type", saw=f"{field}={value!r} ({type(value).__name__})", mend=example
    )


def shown(field: str, value: object) -> str:
    """Write a keyword out for a message; of a mapping only the type, since its values may be secrets."""
    if isinstance(value, Mapping) or field in ("secrets", "build_secrets"):
        return f"{field}= of type {type(value).__name__}"
    return f"{field}={value!r}"


def text(field: str, value: object, example: str) -> str:
    """Take a text that is not empty."""
    if isinstance(value, str) and value.strip():
        return value
    raise wrong_type(field, value, example)


def flag(field: str, value: object) -> bool:
    """Take True or False."""
    if isinstance(value, bool):
        return value
    raise wrong_type(field, value, f"{field}=True or {field}=False")


def whole_number(field: str, value: object, *, least: int) -> int:
    """Take a whole number that is not below `least`."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value >= least:
            return value
        raise SpecError(f"{field}= is too small", saw=f"{field}={value}", mend=f"a whole number from {least} on")
    raise wrong_type(field, value, f"{field}={max(least, 1)}")


def positive_number(field: str, value: object, example: str) -> float:
    """Take a finite number above zero."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            raise SpecError(f"{field}= is too large", saw=f"{field}= beyond 1e308", mend=example) from None
        if math.isfinite(number) and number > 0:
            return number
        raise SpecError(f"{field}= must be above zero", saw=f"{field}={value}", mend=example)
    raise wrong_type(field, value, example)


def sequence(field: str, value: object, example: str) -> tuple[object, ...]:
    """Take a list or a tuple, not a text, which would be taken letter by letter."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return tuple(value)
    raise wrong_type(field, value, example)


def texts(field: str, value: object, example: str) -> tuple[str, ...]:
    """Take a list of texts."""
    return tuple(text(field, each, example) for each in sequence(field, value, example))


def argv(field: str, value: object) -> tuple[str, ...]:
    """Take a command as an argument list, or as a text that is split as a shell would, without one."""
    example = f'{field}=["redis-server", "--save", ""], or {field}="redis-server --save"'
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError as failure:
            raise SpecError(
                f"{field}= cannot be split into arguments", saw=f"{value!r}: {failure}", mend=example
            ) from None
    arguments = sequence(field, value, example)
    # A set has no order.
    if isinstance(value, set | frozenset) or not all(isinstance(each, str | Path) for each in arguments):
        raise wrong_type(field, value, example)
    return tuple(str(each) for each in arguments)


def text_mapping(field: str, value: object, example: str) -> FrozenMapping[str, str]:
    """Take a mapping from texts to texts or numbers; numbers are written out."""
    if not isinstance(value, Mapping):
        raise wrong_type(field, value, example)
    taken: dict[str, str] = {}
    for key, each in value.items():
        if not isinstance(key, str) or not key:
            raise SpecError(f"{field}= has a key that is not a text", saw=f"{key!r}", mend=example)
        taken[key] = _as_text(f"{field}[{key!r}]", each, example)
    return FrozenMapping(taken)


def labels(field: str, value: object) -> FrozenMapping[str, str]:
    """Take labels beside the plugin's own."""
    taken = text_mapping(field, value, f'{field}={{"key": "value"}}')
    for ours in (RUN_LABEL, NAME_LABEL, OWNER_LABEL, KEPT_LABEL):
        if ours in taken:
            raise SpecError(f"{field}= holds a label of the plugin's own", saw=ours, mend="choose another key")
    return taken


def _as_text(field: str, value: object, example: str) -> str:
    # True would reach the container as "True", which few programs take for what is meant.
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return str(value)
    kind = type(value).__name__
    # Only what cannot be a secret is repeated: the value may be a variable's.
    saw = f"{value!r} ({kind})" if value is None or isinstance(value, bool) else f"of type {kind}"
    raise SpecError(f"{field} must be a text or a number", saw=saw, mend=example)


def environment_name(field: str, key: str) -> None:
    """Refuse a variable name that the engine would cut at its `=`."""
    if "=" in key or "\0" in key:
        raise SpecError(f"{field}= has a name with '=' in it", saw=f"{key!r}", mend=f'{field}={{"NAME": "value"}}')


def container_path(field: str, value: object) -> str:
    """Take an absolute path inside of the container."""
    if isinstance(value, PurePath):
        value = value.as_posix()
    if isinstance(value, str) and value.startswith("/"):
        return value
    raise SpecError(
        f"{field}= needs an absolute path in the container",
        saw=f"{value!r}",
        mend=f"begin it with '/': {'/' + str(value).lstrip('./')!r}",
    )


def one_of(field: str, value: object, known: Sequence[T]) -> T:
    """Take one of a few values."""
    for each in known:
        if value == each and type(value) is type(each):
            return each
    raise SpecError(
        f"{field}= is not one of its values", saw=f"{value!r}", mend="one of: " + ", ".join(map(repr, known))
    )


def path(field: str, value: object) -> Path:
    """Take a path on this machine."""
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and value:
        return Path(value)
    raise wrong_type(field, value, f'{field}="some/path"')


def resolved(field: str, base: Path, given: Path) -> Path:
    """Make a path of this machine absolute, whether anything is there or not."""
    try:
        found = (base / given.expanduser()).resolve()
        found.exists()
    except (OSError, RuntimeError, ValueError) as failure:
        # RuntimeError: there is no home of that name; ValueError: a NUL is in it.
        why = failure.strerror if isinstance(failure, OSError) else failure
        raise SpecError(
            f"{field}= is a path that cannot be", saw=f"{str(given)[:200]!r}: {why}", mend="correct the path"
        ) from None
    return found


def existing(field: str, base: Path, given: Path) -> Path:
    """Make a path of this machine absolute, and refuse one where nothing is."""
    found = resolved(field, base, given)
    if found.exists():
        return found
    raise SpecError(
        f"{field}= names a file that does not exist",
        saw=str(found),
        mend=f"relative paths start from {base}",
    )


def existing_paths(field: str, base: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Do so with those values of a mapping that are paths."""
    return {key: existing(field, base, value) if isinstance(value, Path) else value for key, value in given.items()}
