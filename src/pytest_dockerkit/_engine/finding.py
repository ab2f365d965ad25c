"""What an examination has found, one fact at a time."""

from __future__ import annotations

from typing import NamedTuple

#: All is well; worth knowing, and no test need fail for it; something does not work.
OK, NOTE, WRONG = "ok", "note", "wrong"


class Finding(NamedTuple):
    """One fact.

    Attributes:
        about: what it is about, in a word or two.
        said: what is so.
        verdict: `ok`, `note` or `wrong`.
        mend: what would mend it; empty if there is nothing to mend.
    """

    about: str
    said: str
    verdict: str = OK
    mend: str = ""
