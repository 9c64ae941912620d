"""What `everfit init` finds in a table and the files that it writes."""

from __future__ import annotations

import json
import re
import shlex
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everfit.cli.init import _demand_name, _move, address, command, write
from everfit.cli.main import call
from everfit.data.schema import arrays, conform, infer
from everfit.errors import ChecksFailed, EverfitError, ProjectError, StorageError
from everfit.features.compute import compute
from everfit.features.functions import load as load_functions
from everfit.flow import guesses
from everfit.flow.scaffold import FILES, scaffold
from everfit.flow.settings_text import WIDTH, item, one_line
from everfit.flow.survey import Survey, survey
from everfit.project.document import parse_value
from everfit.project.load import load
from everfit.project.sections.data import ColumnCheck
from everfit.project.sections.root import Project
from everfit.records.table import Column, Kind, Schema, Task

ROWS = 120
VARIABLES = {"ALERT_WEBHOOK": "http://127.0.0.1/hook", "EVERFIT_HASH_KEY": "secret"}


def table(**columns: Any) -> pl.DataFrame:
    """Customers as a CSV file has them: every value is text."""
    number = np.arange(ROWS)
    plain: dict[str, Any] = {
        "customerID": [f"{n:04}-AB" for n in number],
        "email": [f"c{n}@example.org" for n in number],
        "PhoneService": ["Yes" if n % 3 else "No" for n in number],
        "tenure": [str(n % 70) for n in number],
        "TotalCharges": [" " if n % 40 == 0 else f"{n * 3.25}" for n in number],
        "plan": [("basic", "it's: all, #1", "No")[n % 3] for n in number],
        "Churn": ["Yes" if n % 4 == 0 else "No" for n in number],
    }
    return pl.DataFrame({name: values for name, values in (plain | columns).items() if values is not None})


def settings(found: Survey, folder: Path, edit: str = "") -> Project:
    text = scaffold("churn", "../customers.csv", found)["everfit.yaml"]
    folder.mkdir(exist_ok=True)
    (folder / "everfit.yaml").write_text(re.sub(r"(?m)^( *)#(?=\S)", r"\1", text) if edit == "switch on" else text)
    return load(folder / "everfit.yaml", environment="dev", env=VARIABLES).project


def test_roles_of_columns_are_found() -> None:
    found = survey(table(seen_at=[f"2025-01-{n % 28 + 1:02}" for n in range(ROWS)]), "Churn")
    assert (found.task, found.positive, found.classes) == (Task.BINARY, "Yes", ("No", "Yes"))
    assert (found.entity, found.time, found.personal) == ("customerID", "seen_at", ("email",))


def test_surprises_name_the_column() -> None:
    found = survey(table(region=["north"] * ROWS, note=[""] * ROWS), "Churn")
    assert "TotalCharges: 3 blank values are read as missing" in found.surprises
    assert any(text.startswith("email looks like personal data") for text in found.surprises)
    assert any(text.startswith("region: is the same in every row") for text in found.surprises)
    assert any(text.startswith("note: holds no value at all") for text in found.surprises)


def test_column_that_tells_the_target_is_pointed_out() -> None:
    left = ["gone" if n % 4 == 0 else "here" for n in range(ROWS)]
    reason = ["price" if n % 4 == 0 else "" for n in range(ROWS)]
    assert survey(table(status=left, reason=reason), "Churn").revealing == ("status", "reason")
    assert survey(table(), "Churn").revealing == ()


def test_copy_of_a_number_to_predict_is_pointed_out() -> None:
    price = [f"{(n % 37) ** 2 * 1.5}" for n in range(ROWS)]
    in_cents = [f"{(n % 37) ** 2 * 150}" for n in range(ROWS)]
    assert survey(table(price=price, cents=in_cents), "price").revealing == ("cents",)


def test_rows_that_repeat_are_counted() -> None:
    frame = table()
    assert "2 rows repeat others in every value" in survey(pl.concat([frame, frame.head(2)]), "Churn").surprises


def test_what_the_table_breaks_itself_is_said_beforehand() -> None:
    churn = ["" if n == 7 else "Yes" if n % 4 == 0 else "No" for n in range(ROWS)]
    issues = survey(table(Churn=churn), "Churn").issues
    assert [issue.check for issue in issues] == ["target_missing"]
    assert "first in row 8" in issues[0].observed
    assert survey(table(), "Churn").issues == ()


