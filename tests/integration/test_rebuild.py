"""A registered version is trained again from its lineage, and held against what it was."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from everfit.cli import rebuild as command
from everfit.errors import ProjectError, ReleaseError, SourceError
from everfit.flow import rebuild
from everfit.project.sections.root import Project
from everfit.records.model import Lineage
from tests.integration.projects import SmallProject, customers

EVERY = """\
project: churn
data:
  source: customers.csv
  target: {column: churn, positive: "Yes"}
  entity: customer_id
  exclude: [event_timestamp]
training:
  models: [FAMILY]
  budget: {trials: 2, folds: 2}
  executor: serial
gates: {roc_auc: 0.6}
"""


def test_a_version_is_reproduced_after_the_project_and_its_data_have_changed(trained: SmallProject) -> None:
    trained.edit("models: [logistic]", "models: [random_forest]")
    trained.edit("roc_auc: 0.6", "roc_auc: 0.9999")
    customers(100, seed=8).write_csv(trained.table)
    before = trained.events()
    outcome = trained.call("rebuild", "churn@1", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert (found["equal"], found["rows"], found["largest"], found["family"]) == (True, 800, 0.0, "logistic")
    assert trained.events() == before


@pytest.mark.parametrize("family", ["random_forest", "xgboost", "lightgbm"])
def test_each_family_is_reproduced_to_the_bit_search_and_all(project: Callable[..., SmallProject], family: str) -> None:
    made = project(rows=400, settings=EVERY.replace("FAMILY", family))
    assert made.call("run").code == 0
    done = command.rebuild(made.open(), 1)
    assert (done.equal, done.chosen, done.largest) == (True, True, 0.0)


def test_without_the_stored_table_the_source_will_do_if_it_is_unchanged(
    trained: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "stored", lambda *_: None)
    assert command.rebuild(trained.open(), 1).equal
    customers(100, seed=8).write_csv(trained.table)
    with pytest.raises(SourceError, match=r"800 rows .* then, 100 rows .* now"):
        command.rebuild(trained.open(), 1)


def test_another_package_is_named_and_refused_unless_one_goes_on_anyway(
    trained: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "versions", lambda names: {"numpy": "1.0"})
    with pytest.raises(ProjectError, match=r"numpy .* then, 1\.0 now"):
        command.rebuild(trained.open(), 1)
    done = command.rebuild(trained.open(), 1, anyway=True)
    assert done.equal
    assert len(done.changed) == 1


def test_what_is_not_equal_says_so_with_the_library_and_ends_in_failure(
    trained: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = rebuild.settings

    def weaker(lineage: Lineage, project: Project) -> Project:
        then = found(lineage, project)
        return then.model_copy(update={"training": then.training.model_copy(update={"class_weight": "balanced"})})

    monkeypatch.setattr(rebuild, "settings", weaker)
    outcome = trained.call("rebuild", "1")
    assert outcome.code == 1
    assert "Version 1 is not reproduced" in outcome.out
    assert "scikit-learn" in outcome.out


def test_an_unknown_version_or_name_is_refused(trained: SmallProject) -> None:
    with pytest.raises(ReleaseError, match="version 9 is not registered"):
        command.rebuild(trained.open(), 9)
    assert trained.call("rebuild", "sales@1").code == 64
    assert trained.call("rebuild", "newest").code == 64


def test_settings_in_the_bundle_hold_no_source_and_no_key(trained: SmallProject) -> None:
    settings = trained.open_manifest().lineage.settings
    assert not {"source", "key"} & settings["data"].keys()
    assert settings["training"]["models"][0]["name"] == "logistic"
