"""A third-party platform is imported where it belongs and nowhere else."""

from __future__ import annotations

import pytest

from tests.architecture.modules import imported, modules

# Places are files or folders below src/everfit; what is not named here (numpy, polars, scipy) may be anywhere.
PLACES = {
    "mlflow": ("adapters/registries/mlflow_client.py",),
    "sklearn": ("training/", "evaluation/"),
    "skops": ("training/",),
    "xgboost": ("training/",),
    "llvmlite": ("compiled/",),
    "lightgbm": ("training/",),
    "catboost": ("training/",),
    "skl2onnx": ("training/onnx_file.py",),
    "onnxmltools": ("training/onnx_file.py",),
    "onnxruntime": ("training/onnx_file.py",),
    "joblib": ("training/", "adapters/executors/processes.py"),
    "sqlalchemy": ("adapters/postgres.py", "adapters/sources/postgres.py"),
    "psycopg2": ("adapters/postgres.py", "adapters/sources/postgres.py"),
    "ray": ("adapters/executors/ray_connection.py",),
    "matplotlib": (
        "evaluation/plots.py",
        "evaluation/canvas.py",
        "evaluation/class_plots.py",
        "evaluation/value_plots.py",
    ),
    "cronsim": ("project/calendar.py",),
    "grpc": ("serving/grpc_server.py",),
    "google": ("serving/grpc_messages.py",),
    "fastapi": ("serving/",),
    "starlette": ("serving/",),
    "uvicorn": ("serving/",),
    "prometheus_client": ("serving/",),
    "evidently": ("adapters/reports/evidently_script.py",),
    "pandas": ("adapters/reports/evidently_script.py", "serving/pyfunc.py", "adapters/registries/mlflow_shape.py"),
    "click": ("cli/",),
    "rich": ("cli/",),
}
# Formats that run code when they are read.
UNSAFE = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}


@pytest.mark.parametrize("platform", PLACES)
def test_platform_is_imported_only_where_it_belongs(platform: str) -> None:
    importers = {m.place for m in modules().values() for name in imported(m) if name.split(".")[0] == platform}
    assert {place for place in importers if not place.startswith(PLACES[platform])} == set()


def test_nothing_imports_a_format_that_runs_code() -> None:
    assert {m.place for m in modules().values() for name in imported(m) if name.split(".")[0] in UNSAFE} == set()