@pytest.mark.parametrize(
    ("name", "kind", "personal"),
    [
        ("email", Kind.IDENTIFIER, True),
        ("Contact E-Mail", Kind.TEXT, True),
        ("first_name", Kind.CATEGORICAL, True),
        ("Surname", Kind.TEXT, True),
        ("phone_number", Kind.IDENTIFIER, True),
        ("HomeAddress", Kind.TEXT, True),
        ("IBAN", Kind.IDENTIFIER, True),
        ("SSN", Kind.IDENTIFIER, True),
        ("PhoneService", Kind.BOOLEAN, False),
        ("email_opens", Kind.NUMERIC, False),
        ("plan_name", Kind.CATEGORICAL, False),
        ("customerID", Kind.IDENTIFIER, False),
    ],
)
def test_personal_columns_are_known_by_name(name: str, kind: Kind, personal: bool) -> None:
    values = pl.Series([str(n) for n in range(100)])
    assert guesses.is_personal(Column(name, kind, distinct=100), values) is personal


def test_personal_name_over_a_few_values_is_a_category() -> None:
    assert not guesses.is_personal(Column("mobile", Kind.CATEGORICAL, distinct=3), pl.Series(["a", "b", "c"] * 40))


def test_row_numbers_and_gaps_are_no_entity() -> None:
    columns = (
        Column("RowNumber", Kind.IDENTIFIER, distinct=100),
        Column("old_id", Kind.IDENTIFIER, distinct=90, null_share=0.1),
        Column("order_id", Kind.IDENTIFIER, distinct=80),
        Column("CustomerId", Kind.IDENTIFIER, distinct=100),
    )
    assert guesses.entity(Schema(columns), 100, ()) == "CustomerId"
    assert guesses.entity(Schema(columns[:3]), 100, ()) == "order_id"
    assert guesses.entity(Schema(columns[:2]), 100, ()) is None


def test_two_dates_without_a_telling_name_are_not_guessed() -> None:
    columns = (Column("start_date", Kind.DATE), Column("end_date", Kind.DATE))
    assert guesses.time(Schema(columns), ()) is None


def test_named_entity_and_time_win_and_their_kinds_are_written(tmp_path: Path) -> None:
    store = [str(n % 60) for n in range(ROWS)]
    project = settings(survey(table(store=store), "Churn", entity="store"), tmp_path)
    assert (project.data.entity, project.data.columns) == ("store", {"store": Kind.IDENTIFIER})
    assert (project.data.split.by, project.data.split.group) == ("group", "store")


def test_majority_yes_is_still_the_positive_class() -> None:
    assert survey(table(Churn=["No" if n % 4 == 0 else "Yes" for n in range(ROWS)]), "Churn").positive == "Yes"
    assert survey(table(Churn=["a" if n % 4 == 0 else "b" for n in range(ROWS)]), "Churn").positive == "a"


