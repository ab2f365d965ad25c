"""Names: chosen by us before Docker is asked to make anything, or checked when a user chose them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from pytest_dockerkit.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable

RUN_LABEL = "pytest.dockerkit.run"
NAME_LABEL = "pytest.dockerkit.name"
KEPT_LABEL = "pytest.dockerkit.kept"
OWNER_LABEL = "pytest.dockerkit.owner"
FINGERPRINT_LABEL = "pytest.dockerkit.fingerprint"

#: The networks that the engine has by itself; they know no aliases, and are never removed.
BUILT_IN = ("bridge", "host", "none")

#: What Docker's embedded DNS answers for and its API takes as a part of a name.
#: Source: moby, daemon/names/names.go, RestrictedNameChars; one character more than a host name has: "_".
_ALIAS = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"


def new_run_id() -> str:
    """Give a run its id: 12 hex digits, alike for all its processes."""
    # Not `secrets`, which brings along hashes and random numbers of other kinds; it asks the same source.
    return os.urandom(6).hex()


def object_name(run_id: str, alias: str) -> str:
    """Choose the name of a new container, network or volume; no two are alike."""
    return f"dockerkit-{run_id}-{alias}-{os.urandom(3).hex()}"


def secrets_volume(container: str) -> str:
    """Give the name of the volume that a container's secrets are in, by the container's name."""
    return f"{container}-secrets"


def is_object_name(name: str, run_id: str) -> bool:
    """Tell whether a name was chosen by a run for something that it has made."""
    return name.startswith(f"dockerkit-{run_id}-")


def slug(text: str) -> str:
    """Make a text fit to be an alias or a part of an image name: lower case, ASCII, no spaces."""
    # Its table is 1 MB, and in many runs no text has to be made fit.
    import unicodedata

    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")[:40].strip("-") or "image"


def check_alias(field: str, value: object) -> str:
    """Hold a name against what other containers can look up.

    Raises:
        SpecError: it cannot be a DNS name.
    """
    if isinstance(value, str) and re.fullmatch(_ALIAS, value):
        return value
    if not isinstance(value, str):
        raise SpecError(f"{field}= must be a text", saw=f"{field}={value!r}", mend=f'{field}="db"')
    raise SpecError(
        f"{field}= cannot be a DNS name, and other containers find this one by it",
        saw=f"{field}={value!r}",
        mend=f'{field}="{slug(value)}": letters, digits, ".", "_" and "-", at most 63',
    )


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Give the known word that was probably meant, if any is like it."""
    # Where a word is wrong: in runs without one it would be a tenth of what importing us costs.
    import difflib

    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Write the mend for an unknown word: the nearest known one, or all of them."""
    words = sorted(known)
    best = nearest(word, words)
    return f"did you mean {best!r}?" if best else "one of: " + ", ".join(words)
