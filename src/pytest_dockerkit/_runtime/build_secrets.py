"""What a build may read and nobody may keep: looked up when a build is really made, and not before."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_dockerkit._spec.secret import Secret, check_size
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from pytest_dockerkit._spec.image import ImageSpec

#: What is surely a variable's name and no token: names in one case, of a usual length.
_PLAIN_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}|[a-z_][a-z0-9_]{0,23}")


def revealed(spec: ImageSpec) -> Mapping[str, Secret]:
    """Read the build secrets of an anchored spec, each by its id.

    Raises:
        SpecError: a file cannot be read, a variable is not set, or a value is too large.
    """
    return FrozenMapping({key: _checked(key, _read(key, each)) for key, each in spec.build_secrets.items()})


def _read(key: str, value: Secret | Path | str) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, Path):
        try:
            return Secret(key, value.read_bytes())
        except OSError as failure:
            raise SpecError(
                f"the file of the build secret {key!r} cannot be read",
                saw=f"{value}: {failure.strerror}",
                mend="write the secret there, readable for the user who runs the tests",
            ) from None
    if value in os.environ:
        return Secret(key, os.environ[value])
    if _PLAIN_NAME.fullmatch(value):
        raise SpecError(
            f"the environment variable {value} is not set, which holds the build secret {key!r}",
            saw=f"build_secrets[{key!r}]={value!r}",
            mend=f"export {value}, or give the secret as a Path or as Secret({key!r}, …)",
        )
    # It may be a token that was given by mistake: it is not repeated.
    raise SpecError(
        f"an environment variable is not set, which is to hold the build secret {key!r}",
        saw=f"build_secrets[{key!r}] is a text of {len(value)} characters, which is no usual name of a variable",
        mend=f"a text is the name of a variable, never the secret itself: Secret({key!r}, …) holds one",
    )


def _checked(key: str, secret: Secret) -> Secret:
    return check_size(f"build secret {key!r}", secret, "a larger file belongs into the context or behind a URL")