@pytest.mark.parametrize(
    ("target", "entity", "time", "where", "words"),
    [
        ("churn", None, None, "--target", "'Churn'"),
        ("price", None, None, "--target", "customerID, email"),
        ("Churn", "customer_id", None, "--entity", "'customerID'"),
        ("Churn", None, "tenur", "--time", "'tenure'"),
        ("Churn", "Churn", None, "--entity", "another column"),
        ("Churn", None, "plan", "--time", "2024-01-31"),
    ],
)
def test_wrong_columns_are_refused_with_advice(
    target: str, entity: str | None, time: str | None, where: str, words: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        survey(table(), target, entity, time)
    assert caught.value.where == where
    assert words in caught.value.fix


def test_constant_target_is_refused() -> None:
    with pytest.raises(ChecksFailed, match="1 distinct value"):
        survey(table(Churn=["No"] * ROWS), "Churn")


def test_table_without_anything_to_learn_from_is_refused() -> None:
    frame = table().select("customerID", "email", "Churn")
    with pytest.raises(ProjectError, match="no column is left to learn from"):
        survey(frame, "Churn")


def test_settings_are_those_that_were_found(tmp_path: Path) -> None:
    project = settings(survey(table(), "Churn"), tmp_path)
    assert project.data.source == "../customers.csv"
    assert (project.data.target.positive, project.data.entity) == ("Yes", "customerID")
    assert project.data.personal == {"email": "drop"}
    assert (project.gates.roc_auc, project.gates.not_worse_than) == (0.7, "production")
    assert project.release.strategy == "canary"
    assert {check.column for check in project.checks if isinstance(check, ColumnCheck)} == {
        "customerID", "PhoneService", "tenure", "TotalCharges", "plan"
    }  # fmt: skip


def test_checks_are_read_back_as_proposed(tmp_path: Path) -> None:
    found = survey(table(), "Churn")
    assert settings(found, tmp_path).checks == found.proposed


@pytest.mark.parametrize("entity", [None, "email"])
@pytest.mark.parametrize("target", ["Churn", "plan", "TotalCharges"])
def test_every_setting_in_a_comment_can_be_switched_on(target: str, entity: str | None, tmp_path: Path) -> None:
    charges = [f"{n * 3.25}" for n in range(ROWS)]
    found = survey(table(TotalCharges=charges), target, entity)
    project = settings(found, tmp_path, "switch on")
    assert [channel.kind for channel in project.alerts] == ["console", "webhook"]
    assert project.release.steps == (0.1, 0.5)
    assert "production" in project.environments


@pytest.mark.parametrize(("target", "gate"), [("plan", "roc_auc"), ("TotalCharges", "r2")])
def test_gate_fits_the_task(target: str, gate: str, tmp_path: Path) -> None:
    charges = [f"{n * 3.25}" for n in range(ROWS)]
    project = settings(survey(table(TotalCharges=charges), target), tmp_path)
    assert set(project.gates.model_fields_set) == {gate, "not_worse_than"}


def test_example_feature_is_off_and_runs_when_switched_on() -> None:
    frame = table()
    text = scaffold("churn", "customers.csv", survey(frame, "Churn"))["features.py"]
    assert load_functions(text).callables == {}
    switched_on = load_functions(re.sub(r"(?m)^# ?(?=import|def|    )", "", text))
    schema = infer(frame)
    columns = arrays(conform(frame, schema), schema, ["tenure", "TotalCharges"])
    assert compute(switched_on, columns, ["TotalCharges_per_tenure"])["TotalCharges_per_tenure"].shape == (ROWS,)


@pytest.mark.parametrize("dropped", [("TotalCharges",), ("TotalCharges", "tenure")])
def test_there_is_an_example_feature_for_every_table(dropped: tuple[str, ...]) -> None:
    frame = table().drop(dropped)
    text = scaffold("churn", "customers.csv", survey(frame, "Churn"))["features.py"]
    functions = load_functions(re.sub(r"(?m)^# ?(?=import|def|    )", "", text))
    schema = infer(frame)
    columns = arrays(conform(frame, schema), schema, frame.columns)
    assert len(compute(functions, columns, list(functions.callables))) == 1


def test_request_in_the_guide_is_a_row_of_the_table() -> None:
    frame = table()
    text = scaffold("churn", "customers.csv", survey(frame, "Churn"))["README.md"]
    block = re.findall(r"```bash\n(curl .*?)\n```", text, re.DOTALL)[0]
    body = json.loads(shlex.split(block)[-1])
    row = frame.row(1, named=True)  # the first has a blank
    assert {name: str(value) for name, value in body.items()} == {
        name: row[name] for name in row if name not in ("email", "Churn")
    }


def test_text_never_breaks_out_of_comments_and_quotes(tmp_path: Path) -> None:
    odd = {
        "a: b #c": [f"v{n % 3}" for n in range(ROWS)],
        "two\nlines": [("${HOME}", "'", '"\\')[n % 3] for n in range(ROWS)],
    }
    found = survey(table(**odd, Churn=None, **{"is\ngone": ["y" if n % 5 else "n" for n in range(ROWS)]}), "is\ngone")
    project = settings(found, tmp_path)
    assert project.data.target.column == "is\ngone"
    assert project.checks == found.proposed
    assert project.data.target.positive == "y"


SCALARS = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=30)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=10), SCALARS | st.lists(st.text(max_size=40), max_size=9), min_size=1, max_size=5
    )
)
def test_written_values_are_read_back(value: dict[str, Any]) -> None:
    def meant(text: Any) -> Any:
        return text.replace("$${", "${") if isinstance(text, str) else text

    def undone(read: Any) -> Any:
        return [meant(each) for each in read] if isinstance(read, list) else meant(read)

    for text in (one_line([value]), item(value)):
        (read,) = parse_value(text, "test")
        assert {key: undone(each) for key, each in read.items()} == value


def test_long_checks_are_broken_between_values() -> None:
    text = item({"column": "plan", "allowed": [f"a rather long level {n}" for n in range(12)]})
    assert max(map(len, text.splitlines())) <= WIDTH
    assert parse_value(text, "test")[0]["allowed"][11] == "a rather long level 11"


@given(st.from_regex(r"[A-Za-z0-9_. -]{1,70}", fullmatch=True))
def test_names_are_those_that_the_project_file_accepts(name: str) -> None:
    pattern = next(m.pattern for m in Project.model_fields["name"].metadata if hasattr(m, "pattern"))
    assert bool(re.fullmatch(pattern, name)) == _accepted(name)


def _accepted(name: str) -> bool:
    try:
        _demand_name(name)
    except ProjectError:
        return False
    return True


@pytest.fixture
def customers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    table().write_csv(tmp_path / "customers.csv")
    return tmp_path


def started(*more: str) -> int:
    return call(["init", "churn", "--from", "customers.csv", "--target", "Churn", *more])


