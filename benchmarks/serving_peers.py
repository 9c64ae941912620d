"""The servers that `serving_throughput` holds everfit against: how each is installed, fitted and started."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

BARE = """
import sys, uvicorn
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})
uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False)
"""
EMPTY = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.post("/predict")
async def predict():
    return {}
uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False)
"""
# What everybody writes: one-hot columns, scaled numbers, a forest of 200 trees.
FIT = """
import sys, joblib, pandas as pd
from pathlib import Path
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
folder = Path(sys.argv[1])
table = pd.read_csv(folder / "customers.csv")
y = (table.pop("churn") == "Yes").astype(int)
x = table.drop(columns=["customer_id", "event_timestamp"])
numbers = list(x.select_dtypes("number").columns)
words = [name for name in x.columns if name not in numbers]
model = make_pipeline(
    ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        ("words", OneHotEncoder(handle_unknown="ignore"), words),
    ]),
    RandomForestClassifier(200, n_jobs=1, random_state=1),
)
model.fit(x, y)
joblib.dump(model, folder / "model.joblib")
"""
FASTAPI = """
import sys, joblib, pandas as pd, uvicorn
from fastapi import FastAPI
model, app = joblib.load("model.joblib"), FastAPI()
@app.post("/predict")
def predict(row: dict):
    share = model.predict_proba(pd.DataFrame([row]))[0, 1]
    return {"churn_probability": float(share), "prediction": "High Risk" if share > 0.5 else "Low Risk"}
@app.post("/batch")
def batch(rows: list[dict]):
    return model.predict_proba(pd.DataFrame(rows))[:, 1].tolist()
uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False)
"""
MLFLOW = """
import mlflow.sklearn, joblib
mlflow.sklearn.save_model(joblib.load("model.joblib"), "mlflow-model", serialization_format="cloudpickle")
"""
MLSERVER = """
import json
from pathlib import Path
folder = Path("mlserver"); folder.mkdir(exist_ok=True)
(folder / "model-settings.json").write_text(json.dumps({
    "name": "churn", "implementation": "mlserver_sklearn.SKLearnModel",
    "parameters": {"uri": "../model.joblib", "content_type": "pd"}}))
(folder / "settings.json").write_text(json.dumps({
    "host": "127.0.0.1", "http_port": 8124, "grpc_port": 8134, "metrics_port": 8144, "parallel_workers": 0}))
"""
BENTOML = """
from pathlib import Path
Path("bento_service.py").write_text('''
import bentoml, joblib, pandas as pd
@bentoml.service(workers=1)
class Churn:
    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")
    @bentoml.api
    def predict(self, row: dict) -> float:
        return float(self.model.predict_proba(pd.DataFrame([row]))[0, 1])
    @bentoml.api
    def batch(self, rows: list[dict]) -> list[float]:
        return self.model.predict_proba(pd.DataFrame(rows))[:, 1].tolist()
''')
"""


Rows = list[dict[str, object]]


def _one(rows: Rows) -> str:
    return json.dumps(rows[0])


def _list(rows: Rows) -> str:
    return json.dumps(rows)


def _named(rows: Rows) -> str:
    return json.dumps({"rows": rows})


def _frame(rows: Rows) -> str:
    return json.dumps({"dataframe_records": rows})


def _tensors(rows: Rows) -> str:
    inputs = [
        {"name": name, "shape": [len(rows)], "data": [row[name] for row in rows], **_kind(value)}
        for name, value in rows[0].items()
    ]
    return json.dumps({"parameters": {"content_type": "pd"}, "inputs": inputs})


def _kind(value: object) -> dict[str, object]:
    if isinstance(value, str):
        return {"datatype": "BYTES", "parameters": {"content_type": "str"}}
    return {"datatype": "INT64" if isinstance(value, int) else "FP64"}


def _wrapped(rows: Rows) -> str:
    return json.dumps({"row": rows[0]})


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: where it answers, what it needs, how it gets its model and starts in a folder that holds the table;
    how it takes one row, and where and how many rows at once."""

    name: str
    port: int
    path: str
    ready: str = "/"
    packages: tuple[str, ...] = ()
    fit: str = ""
    code: str = ""
    arguments: tuple[str, ...] = ()
    body: Callable[[Rows], str] = _one
    batch: tuple[str, Callable[[Rows], str]] = ("/predict", _named)

    def command(self, python: Path, folder: Path) -> Sequence[str]:
        """Starts it: its own code, or a command beside its Python."""
        if self.code:
            return [str(python), "-c", self.code, str(self.port)]
        return [str(python.parent / self.arguments[0]), *self.arguments[1:]]


_LEARN = ("scikit-learn>=1.6", "pandas<3", "joblib")
LIMITS = {
    peer.name: peer
    for peer in (
        Peer("bare ASGI", 8111, "/predict", code=BARE),
        Peer("empty FastAPI", 8112, "/predict", code=EMPTY),
    )
}
PEERS = {
    peer.name: peer
    for peer in (
        Peer("fastapi", 8121, "/predict", packages=(*_LEARN, "fastapi", "uvicorn[standard]"), fit=FIT, code=FASTAPI,
             batch=("/batch", _list)),
        Peer(
            "mlflow", 8122, "/invocations", "/ping", (*_LEARN, "mlflow>=3"), FIT + MLFLOW, body=_frame,
            batch=("/invocations", _frame),
            arguments=("mlflow", "models", "serve", "-m", "mlflow-model", "-p", "8122", "--env-manager", "local"),
        ),
        Peer(
            "mlserver", 8124, "/v2/models/churn/infer", "/v2/health/ready",
            (*_LEARN, "mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop<0.22"), FIT + MLSERVER, body=_tensors,
            batch=("/v2/models/churn/infer", _tensors),
            arguments=("mlserver", "start", "mlserver"),
        ),
        Peer(
            "bentoml", 8123, "/predict", "/readyz", (*_LEARN, "bentoml>=1.4"), FIT + BENTOML, body=_wrapped,
            batch=("/batch", _named),
            arguments=("bentoml", "serve", "bento_service:Churn", "--port", "8123", "--host", "127.0.0.1"),
        ),
    )
}  # fmt: skip


def install(peer: Peer, cache: Path) -> str:
    """The peer's environment, made once. Says why where it cannot be made."""
    place = cache / peer.name
    done = place / ".installed"
    if done.exists():
        return ""
    uv = str(Path(sys.executable).parent / "uv")
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)],
        [uv, "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), *peer.packages],
    ):
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        if said.returncode:
            return f"cannot be installed: {said.stderr.strip().splitlines()[-1][:200]}"
    done.touch()
    return ""
