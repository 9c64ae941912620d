"""In continuous integration a test that did not run counts as failed, with its reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.modules import ROOT

SKIPS_ITSELF = "import pytest\ndef test_it():\n    pytest.skip('no database here')\n"
SKIPS_MODULE = "import pytest\npytest.skip('no database here', allow_module_level=True)\n"


def _pytest(folder: Path, text: str, **env: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text)
    inherited = {
        k: v for k, v in os.environ.items() if k != "EVERFIT_NO_SKIP" and not k.startswith(("COV_", "PYTEST_"))
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir=."]
    return subprocess.run(
        [*command, "test_it.py"],
        cwd=folder,
        env={**inherited, **env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("text", [SKIPS_ITSELF, SKIPS_MODULE])
def test_skip_is_a_failure_with_its_reason_where_skips_are_refused(tmp_path: Path, text: str) -> None:
    done = _pytest(tmp_path, text, EVERFIT_NO_SKIP="1")
    assert done.returncode != 0
    assert "no database here" in done.stdout


def test_skip_stays_a_skip_elsewhere(tmp_path: Path) -> None:
    done = _pytest(tmp_path, SKIPS_ITSELF)
    assert done.returncode == 0
    assert "1 skipped" in done.stdout
