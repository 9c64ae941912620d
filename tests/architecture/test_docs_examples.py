"""The YAML and the feature functions that the documentation shows are accepted as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from everfit.features.functions import load as load_functions
from everfit.project.load import load
from tests.architecture.modules import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SECRETS = ("SLACK_WEBHOOK", "PAGERDUTY_KEY", "SMTP_PASSWORD", "ALERT_URL", "ALERT_KEY")
VARIABLES = {
    "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
    "ALERT_WEBHOOK": "http://127.0.0.1/hook",
    **dict.fromkeys(SECRETS, "http://127.0.0.1/secret"),
}


def _blocks(language: str) -> list[str]:
    texts = (page.read_text(encoding="utf-8") for page in PAGES)
    return [block for text in texts for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)]


@pytest.mark.parametrize("block", _blocks("yaml"))
def test_project_files_shown_are_accepted(block: str, tmp_path: Path) -> None:
    rest = {"project:": "project: churn\n", "data:": "data: {source: a.csv, target: Churn}\n"}
    missing = [line for key, line in rest.items() if not re.search(rf"^{key}", block, re.MULTILINE)]
    path = tmp_path / "everfit.yaml"
    path.write_text("".join(missing) + block)
    assert load(path, env=VARIABLES).project.name == "churn"


@pytest.mark.parametrize("block", [block for block in _blocks("python") if block.strip().startswith("import numpy")])
def test_feature_functions_shown_are_accepted(block: str) -> None:
    assert "charges_per_month" in load_functions(block, "features.py").callables


def test_there_are_examples_of_both() -> None:
    assert len(_blocks("yaml")) > 5
    assert len(_blocks("python")) > 2
