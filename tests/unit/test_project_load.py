"""One file, its environments and the variables around it become one checked project, or one list of problems."""

import re
import traceback
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from everfit.errors import ProjectError
from everfit.project.load import Loaded, load

SMALL = "project: churn\ndata: {source: a.csv, target: Churn}\n"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVERFIT_ENV", raising=False)


def loaded(folder: Path, text: str, env: Mapping[str, str] | None = None, **more: Any) -> Loaded:
    path = folder / "everfit.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, env=env or {}, **more)


def problems(folder: Path, text: str, env: Mapping[str, str] | None = None, **more: Any) -> str:
    with pytest.raises(ProjectError) as caught:
        loaded(folder, text, env, **more)
    shown = "".join(traceback.format_exception(caught.value))
    for value in (env or {}).values():
        assert value not in shown
    return str(caught.value).replace(f"{folder}/", "")


def test_the_smallest_file_is_a_whole_project(tmp_path: Path) -> None:
    found = loaded(tmp_path, SMALL)
    assert (found.project.name, found.project.data.target.column) == ("churn", "Churn")
    assert (found.environment, found.root, found.path) == ("dev", tmp_path, tmp_path / "everfit.yaml")
    assert found.project.training.seed == 42


def test_on_is_a_key_and_yes_is_text(tmp_path: Path) -> None:
    text = "project: churn\ndata: {source: a.csv, target: {column: Churn, positive: Yes}}\nretraining: {on: [schedule]}"
    project = loaded(tmp_path, text).project
    assert project.data.target.positive == "Yes"
    assert project.retraining.on == ("schedule",)


def test_variables_become_what_the_setting_needs(tmp_path: Path) -> None:
    text = SMALL + (
        'serving: {port: "${PORT}", refresh: "${R}", response: {features: "${SHOW}"}}\n'
        'training: {seed: "${SEED:-7}", metric: "${M}"}\nrelease: {steps: ["${S}"]}\n'
    )
    env = {"PORT": "81", "R": "2s", "SHOW": "yes", "M": "f1", "S": "20%"}
    project = loaded(tmp_path, text, env).project
    assert (project.serving.port, project.serving.response.features, project.training.seed) == (81, True, 7)
    assert (project.serving.refresh, project.training.metric, project.release.steps) == (
        timedelta(seconds=2),
        "f1",
        (0.2,),
    )


def test_secrets_come_only_from_whole_variables(tmp_path: Path) -> None:
    def with_key(key: str) -> str:
        return f"project: churn\ndata: {{source: a, target: b, key: '{key}', personal: {{c: hash}}}}\n"

    key = loaded(tmp_path, with_key("${KEY}"), {"KEY": "hunter2"}).project.data.key
    assert key is not None
    assert key.get_secret_value() == "hunter2"
    for written in ("hunter2", "${KEY:-hunter2}", "x${OTHER}"):
        said = problems(tmp_path, with_key(written), {"OTHER": "sesame"})
        assert "everfit.yaml:2:30: data.key: a secret is never written into the file" in said
        assert "hunter2" not in said


@pytest.mark.parametrize(
    "address",
    ["postgresql://me:hush@db/everfit", "postgresql://db/everfit?user=me&password=hush", "mysql://db/everfit"],
)
def test_an_address_of_the_state_is_refused_with_a_password_or_of_another_kind(tmp_path: Path, address: str) -> None:
    path = tmp_path / "everfit.yaml"
    path.write_text(f"project: a\ndata: {{source: a.csv, target: b}}\nbackends: {{state: '{address}'}}\n")
    with pytest.raises(ProjectError, match=r"everfit\.yaml:3:12: backends\.state: ") as told:
        load(path, env={})
    assert "hush" not in str(told.value)


@pytest.mark.parametrize("state", ["postgresql://me@db/everfit", "${STATE}"])
def test_an_address_of_the_state_is_taken_without_a_password_or_from_the_environment(
    tmp_path: Path, state: str
) -> None:
    path = tmp_path / "everfit.yaml"
    path.write_text(f"project: a\ndata: {{source: a.csv, target: b}}\nbackends: {{state: '{state}'}}\n")
    loaded = load(path, env={"STATE": "postgresql+psycopg2://me:hush@db/everfit"})
    assert loaded.project.backends.state is not None
    assert "hush" not in repr(loaded.project)


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    text = 'project: churn\ndata: {source: a, target: b, key: "${KEY}"}\n'
    with pytest.raises(ProjectError, match="the environment variable is empty"):
        loaded(tmp_path, text, {"KEY": ""})


def test_a_missing_variable_is_named_with_its_place(tmp_path: Path) -> None:
    said = problems(tmp_path, "project: churn\ndata:\n  source: s3://${BUCKET}/a\n  target: b\n")
    assert said.startswith("everfit.yaml:3:3: data.source: the environment variable BUCKET is not set")
    assert "fix: export BUCKET=..." in said


