"""`${NAME}` in texts, and the `.env` file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everfit.errors import ProjectError
from everfit.project.environment import MissingVariable, read_env_file, substitute
from everfit.project.sections.section import FromEnvironment

ENV = {"HOST": "db", "PORT": "5432", "EMPTY": "", "ODD": "${HOST}"}


@pytest.mark.parametrize(
    ("text", "result", "used"),
    [
        ("${HOST}", "db", ("HOST",)),
        ("pg://${HOST}:${PORT}/x", "pg://db:5432/x", ("HOST", "PORT")),
        ("${NONE:-here}", "here", ()),
        ("${HOST:-here}", "db", ("HOST",)),
        ("${EMPTY:-here}", "here", ()),
        ("${NONE:-}", "", ()),
        ("${EMPTY}", "", ("EMPTY",)),
        ("$${HOST}", "${HOST}", ()),
        ("$HOST costs $5", "$HOST costs $5", ()),
        ("${ODD}", "${HOST}", ("ODD",)),
    ],
)
def test_references_are_replaced(text: str, result: str, used: tuple[str, ...]) -> None:
    found = substitute(text, ENV)
    assert (found.text, found.used) == (result, used)


@pytest.mark.parametrize(
    ("text", "trusted"),
    [("${HOST}", True), ("x${HOST}", False), ("${NONE:-x}", False), ("$${HOST}", False), ("db", False)],
)
def test_only_a_whole_variable_counts_as_from_the_environment(text: str, trusted: bool) -> None:
    assert isinstance(substitute(text, ENV).text, FromEnvironment) is trusted


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(MissingVariable, match="NONE"):
        substitute("a ${NONE} b", ENV)


@pytest.mark.parametrize("text", ["${", "${HOST", "${1X}", "${}", "${A:-${HOST}}", "${HOST-x}"])
def test_a_malformed_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="starts no reference"):
        substitute(text, ENV)


@given(st.text())
def test_an_escaped_text_comes_out_as_it_was(text: str) -> None:
    assert substitute(text.replace("${", "$${"), {}).text == text


def env_file(folder: Path, text: str) -> dict[str, str]:
    (folder / ".env").write_text(text, encoding="utf-8")
    return read_env_file(folder / ".env")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("  export A = a b  ", "a b"),
        ("A=a # comment", "a"),
        ("A=# comment", ""),
        ("A=a#b", "a#b"),
        ("A=", ""),
        ("A='a # b\\n'  # comment", "a # b\\n"),
        ('A="a\\n\\"b\\" \\\\"', 'a\n"b" \\'),
        ("A=b=c", "b=c"),
        ("A=$B", "$B"),
    ],
)
def test_lines_of_the_env_file(tmp_path: Path, line: str, value: str) -> None:
    assert env_file(tmp_path, f"# comment\n\n{line}\n") == {"A": value}


def test_no_env_file_is_no_variables(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / ".env") == {}


@pytest.mark.parametrize("line", ["hunter2", "A B=hunter2", "1=hunter2", "A='hunter2", 'A="hunter2" x'])
def test_a_wrong_line_is_told_by_number_without_its_value(tmp_path: Path, line: str) -> None:
    with pytest.raises(ProjectError) as caught:
        env_file(tmp_path, f"B=1\n{line}\n")
    assert caught.value.where.endswith(".env:2")
    assert "hunter2" not in str(caught.value)
