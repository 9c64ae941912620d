"""YAML is read without surprises, and whatever is wrong with it is said at its line and column."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from everfit.errors import ProjectError
from everfit.project.document import BYTES, Position, parse, read


def problem(text: str) -> str:
    with pytest.raises(ProjectError) as caught:
        parse(text, "f")
    assert caught.value.fix
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("Yes", "Yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("7", 7),
        ("-3", -3),
        ("007", "007"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-31", "2024-01-31"),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("10%", "10%"),
        ("0x1F", "0x1F"),
        ("'7'", "7"),
        ("!!str 7", "7"),
        ("!!float 7", 7.0),
    ],
)
def test_scalars_are_what_they_look_like(written: str, value: object) -> None:
    found = parse(f"a: {written}", "f").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text_even_those_that_yaml_takes_for_something_else() -> None:
    assert parse("{on: 1, true: 2, 3: 4, null: 5}", "f").data == {"on": 1, "true": 2, "3": 4, "null": 5}


def test_every_value_has_its_place() -> None:
    positions = parse("a:\n  - b: 1\n    c: [x, y]\n", "f").positions
    assert positions["a", 0, "c"] == Position(3, 5)
    assert positions["a", 0, "c", 1] == Position(3, 12)


def test_a_place_that_was_not_written_is_that_of_what_is_around_it() -> None:
    assert parse("a:\n  b: {}\n", "f").where(("a", "b", "c", 0)) == "f:2:3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data:\n\tsource: x", "f:2:1: the line is indented with a tab\n  fix: indent with spaces"),
        ("a: 'x\nb: 1", "f:1:4: a quote is opened here and never closed"),
        ("a: [1, 2\nb: 1", "f:1:4: a bracket [ or { is not closed"),
        ("a: {b: ${X}}", 'f:1:4: ${NAME} stands unquoted inside { } or [ ]\n  fix: write "${NAME}" in quotes'),
        ("a: b: c", "f:1:5: there is a ': ' where none can be"),
        ("data:\n  source: x\n target: y", "f:3:2: the indentation does not fit"),
        ("a: 1\nb\n", "f:3:1: a line is neither `key: value` nor part of a text"),
        ("a: @x", "f:1:4: a value cannot start with this character"),
        ('a: "x\\q"', "a backslash in double quotes"),
        ("a: *x", "f:1:4: a word that starts with *"),
        ("a: 1\n---\nb: 2", "f:2:1: a second document starts here"),
        ("a: 1\nb: 2\na: 3", "f:3:1: the key 'a' stands twice, first in line 1"),
        ("? [a]\n: b", "f:1:3: a key must be a name"),
        ("b: &b {x: 1}\na:\n  <<: *b", "f:3:3: merge keys (<<) are not read"),
        ("a: !!python/object/apply:os.system [ls]", "f:1:4: the tag !!python/object/apply:os.system is not allowed"),
        ("a: !!set {b, c}", "f:1:4: the tag !!set is not allowed"),
        ("a: !mine b", "f:1:4: the tag !mine is not allowed"),
        ("a: !!int b", "f:1:4: 'b' cannot be read as !!int"),
        ("a: " + "9" * 5000, "f:1:4: '99999999999999999999' cannot be read as !!int"),
        ("a: b\x07", "f:1:5: the character '\\x07' cannot stand"),
        ("- a", "f:1:1: the file must hold keys and values"),
        ("text", "f:1:1: the file must hold keys and values"),
        ("", "f:1:1: the file is empty"),
        ("# only a comment", "f:1:1: the file is empty"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(text: str, said: str) -> None:
    assert said in problem(text)


def test_an_anchor_may_be_used_again() -> None:
    assert parse("a: &x [1]\nb: *x", "f").data == {"a": [1], "b": [1]}


def test_aliases_that_unfold_to_billions_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    assert "unfolds to too much" in problem("\n".join(lines))


def test_an_alias_within_its_own_anchor_is_refused() -> None:
    assert "unfolds to too much" in problem("a: &x [*x]")


@pytest.mark.parametrize("opened", ["[", "{a: "])
def test_deep_nesting_is_refused(opened: str) -> None:
    assert "is nested deeper than 32 levels" in problem("a: " + opened * 20_000)


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_bytes("\ufeffa: é\r\n".encode())
    assert read(tmp_path / "e.yaml").data == {"a": "é"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: b\nc: \xff", "e.yaml:2: is not UTF-8 text"),
        ("a: b".encode("utf-16"), "is not UTF-8 text"),
        (b"#" * (BYTES + 1), "is larger than 1,000,000 bytes"),
    ],
)
def test_a_file_that_is_no_project_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "e.yaml").write_bytes(content)
    with pytest.raises(ProjectError) as caught:
        read(tmp_path / "e.yaml")
    assert said in str(caught.value)
    assert caught.value.fix


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="there is no such file") as caught:
        read(tmp_path / "e.yaml")
    assert "everfit init" in caught.value.fix
    with pytest.raises(ProjectError, match="is a folder") as caught:
        read(tmp_path)
    assert caught.value.fix.endswith("everfit.yaml")


TEXTS = st.text(st.sampled_from(list("abyon:#'\"-{}[],&*!|%@`?~\n\t \\é")), max_size=6)


def _mappings(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(TEXTS, inner, max_size=3)


SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS
NESTED = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | _mappings(inner), max_leaves=8)


@given(_mappings(NESTED).filter(bool))
def test_what_was_written_is_read_back(data: dict[str, Any]) -> None:
    assert parse(yaml.safe_dump(data, allow_unicode=False), "f").data == data


@given(st.text(st.sampled_from(list("ab:-#[]{},&*!|>'\"%@`?~<\t\n $1.\\é"))))
def test_any_text_is_a_document_or_a_problem_with_a_place(text: str) -> None:
    try:
        assert isinstance(parse(text, "f").data, dict)
    except ProjectError as error:
        assert error.where.startswith("f:")  # noqa: PT017  # either outcome is right


def test_a_merge_key_in_quotes_is_a_name() -> None:
    assert parse("{'<<': 1}", "f").data == {"<<": 1}