def test_the_env_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=1\nHOST=here\nEVERFIT_ENV=staging\n", encoding="utf-8")
    text = SMALL + 'serving: {port: "${PORT}", host: "${HOST}"}\nenvironments: {staging: }\n'
    found = loaded(tmp_path, text, {"PORT": "2"})
    assert (found.project.serving.port, found.project.serving.host, found.environment) == (2, "here", "staging")


def test_the_environment_is_read_when_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERFIT_TEST_SEED", "5")
    (tmp_path / "everfit.yaml").write_text(SMALL + "training:\n  seed: ${EVERFIT_TEST_SEED}\n", encoding="utf-8")
    assert load(str(tmp_path / "everfit.yaml")).project.training.seed == 5


STAGED = (
    SMALL
    + """release: {strategy: canary, steps: [10%, 50%], verdict: {requests: 7}}
gates: {f1: 0.5}
environments:
  staging:
    release: immediate
    gates: {f1: 0.6, roc_auc: 0.7}
  production: {release: {steps: [5%]}, data: {key: "${PROD_KEY}"}, serving: {port: "${PROD_PORT}"}}
"""
)


def test_an_overlay_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    staging = loaded(tmp_path, STAGED, environment="staging").project
    assert (staging.gates.f1, staging.gates.roc_auc) == (0.6, 0.7)
    assert (staging.release.strategy, staging.release.verdict.requests) == ("immediate", 7)
    assert loaded(tmp_path, STAGED).project.gates.f1 == 0.5


def test_lists_are_replaced_whole(tmp_path: Path) -> None:
    env = {"PROD_KEY": "hunter2", "PROD_PORT": "80", "EVERFIT_ENV": "production"}
    found = loaded(tmp_path, STAGED, env)
    assert found.environment == "production"
    assert found.project.release.steps == (0.05,)
    assert set(found.project.environments) == {"staging", "production"}
    assert "hunter2" not in repr(found)


def test_every_overlay_is_checked_whichever_is_chosen(tmp_path: Path) -> None:
    text = STAGED.replace("roc_auc: 0.7", "roc_au: 0.7").replace("[5%]", "[5%, 500%]")
    said = problems(tmp_path, text)
    assert "everfit.yaml:8:22: environments.staging.gates.roc_au: unknown key; did you mean 'roc_auc'?" in said
    assert "everfit.yaml:9:38: environments.production.release.steps[1]: must be at most 1, found '500%'" in said
    assert said.startswith("2 problems")


def test_a_problem_of_the_whole_file_is_told_once(tmp_path: Path) -> None:
    assert problems(tmp_path, STAGED.replace("f1: 0.5", "f1: high")).count("gates.f1") == 1


@pytest.mark.parametrize(
    ("environments", "said"),
    [
        ("environments: [staging]", "environments: expected names of environments"),
        ("environments: {staging: 3}", "environments.staging: is not a mapping of settings"),
        ("environments: {staging: {environments: {}}}", "environments.staging: is not a mapping of settings"),
    ],
)
def test_environments_of_another_form_are_refused(tmp_path: Path, environments: str, said: str) -> None:
    assert said in problems(tmp_path, SMALL + environments)


def test_an_unknown_environment_is_refused_with_a_near_one(tmp_path: Path) -> None:
    said = problems(tmp_path, STAGED, environment="stagin")
    assert "there is no environment 'stagin'; did you mean 'staging'?" in said
    assert "choose one of dev, production, staging" in said


def test_overrides_win_over_all(tmp_path: Path) -> None:
    overrides = ["training.seed=7", "release.steps=[20%, 60%]", "data.target=Left", "release.strategy=canary"]
    project = loaded(tmp_path, STAGED, environment="staging", overrides=overrides).project
    assert (project.training.seed, project.release.steps) == (7, (0.2, 0.6))
    assert (project.data.target.column, project.release.strategy) == ("Left", "canary")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.seed", "--set training.seed: is not PATH=VALUE"),
        ("=3", "is not PATH=VALUE"),
        ("training..seed=3", "is not PATH=VALUE"),
        ("training.sed=3", "--set training.sed: training.sed: unknown key; did you mean 'seed'?"),
        ("training.seed=[", "a bracket [ or { is not closed"),
        ("data.key=hunter2", "a secret is never written into the file"),
        ("environments.dev=3", "sets an environment, not a value"),
        ("training.seed.x=3", "expected a whole number, found keys and values"),
    ],
)
def test_a_wrong_override_is_refused(tmp_path: Path, override: str, said: str) -> None:
    found = problems(tmp_path, SMALL, overrides=[override])
    assert said in found
    assert "hunter2" not in found


