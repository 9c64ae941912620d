"""From a table that everfit has never seen to answers and a look at production, without an edit of any file."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection
from operator import eq
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sklearn.datasets import load_diabetes, load_wine

import everfit
from everfit.cli.main import call
from everfit.testing import churn

# MLflow's own modules warn so while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
# What keeps a training short; nothing that a newcomer would have to know.
SHORT = [
    *("--set", "training.budget={trials: 2, folds: 3}"),
    *("--set", "training.models=[logistic, xgboost]"),
    *("--set", "training.executor=serial"),
]
ROWS = 1500
MAIN = "from everfit.cli.main import main; main()"


def customers() -> pl.DataFrame:
    """Churn in the shape of a telephone company's export: yes and no in words, blanks where nothing was charged."""
    start = datetime(2025, 1, 1)  # noqa: DTZ001  a file has no zones
    frame = churn.customers(ROWS, seed=11, start=start, days=90).drop(churn.TIME)
    return frame.with_columns(pl.col("total_charges").cast(pl.String).fill_null(" "))


def wine() -> pl.DataFrame:
    """Chemistry of wines of three cultivars: several classes, a column whose name is no Python name."""
    bunch = load_wine()
    data = pl.DataFrame(bunch.data, schema=list(bunch.feature_names))
    return data.with_columns(cultivar=pl.Series([str(bunch.target_names[n]) for n in bunch.target]))


def diabetes() -> pl.DataFrame:
    """Progression of a disease after a year: a number."""
    bunch = load_diabetes(scaled=False)
    data = pl.DataFrame(bunch.data, schema=list(bunch.feature_names))
    return data.with_columns(progression=pl.Series(bunch.target))


@dataclass(frozen=True)
class Journey:
    """A project that init wrote, trained and released."""

    table: pl.DataFrame
    file: Path
    folder: Path
    target: str

    def say(self, *arguments: str) -> Any:
        """What a command on the project answers in JSON; it must succeed."""
        return document([arguments[0], "--project", str(self.folder / "everfit.yaml"), *arguments[1:], "--json"])


def document(arguments: list[str]) -> Any:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = call(arguments)
    assert code == 0, err.getvalue() + out.getvalue()
    return json.loads(out.getvalue())


def begin(folder: Path, name: str, make: Callable[[], pl.DataFrame], target: str, *settings: str) -> Journey:
    table, file = make(), folder / f"{name}.csv"
    table.write_csv(file)
    document(["init", name, "--from", str(file), "--target", target, "--into", str(folder / name), "--json"])
    journey = Journey(table, file, folder / name, target)
    journey.say("run", *settings)
    journey.say("release")
    return journey


