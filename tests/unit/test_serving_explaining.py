"""Explanations of logged predictions: by the version that answered, from the log alone, over HTTP and in process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from tests.unit.serving_models import GOOD, MemoryLog, bundle, model, one, scoring, table
from tests.unit.test_serving_app import Http, client, post, refused

from everfit.errors import RequestError, StepFailed, UnknownPrediction
from everfit.explaining.links import linked
from everfit.project.sections.serving import Response
from everfit.records.compiled import Link
from everfit.records.explanation import Unit
from everfit.serving.explaining import Explained, Explainer, find
from everfit.serving.log import JsonLinesLog
from everfit.serving.model import open_model
from everfit.serving.predictor import Predictor

ROWS = [row for row in table(40).drop("Churn", "risk", "level").to_dicts() if row["charges"] != " "]
FAMILIES = ["logistic", "spline_logistic", "xgboost", "random_forest", "neural_network"]


def opened(folder: Path) -> Callable[[int], Any]:
    return lambda version: (open_model(folder), folder)


def explained(folder: Path, *rows: Any) -> list[Explained]:
    log = MemoryLog()
    predictor = Predictor(log)
    predictor.swap(one(3), {3: open_model(folder)})
    explainer = Explainer(log, opened(folder))
    return [explainer.explain(prediction.id) for prediction in predictor.predict(rows)]


def behind_the_link(found: Explained) -> float:
    """The explained output as a probability."""
    output = found.explanation.output
    margin = np.array([output])
    return float(linked(Link.LOGISTIC, margin)[0]) if found.explanation.unit is Unit.LOG_ODDS else output


@pytest.mark.parametrize("family", FAMILIES)
def test_contributions_add_up_to_the_score_that_was_answered(family: str) -> None:
    for found in explained(bundle(family=family), *ROWS[:5], {**GOOD, "charges": None, "plan": None}):
        shares = found.explanation.contributions
        total = found.explanation.base + sum(each.amount for each in shares)
        assert total == pytest.approx(found.explanation.output, abs=1e-9)
        assert behind_the_link(found) == pytest.approx(found.record.score, abs=1e-6)
        assert {each.feature for each in shares} == set(found.record.features)
        assert [abs(each.amount) for each in shares] == sorted((abs(each.amount) for each in shares), reverse=True)


def test_a_number_is_explained_in_its_own_unit() -> None:
    [found] = explained(bundle("risk"), ROWS[0])
    assert (found.explanation.unit, found.explanation.about) == (Unit.VALUE, None)
    assert found.explanation.output == pytest.approx(found.record.score)


def test_of_several_classes_the_predicted_one_is_explained() -> None:
    for found in explained(bundle("level"), *ROWS[:5]):
        assert found.explanation.about == found.record.prediction


def test_the_features_that_decide_come_first() -> None:
    first = {found.explanation.contributions[0].feature for found in explained(bundle(), *ROWS[:10])}
    assert first <= {"tenure", "charges", "charge_per_month"}


def test_a_network_is_drawn_and_says_how_far_it_may_be_off() -> None:
    [found] = explained(bundle(family="neural_network"), ROWS[0])
    assert found.explanation.method == "sampled"
    assert all(each.error is not None for each in found.explanation.contributions)
    again = explained(bundle(family="neural_network"), ROWS[0])[0]
    assert again.explanation == found.explanation


def test_a_model_without_compiled_form_is_drawn() -> None:
    log, folder = MemoryLog(), bundle(compiled=False)
    predictor = Predictor(log)
    predictor.swap(one(), {1: open_model(folder)})
    [said] = predictor.predict([ROWS[0]])
    found = Explainer(log, opened(folder)).explain(said.id).explanation
    assert found.method == "sampled"
    assert found.output == pytest.approx(said.score)


@pytest.mark.parametrize("compact", [False, True])
def test_the_log_on_disk_is_read_by_the_ids_own_time(tmp_path: Path, compact: bool) -> None:
    log = JsonLinesLog(tmp_path)
    predictor = Predictor(log)
    predictor.swap(one(), {1: model()})
    said = predictor.predict(ROWS)
    log.close()
    if compact:
        log.tend()
        assert list(tmp_path.glob("*.parquet"))
    found = Explainer(log, opened(bundle())).explain(said[7].id)
    assert found.record.id == said[7].id
    assert found.record.score == said[7].score


@pytest.mark.parametrize(
    "identity", ["", "x", "01a1a0d9-f100-7000-8000-000000000000", "ffffffff-ffff-4fff-8fff-ffffffffffff", "../../etc"]
)
def test_an_id_that_was_never_given_is_not_there(identity: str) -> None:
    with pytest.raises(UnknownPrediction, match="holds no"):
        find(MemoryLog(), identity)


def test_a_failed_prediction_has_nothing_to_explain() -> None:
    log = MemoryLog()
    predictor = Predictor(log)
    predictor.swap(one(), {1: scoring(model(), lambda matrix: np.full((len(matrix), 2), np.nan))})
    with pytest.raises(StepFailed):
        predictor.predict([ROWS[0]])
    with pytest.raises(RequestError, match="failed"):
        Explainer(log, opened(bundle())).explain(log.records[0].id)


def test_a_version_that_scores_otherwise_now_explains_nothing() -> None:
    log = MemoryLog()
    predictor = Predictor(log)
    predictor.swap(one(), {1: model()})
    [said] = predictor.predict([ROWS[0]])
    log.records[0] = replace(log.records[0], score=0.123)
    with pytest.raises(StepFailed, match=r"answered 0\.123"):
        Explainer(log, opened(bundle())).explain(said.id)


def test_versions_are_opened_once_and_few_are_kept() -> None:
    log, asked = MemoryLog(), []

    def counted(version: int) -> Any:
        asked.append(version)
        return model(), bundle()

    explainer, predictor = Explainer(log, counted), Predictor(log)
    predictor.swap(one(1), {1: model()})
    [said] = predictor.predict([ROWS[0]])
    for version in (1, 1, 2, 3, 1):
        log.records[0] = replace(log.records[0], version=version)
        explainer.explain(said.id)
    assert asked == [1, 2, 3, 1]


def serving(response: Response | None = None) -> tuple[Http, MemoryLog]:
    log = MemoryLog()
    predictor = Predictor(log)
    predictor.swap(one(3), {3: model()})
    explainer = Explainer(log, opened(bundle()))
    return client(predictor, explainer=explainer, response=response or Response()), log


def test_a_caller_gets_the_explanation_of_its_answer() -> None:
    server, _ = serving(Response(score="risk", labels={"No": "stays"}))
    said = post(server, GOOD).json()
    answer = server.get(f"/explain/{said['id']}")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["id"], found["risk"], found["version"], found["class"]) == (said["id"], said["risk"], 3, "stays")
    assert found["customerID"] == "c-7"
    assert found["base"] + sum(each["contribution"] for each in found["contributions"]) == pytest.approx(
        found["output"]
    )


def test_an_unknown_id_is_404() -> None:
    server, _ = serving()
    refused(server.get("/explain/01a1a0d9-f100-7000-8000-000000000000"), 404, "holds no")


def test_a_server_without_an_explainer_says_so() -> None:
    refused(client().get("/explain/1"), 501, "explains nothing")


SERVED = """
import sys
from pathlib import Path
from everfit.records.release import Arm, RouteTable
from everfit.serving.explaining import Explainer
from everfit.serving.log import JsonLinesLog
from everfit.serving.model import open_model
from everfit.serving.predictor import Predictor

folder, row = Path(sys.argv[1]), eval(sys.argv[3])
log, model = JsonLinesLog(Path(sys.argv[2])), open_model(folder)
predictor = Predictor(log)
predictor.swap(RouteTable(1, (Arm("champion", 1, 1.0),)), {1: model})
[said] = predictor.predict([row])
print(Explainer(log, lambda version: (model, folder)).explain(said.id).explanation.method.value)
print(sorted({"sklearn", "shap", "pandas", "scipy", "xgboost"} & sys.modules.keys()))
"""


def test_explaining_imports_no_library_of_training(tmp_path: Path) -> None:
    given = [str(bundle(family="xgboost")), str(tmp_path), repr(GOOD)]
    done = subprocess.run([sys.executable, "-c", SERVED, *given], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["trees", "[]"]


def test_a_masked_column_stays_masked() -> None:
    log, folder = MemoryLog(), bundle(rules=())
    predictor = Predictor(log, mask=lambda row: {**row, "plan": "h:1"})
    predictor.swap(one(), {1: open_model(folder)})
    [said] = predictor.predict([ROWS[0]])
    found = Explainer(log, opened(folder)).explain(said.id)
    assert {each.feature: each.value for each in found.explanation.contributions}["plan"] == "h:1"