def test_every_value_knows_where_it_comes_from(tmp_path: Path) -> None:
    text = STAGED + 'training:\n  seed: 3\nserving: {port: "${PORT}"}\n'
    origins = loaded(tmp_path, text, {"PORT": "1"}, environment="staging", overrides=["training.seed=4"]).origins
    assert origins["data", "source"] == "everfit.yaml:2"
    assert origins["data", "target", "column"] == "everfit.yaml:2"
    assert origins["gates", "roc_auc"] == "environment staging, everfit.yaml:8"
    assert origins["serving", "port"] == "$PORT, everfit.yaml:12"
    assert origins["training", "seed"] == "--set"
    assert ("training", "metric") not in origins


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("seed: 3", "3:1: seed: unknown key; did you mean 'data.split.seed'?"),
        ("training: {modles: []}", "3:12: training.modles: unknown key; did you mean 'models'?"),
        ("training: {seed: 1.5}", "3:12: training.seed: expected a whole number, found 1.5"),
        ("training: {seed: -1}", "3:12: training.seed: must be at least 0, found -1"),
        ("training: {metric: 3}", "3:12: training.metric: expected text, found 3\n  fix: put it in quotes: '3'"),
        ("training: {models: []}", "3:12: training.models: needs at least 1 entry"),
        ("training: {models: [{nam: x}]}", "training.models[0].nam: unknown key; did you mean 'name'?"),
        ("training: {models: [{nam: x}]}", "training.models[0].name: is missing"),
        ("training:", "3:1: training: has no value, expected keys and values"),
        ("gates: {f1: .nan}", "3:9: gates.f1: expected a finite number, found nan"),
        ("release: cannary", "3:1: release: 'cannary' is not one of immediate, rolling, blue_green, shadow, canary, "),
        ("release: cannary", "ab, thompson; did you mean 'canary'?"),
        ("release: {steps: 10%}", "3:11: release.steps: expected a list, found '10%'"),
        ("release: {steps: [50%, 10%]}", "steps must rise from above 0%"),
        ("monitoring: {every: often}", "'often' is not a duration; write a number and a unit"),
        ("checks: [{column: a, rows: {min: 1}}]", "3:22: checks[0].rows: unknown key"),
        ("checks: [{row: {min: 1}}]", "3:11: checks[0].row: unknown key; did you mean 'rows'?"),
        ("checks: [{column: a, min: x}]", "3:22: checks[0].min: expected a number, found 'x'"),
        ("checks: [{column: a, allowed: [[]]}]", "checks[0].allowed[0]: expected text, "),
        ("checks: [3]", "3:10: checks[0]: expected keys and values, found 3"),
        ("alerts: [webhok]", "3:10: alerts[0]: 'webhok' is not one of console, slack, pagerduty, email, webhook, "),
        ("alerts: [webhok]", "alertmanager; did you mean 'webhook'?"),
        ("alerts: [{webhook: 'https://x/abc'}]", "alerts[0]: a secret is never written into the file"),
        ("alerts: ['https://x/abc']", "'https://...' is not one of console, slack"),
        ("name: other", "3:1: name: unknown key"),
    ],
)
def test_a_problem_is_said_in_plain_words_at_its_place(tmp_path: Path, more: str, said: str) -> None:
    found = problems(tmp_path, SMALL + more)
    assert said in found
    assert "abc" not in found


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "project: 9x\ndata:\n  targget: Churn\nserving: {port: 70000}\n"
    said = problems(tmp_path, text)
    assert re.findall(r"everfit\.yaml:(\d+:\d+: [\w.]+: [\w ]+)", said) == [
        "1:1: project: does not have the form that is asked for",
        "2:1: data.source: is missing",
        "2:1: data.target: is missing",
        "3:3: data.targget: unknown key",
        "4:11: serving.port: must be at most 65535",
    ]


def test_no_message_shows_the_value_of_a_variable(tmp_path: Path) -> None:
    text = SMALL + (
        'serving: {port: "${A}", refresh: "${A}", host: "x${A}"}\nrelease: "${A}"\nalerts: ["${A}", {webhok: "${A}"}]\n'
        'training: {executor: "x-${A}", models: [{name: a, nam: "${A}"}]}\nmonitoring: {tolerance: "pre${A}"}\n'
    )
    said = problems(tmp_path, text, {"A": "https://hunter2"})
    assert "hunter2" not in said
    assert "serving.port: expected a whole number, found $A" in said


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="everfit init"):
        load(tmp_path / "everfit.yaml", env={})


def test_a_verdict_on_labels_needs_a_deadline_after_they_have_come(tmp_path: Path) -> None:
    text = "project: churn\ndata: {source: a, target: {column: b, delay: 30d}}\nrelease: {verdict: {log_loss: 0.01"
    with pytest.raises(ProjectError, match="judges by labels, which take 30d, and its deadline is 1d"):
        loaded(tmp_path, text + "}}\n")
    assert loaded(tmp_path, text + ", deadline: 45d}}\n").project.release.verdict.log_loss == 0.01