def test_init_writes_a_project_that_loads(customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert started() == 0
    assert sorted(path.name for path in (customers / "churn").iterdir()) == sorted(FILES)
    assert load(customers / "churn" / "everfit.yaml").project.data.source == "../customers.csv"
    out = capsys.readouterr().out
    assert "TotalCharges: 3 blank values are read as missing" in out
    assert "cd churn && everfit run" in out


def test_init_answers_in_json(customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert started("--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == list(FILES)
    assert document["found"]["positive"] == "Yes"


def test_init_into_the_table_s_own_folder(customers: Path) -> None:
    assert started("--into", ".") == 0
    assert load(customers / "everfit.yaml").project.data.source == "customers.csv"
    assert [path.name for path in customers.iterdir() if "unfinished" in path.name] == []


def test_init_replaces_nothing_unless_forced(customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (customers / "churn").mkdir()
    (customers / "churn" / "README.md").write_text("mine")
    assert started() == ProjectError.exit_code
    assert "already holds README.md" in capsys.readouterr().err
    assert [path.name for path in (customers / "churn").iterdir()] == ["README.md"]
    assert started("--force") == 0
    assert (customers / "churn" / "README.md").read_text().startswith("# churn")


def test_folder_in_the_place_of_a_file_is_never_touched(customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (customers / "churn" / "README.md").mkdir(parents=True)
    (customers / "churn" / "README.md" / "mine").touch()
    assert started("--force") == ProjectError.exit_code
    assert "README.md in it is a folder" in capsys.readouterr().err
    assert (customers / "churn" / "README.md" / "mine").exists()


def test_nothing_changes_when_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(StorageError):
        write(tmp_path, {"a": "new", "z/z": "in no folder"})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "mine")]


def test_files_are_put_back_when_one_of_them_cannot_be_moved(tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.mkdir()
    (staged / "a").write_text("new")
    (staged / "b").write_text("new")
    (tmp_path / "a").write_text("mine")
    (tmp_path / "gone").write_text("mine too")
    with pytest.raises(FileNotFoundError):
        _move(staged, tmp_path, ["a", "b", "gone"])
    found = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    assert found == {"a": "mine", "gone": "mine too"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["churn", "--from", "customer.csv", "--target", "Churn"], 3, "did you mean customers.csv?"),
        (["churn", "--from", "nowhere/x.csv", "--target", "Churn"], 3, "relative to where you stand"),
        (["churn", "--from", "empty.csv", "--target", "Churn"], 3, "the file is empty"),
        (["churn", "--from", "header.csv", "--target", "Churn"], 3, "has a header and no rows"),
        (["churn", "--from", "book.xlsx", "--target", "Churn"], 2, "ends in .csv"),
        (["churn", "--from", "customers.csv"], 2, "the columns are customerID"),
        (["churn", "--from", "customers.csv", "--target", "churn"], 2, "did you mean 'Churn'?"),
        (["2 churn", "--from", "customers.csv", "--target", "Churn"], 2, "begin with a letter"),
        (["churn", "--from", "customers.csv", "--target", "Churn", "--into", "customers.csv"], 2, "--into"),
    ],
)
def test_wrong_calls_are_refused_with_advice_and_leave_nothing(
    arguments: list[str], code: int, words: str, customers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (customers / "empty.csv").touch()
    (customers / "header.csv").write_text("a,Churn\n")
    (customers / "book.xlsx").write_bytes(b"PK\x03\x04")
    before = sorted(customers.iterdir())
    assert call(["init", *arguments]) == code
    assert words in capsys.readouterr().err
    assert sorted(customers.iterdir()) == before


def test_files_of_a_glob_stay_a_glob(customers: Path) -> None:
    table().write_csv(customers / "customers-2.csv")
    assert call(["init", "churn", "--from", "customers*.csv", "--target", "Churn"]) == 0
    assert load(customers / "churn" / "everfit.yaml").project.data.source == "../customers*.csv"
    assert address("a*.csv", Path("a")) == "../a*.csv"


def test_every_refusal_has_advice(customers: Path) -> None:
    for arguments in (["churn", "--from", "x.csv"], ["1", "--from", "customers.csv"]):
        with pytest.raises(EverfitError) as caught:
            command.main(args=arguments, standalone_mode=False)
        assert caught.value.fix


def test_parquet_keeps_its_types(customers: Path) -> None:
    seen = [date(2025, 1, 1 + n % 28) for n in range(ROWS)]
    frame = pl.DataFrame(
        {"age": [20.0 + n % 50 for n in range(ROWS)], "seen": seen, "left": [n % 3 == 0 for n in range(ROWS)]}
    )
    frame.write_parquet(customers / "t.parquet")
    assert call(["init", "churn", "--from", "t.parquet", "--target", "left"]) == 0
    data = load(customers / "churn" / "everfit.yaml").project.data
    assert (data.time, data.target.positive) == ("seen", "true")
