"""Errors: three parts, a builtin each, and alive on both sides of a process boundary."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import traceback

import pytest

from pytest_dockerkit import ContainerSpec, errors
from pytest_dockerkit.errors import DockerkitError, SpecError, without_our_frames

BUILTINS: dict[str, type[Exception]] = {
    "ServiceError": RuntimeError,
    "SpecError": ValueError,
    "EngineError": RuntimeError,
    "EngineUnavailableError": ConnectionError,
    "CapabilityError": NotImplementedError,
    "ConflictError": RuntimeError,
    "NotOnEngineError": LookupError,
    "ContainerRemovedError": LookupError,
    "ImageNotFoundError": LookupError,
    "BuildError": RuntimeError,
    "NotReadyError": TimeoutError,
    "ContainerExitedError": RuntimeError,
    "OutOfMemoryError": MemoryError,
    "UnhealthyError": RuntimeError,
    "PortTakenError": OSError,
    "PortNotPublishedError": LookupError,
    "ContainerFileError": OSError,
    "ExecError": RuntimeError,
    "ExecTimeoutError": TimeoutError,
    "LockError": TimeoutError,
    "CapacityError": RuntimeError,
    "TeardownError": RuntimeError,
}
#: Those that only gather others.
GROUPS = {"DockerkitError", "ImageError", "ContainerError"}

PUBLIC = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, DockerkitError)]


def test_an_error_reads_what_saw_mend() -> None:
    error = DockerkitError("the tea is cold", saw="12 °C", mend="warm it", details="--- log\nlast line")
    assert str(error) == "the tea is cold\n  saw:  12 °C\n  mend: warm it\n--- log\nlast line"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "w"),
        ({"saw": "s"}, "w\n  saw:  s"),
        ({"mend": "m"}, "w\n  mend: m"),
        ({"details": "d"}, "w\nd"),
    ],
)
def test_a_part_that_is_not_given_has_no_line(parts: dict[str, str], text: str) -> None:
    assert str(DockerkitError("w", **parts)) == text


def test_further_lines_of_a_part_are_indented_below_it() -> None:
    error = DockerkitError("w", saw="one\ntwo\n\nthree", mend="a\nb")
    assert str(error).splitlines() == [
        "w",
        "  saw:  one",
        "        two",
        "        ",
        "        three",
        "  mend: a",
        "        b",
    ]


@pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__name__)
def test_every_error_survives_a_process_boundary(cls: type[DockerkitError]) -> None:
    error = cls("what ü", saw="saw\n2", mend="mend", details="details")
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is cls
        assert (again.what, again.saw, again.mend, again.details) == ("what ü", "saw\n2", "mend", "details")
        assert str(again) == str(error)
        assert again.__notes__ == ["a note"]


def test_what_was_added_to_an_error_is_kept_as_well() -> None:
    error = SpecError("before")
    error.what = "test_x: before"
    assert str(pickle.loads(pickle.dumps(error))) == "test_x: before"


@pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__name__)
def test_every_error_is_also_its_builtin(cls: type[DockerkitError]) -> None:
    assert cls.__name__ in GROUPS | set(BUILTINS)
    if cls.__name__ in BUILTINS:
        assert issubclass(cls, BUILTINS[cls.__name__])


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn: dict[str, tuple[str, str | None]] = {}
    path: list[str] = []
    lines = inspect.getdoc(errors).split("```")[1].strip().splitlines()  # type: ignore[union-attr]
    assert lines[0] == "DockerkitError"
    for line in lines[1:]:
        match = re.match(r"([│ ]*)[├└]── (\w+)(?: \((\w+)\))?", line)
        assert match is not None, line
        depth = len(match[1]) // 4
        path[depth:] = [match[2]]
        drawn[match[2]] = (path[depth - 1] if depth else "DockerkitError", match[3])
    made = {
        cls.__name__: (cls.__bases__[0].__name__, cls.__bases__[1].__name__ if len(cls.__bases__) > 1 else None)
        for cls in PUBLIC
        if cls is not DockerkitError
    }
    assert drawn == made


def test_an_error_shows_none_of_the_frames_that_checked_the_value() -> None:
    with pytest.raises(SpecError) as caught:
        ContainerSpec(image="busybox", ports=[0])
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names == ["test_an_error_shows_none_of_the_frames_that_checked_the_value", "__init__", "call"]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_hiding_frames_keeps_the_function_and_lets_other_errors_through() -> None:
    @without_our_frames
    def divide(by: int) -> float:
        """Divide."""
        return 1 / by

    assert (divide(2), divide.__name__, divide.__doc__) == (0.5, "divide", "Divide.")
    with pytest.raises(ZeroDivisionError):
        divide(0)
