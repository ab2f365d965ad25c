"""Files of environment variables, as `docker run --env-file` reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_dockerkit import ContainerSpec
from pytest_dockerkit._spec.env_file import read_env_file
from tests.unit.refusals import refusal


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "the env"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("", {}),
        ("\n\n  \n", {}),
        ("# A=1\n  # B=2\n", {}),
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("A=\n", {"A": ""}),
        ("  A=1\n", {"A": "1"}),
        ("A= 1 \n", {"A": " 1 "}),
        ("A=b=c # d\n", {"A": "b=c # d"}),
        ('A="quoted"\n', {"A": '"quoted"'}),
        ("A={$HOME} ${B}\n", {"A": "{$HOME} ${B}"}),
        ("A=ü\u2028x\n", {"A": "ü\u2028x"}),
        ("\ufeffA=1\n", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A.B-c=1\n", {"A.B-c": "1"}),
    ],
)
def test_a_line_is_a_name_and_its_value_as_it_stands(text: str, env: dict[str, str], tmp_path: Path) -> None:
    assert read_env_file(written(tmp_path, text)) == env


def test_a_bare_name_takes_this_process_s_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKERKIT_TEST_SET", "here")
    monkeypatch.delenv("DOCKERKIT_TEST_UNSET", raising=False)
    path = written(tmp_path, "DOCKERKIT_TEST_SET\nDOCKERKIT_TEST_UNSET\n")
    assert read_env_file(path) == {"DOCKERKIT_TEST_SET": "here"}


@pytest.mark.parametrize("line", ["=1", "A B=1", "export A=1", "A =1"])
def test_a_line_without_a_name_is_refused(line: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"# first\nOK=1\n{line}\n")
    assert refusal(lambda: read_env_file(path)) == (
        "env_file= has a line without a name\n"
        f"  saw:  {path}, line 3: {line.partition('=')[0]!r} before its '='\n"
        "  mend: NAME=value"
    )


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert refusal(lambda: read_env_file(tmp_path)) == (
        f"env_file= cannot be read\n  saw:  {tmp_path}: [Errno 21] Is a directory: {str(tmp_path)!r}\n"
        "  mend: a readable UTF-8 file"
    )
    path = tmp_path / "latin-1"
    path.write_bytes(b"A=\xff")
    assert refusal(lambda: read_env_file(path)) == (
        f"env_file= cannot be read\n  saw:  {path}: 'utf-8' codec can't decode byte 0xff in position 2: "
        "invalid start byte\n  mend: a readable UTF-8 file"
    )


def test_later_files_win_and_env_wins_over_all(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("A=1\nB=1\nC=1\n", encoding="utf-8")
    (tmp_path / "two").write_text("B=2\nC=2\n", encoding="utf-8")
    spec = ContainerSpec(image="busybox", env_file=["one", Path("two")], env={"C": 3}).anchored(tmp_path)
    assert spec.env_files == (tmp_path.resolve() / "one", tmp_path.resolve() / "two")
    assert spec.full_env() == {"A": "1", "B": "2", "C": "3"}
    assert ContainerSpec(image="busybox", env_file="one").anchored(tmp_path).full_env() == {
        "A": "1",
        "B": "1",
        "C": "1",
    }
