"""Every setting is listed with its value, origin, default and meaning, and secrets stay hidden."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from everfit.project.catalogue import description, sections_at
from everfit.project.describe import Setting, fields, json_schema, settings, settings_page
from everfit.project.document import parse
from everfit.project.load import load

TEXT = """project: churn
data: {source: a.csv, target: Churn, key: "${KEY}", personal: {email: hash}}
alerts: [console, {webhook: "${KEY}"}]
release: immediate
training: {models: [{name: mine, class: a.B}]}
backends: {tracking: "postgresql://me:${KEY}@db/x"}
environments: {staging: {}}
"""


@pytest.fixture
def shown(tmp_path: Path) -> dict[str, Setting]:
    (tmp_path / "everfit.yaml").write_text(TEXT, encoding="utf-8")
    return {one.path: one for one in settings(load(tmp_path / "everfit.yaml", env={"KEY": "hunter2"}))}


def test_settings_hold_value_origin_default_and_meaning(shown: dict[str, Setting]) -> None:
    meaning = "All at once, step by step, or in another way."
    assert shown["release.strategy"] == Setting("release.strategy", "immediate", "everfit.yaml:4", "canary", meaning)
    assert shown["training.seed"].origin == "default"
    assert shown["project"].origin == "everfit.yaml:1"
    assert (shown["retraining.cooldown"].value, shown["retraining.cooldown"].default) == ("1d", "1d")
    assert shown["training.models"].value == "[{name: mine, class: a.B}]"


def test_secrets_are_hidden_wherever_they_stand(shown: dict[str, Setting]) -> None:
    assert shown["data.key"].value == "****"
    assert shown["data.key"].origin == "$KEY, everfit.yaml:2"
    assert shown["alerts"].value == "[{kind: console}, {kind: webhook, url: '****'}]"
    assert shown["backends.tracking"].value == "postgresql://me:****@db/x"
    assert "hunter2" not in repr(shown)


def test_every_setting_outside_lists_is_shown(shown: dict[str, Setting]) -> None:
    every = [one for one in fields() if "[" not in one.path]
    absent = {one.path for one in every if one.type == "section"} & shown.keys()  # a section that is not there
    plain = {one.path for one in every if one.type != "section" and one.path.rpartition(".")[0] not in absent}
    assert absent == {"release.target", "serving.grpc", "serving.tls", "training.threshold.cost"}
    assert shown.keys() - absent == plain - {"environments"}


def test_every_field_has_a_type_and_a_meaning() -> None:
    assert [one.path for one in fields() if not one.type or not one.description] == []


def test_the_page_names_every_field() -> None:
    page = settings_page()
    assert [one.path for one in fields() if f"| `{one.path}` |" not in page] == []
    assert "| `serving.port` | whole number | `8000` |" in page
    assert "| `monitoring.every` | duration (`30d`) | `1h` |" in page


def test_every_default_is_written_as_it_can_be_given() -> None:
    for one in fields():
        if one.default:
            parse(f"a: {one.default}", one.path)


def test_the_schema_is_json_and_knows_every_key() -> None:
    schema = json.loads(json.dumps(json_schema()))
    tops = {one.path for one in fields() if "." not in one.path}
    assert schema["properties"].keys() == tops
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["ModelChoice"]["properties"].keys() == {"name", "class", "params", "space"}
    assert schema["$defs"]["Serving"]["properties"]["port"]["description"]


def test_the_schema_lets_short_forms_and_variables_pass() -> None:
    definitions, top = json_schema()["$defs"], json_schema()["properties"]
    assert {"type": "string"} in top["release"]["anyOf"]
    assert {"type": "string"} in definitions["Data"]["properties"]["target"]["anyOf"]
    assert {"type": "string"} in definitions["Training"]["properties"]["models"]["items"]["anyOf"]
    assert definitions["Serving"]["properties"]["port"]["anyOf"][0] == {
        "maximum": 65535,
        "minimum": 0,
        "type": "integer",
    }
    assert "pattern" in definitions["Serving"]["properties"]["port"]["anyOf"][1]


def test_a_place_in_the_file_leads_to_its_section_and_meaning() -> None:
    assert [one.__name__ for one in sections_at(("checks", 3))] == ["ColumnCheck", "TableCheck"]
    assert sections_at(("nowhere", "else")) == ()
    assert description(("training", "models", 0, "class")).startswith("Dotted path")
    assert description(()) == description(("nowhere",)) == ""


def test_settings_are_plain_records(shown: dict[str, Setting]) -> None:
    assert TypeAdapter(list[Setting]).dump_python(list(shown.values()), mode="json")