@pytest.fixture(scope="module")
def telco(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    return begin(tmp_path_factory.mktemp("telco"), "telco", customers, churn.TARGET, *SHORT)


@pytest.fixture(scope="module")
def wines(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    return begin(tmp_path_factory.mktemp("wines"), "wines", wine, "cultivar", *SHORT)


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """Trained as a newcomer does it: every family, the whole search, in processes."""
    return begin(tmp_path_factory.mktemp("patients"), "patients", diabetes, "progression")


@pytest.fixture(scope="module")
def server(telco: Journey) -> Iterator[HTTPConnection]:
    """`everfit serve` in a process of its own; it must end well when it is interrupted."""
    environment = {**os.environ, "PYTHONPATH": str(Path(everfit.__file__).parents[1]), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "serve", "--port", "0"],
        cwd=telco.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        connection = HTTPConnection("127.0.0.1", port(process), timeout=30)
        yield connection
        connection.close()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, 130), err


def port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise AssertionError(f"the server never said where it is: {process.communicate(timeout=30)}")


def post(connection: HTTPConnection, path: str, body: Any) -> tuple[int, Any]:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def requests(guide: Path) -> list[Any]:
    """The bodies of the guide's requests to /predict."""
    blocks = re.findall(r"```bash\n(curl [^`]*?/predict.*?)\n```", guide.read_text("utf-8"), re.DOTALL)
    return [json.loads(shlex.split(block)[-1]) for block in blocks]


def score(journey: Journey) -> pl.DataFrame:
    """The whole table, scored in a batch."""
    scores = journey.folder / "scores.csv"
    journey.say("predict", str(journey.file), "-o", str(scores))
    return pl.read_csv(scores)


def right(scores: pl.DataFrame, truth: pl.Series) -> int:
    """How many predictions are the truth."""
    return sum(map(eq, scores["prediction"].to_list(), truth.to_list()))


def tell(journey: Journey, labels: pl.DataFrame) -> Any:
    file = journey.folder / "labels.csv"
    labels.write_csv(file)
    return journey.say("labels", str(file))


def test_customers_are_trained_scored_labelled_and_watched(telco: Journey) -> None:
    scores = score(telco)
    truth = telco.table[telco.target]
    assert scores["prediction"].unique().sort().to_list() == ["No", "Yes"]
    assert right(scores, truth) > truth.to_list().count("No")
    told = tell(telco, telco.table.select(churn.ENTITY, telco.target))
    assert (told["rows"], told["matched"], told["new"]) == (ROWS, ROWS, ROWS)
    report = telco.say("monitor")["report"]
    assert report["predictions"] >= ROWS
    assert [column["column"] for column in report["drift"]["columns"] if column["drifted"]] == []
    assert report["performance"]["labels"] == ROWS
    assert report["decision"]["retrain"] is False
    assert '"champion"' in json.dumps(telco.say("status"))


def test_customers_are_answered_by_the_request_in_the_guide(telco: Journey, server: HTTPConnection) -> None:
    whole, alone = requests(telco.folder / "README.md")
    status, answer = post(server, "/predict", whole)
    assert status == 200, answer
    assert answer[churn.ENTITY] == whole[churn.ENTITY]
    status, by_entity = post(server, "/predict", alone)
    assert (status, by_entity["score"]) == (200, answer["score"])
    status, told = post(server, "/feedback", {"prediction_id": answer["id"], "value": "Yes"})
    assert (status, told) == (200, {"received": 1, "new": 1})


def test_customers_get_the_same_answer_online_as_in_a_batch(telco: Journey, server: HTTPConnection) -> None:
    rows = telco.table.head(40)
    status, answer = post(server, "/predict", {"rows": rows.drop(telco.target).to_dicts()})
    assert status == 200, answer
    batch = score(telco).head(40)
    assert [one["score"] for one in answer["predictions"]] == pytest.approx(batch["score"].to_list(), abs=1e-12)


def test_impossible_customer_is_refused_by_the_proposed_checks(telco: Journey, server: HTTPConnection) -> None:
    (row, _) = requests(telco.folder / "README.md")
    status, answer = post(server, "/predict", {**row, "tenure": -5, "contract_type": "for ever"})
    assert status == 422
    assert "tenure: -5 is impossible" in answer["error"]
    assert "contract_type" in answer["error"]


def test_wines_of_several_classes_without_an_entity(wines: Journey) -> None:
    scores = score(wines)
    truth = wines.table[wines.target]
    assert right(scores, truth) > 0.9 * truth.len()
    told = tell(wines, pl.DataFrame({"prediction_id": scores["id"], wines.target: truth}))
    assert told["new"] == wines.table.height
    report = wines.say("monitor", "--set", "monitoring.rows=100")["report"]
    assert report["performance"]["labels"] == wines.table.height
    assert '"champion"' in json.dumps(wines.say("status"))


def test_patients_with_a_number_to_predict(patients: Journey) -> None:
    scores = score(patients)
    truth = patients.table[patients.target]
    residual = scores["prediction"].to_numpy() - truth.to_numpy()
    assert residual.var() < 0.8 * truth.to_numpy().var()
    told = tell(patients, pl.DataFrame({"prediction_id": scores["id"], "value": truth}))
    assert told["new"] == patients.table.height
    report = patients.say("monitor", "--set", "monitoring.rows=100")["report"]
    assert report["performance"]["metric"] == "rmse"
    assert '"champion"' in json.dumps(patients.say("status"))
