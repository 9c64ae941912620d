from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.compiled_models import FAMILIES
from tests.unit.serving_models import GOOD, RULES, SOURCE, bundle, table, without

from everfit.compiled import file
from everfit.errors import RequestError, StorageError
from everfit.records.codec import encode
from everfit.records.exactness import Exactness
from everfit.serving import compiled_rows
from everfit.serving.model import Answer, Model, open_model
from everfit.training.bundle import open_bundle, seal

TARGETS = ("Churn", "level", "risk")


def pair(target: str, family: str = "logistic", source: str = "") -> tuple[Model, Model]:
    """The model opened in its compiled form, and the library's own."""
    folder = bundle(target, source, RULES, family)
    compiled = open_model(folder)
    assert compiled.compiled is not None
    return compiled, open_model(bundle(target, source, RULES, family, compiled=False))


def said(model: Model, row: Any, *, long: bool = False) -> object:
    """The answer, rounded where the two may differ in the last bits, or what a caller is told."""
    try:
        found = model.answer([row])[0] if long else model.one(row)
    except RequestError as error:
        return str(error)
    return rounded(found)


def rounded(answer: Answer) -> object:
    shares = answer.probabilities and {name: round(share, 11) for name, share in answer.probabilities.items()}
    said = answer.prediction if isinstance(answer.prediction, str) else round(answer.prediction, 9)
    return said, round(answer.score, 9), shares, list(answer.features.items())


CASES = [(family, target, "") for family in FAMILIES for target in TARGETS] + [("logistic", t, SOURCE) for t in TARGETS]


@pytest.mark.parametrize(("family", "target", "source"), CASES)
def test_the_compiled_form_answers_as_the_library_does(family: str, target: str, source: str) -> None:
    compiled, library = pair(target, family, source)
    rows = table().drop("Churn", "risk", "level").to_dicts()
    expected = [rounded(answer) for answer in library.answer(rows)]
    assert [rounded(answer) for answer in compiled.answer(rows)] == expected
    assert [rounded(compiled.one(row)) for row in rows] == expected


PLAIN = st.fixed_dictionaries(
    {
        "tenure": st.integers(-3, 130) | st.floats(0, 100) | st.none(),
        "charges": st.sampled_from(["29.85", " ", "12", "1e3", "x", 70, None, 0.5]),
        "plan": st.sampled_from(["basic", "full", None, "gold", " "]),
        "senior": st.sampled_from(["Yes", "no", True, False, 1, 0, None, "maybe", "TRUE"]),
    },
    optional={"customerID": st.sampled_from(["c-1", 7, None, " "]), "signup": st.sampled_from(["2023-04-01", None, 3])},
)
ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
NAMES = st.sampled_from(["tenure", "charges", "plan", "senior", "customerID", "signup", "tenur", ""])


@settings(deadline=None)
@given(PLAIN, st.dictionaries(NAMES, ANYTHING, max_size=2), st.sets(NAMES, max_size=1), st.sampled_from(TARGETS))
def test_any_row_gets_what_the_long_way_gives(row: Any, odd: Any, gone: set[str], target: str) -> None:
    compiled, library = pair(target)
    row = {name: value for name, value in {**row, **odd}.items() if name not in gone}
    assert said(compiled, row) == said(library, row, long=True)


@settings(deadline=None)
@given(st.lists(PLAIN, min_size=2, max_size=5), NAMES, ANYTHING, st.sampled_from(TARGETS))
def test_many_rows_get_what_each_alone_gets(rows: Any, name: str, odd: Any, target: str) -> None:
    rows[-1] = rows[-1] | ({name: odd} if name else {})
    compiled, _ = pair(target)
    try:
        together: object = [rounded(answer) for answer in compiled.answer(rows)]
    except RequestError:
        together = None
    alone = [said(compiled, row) for row in rows]
    assert together == (None if any(isinstance(each, str) for each in alone) else alone)


def test_a_number_that_is_none_is_refused_among_many_as_it_is_alone() -> None:
    compiled, _ = pair("Churn")
    with pytest.raises(RequestError, match="finite"):
        compiled.answer([GOOD, {**GOOD, "tenure": float("nan")}])
    assert compiled.answer([GOOD, {**GOOD, "tenure": None}])[1].features["tenure"] is None


def test_an_unruled_model_takes_the_same_forms() -> None:
    compiled = open_model(bundle("Churn", "", ()))
    library = replace(compiled, compiled=None, scorer=open_model(bundle("Churn", "", (), compiled=False)).scorer)
    tenures: tuple[Any, ...] = (1, 1.5, True, None, float("nan"), float("inf"), -float("inf"), 10**400, "3", [], "x")
    for tenure in tenures:
        row = {**without(GOOD, "signup"), "tenure": tenure}
        assert said(compiled, row) == said(library, row, long=True)


def test_a_bad_row_among_good_ones_is_named() -> None:
    compiled, _ = pair("Churn")
    with pytest.raises(RequestError, match=r"rows\[1\].tenure: 'x' is not a number"):
        compiled.answer([GOOD, {**GOOD, "tenure": "x"}])


def test_a_form_that_was_not_found_exact_is_not_opened(tmp_path: Path) -> None:
    folder, manifest = copied(tmp_path, exactness=Exactness(False, reason="scores differ"))
    assert manifest.files["compiled.npz"]
    assert open_model(folder).compiled is None


def test_a_bundle_from_before_compiled_forms_is_served_by_the_library() -> None:
    assert open_model(bundle(compiled=False)).compiled is None
    text = json.loads(encode(open_bundle(bundle(compiled=False))))
    assert text["exactness"] is None


def test_a_damaged_form_is_refused(tmp_path: Path) -> None:
    folder, _ = copied(tmp_path)
    (folder / "compiled.npz").write_bytes(b"PK\3\4 and nothing more")
    seal(folder, open_manifest(folder))
    with pytest.raises(StorageError, match="not a compiled model"):
        open_model(folder)


def test_a_machine_that_makes_no_code_serves_by_the_library(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unable(*_: object) -> None:
        raise RuntimeError("no such target")

    monkeypatch.setattr("everfit.compiled.scorer.CompiledScorer.__init__", unable)
    with caplog.at_level(logging.WARNING, "everfit.serving"):
        model = open_model(bundle())
    assert model.compiled is None
    assert model.one(GOOD).prediction in ("Yes", "No")
    assert "served without the compiled form: RuntimeError: no such target" in caplog.text


def test_the_file_is_called_as_its_reader_expects() -> None:
    assert compiled_rows.FILE == file.FILE


HEAVY = ("sklearn", "scipy", "pandas", "mlflow", "xgboost", "lightgbm", "catboost", "skops", "joblib", "numba")


@pytest.mark.parametrize("family", ["spline_logistic", "random_forest", "lightgbm"])
def test_answering_from_a_compiled_bundle_imports_no_training_library(family: str) -> None:
    code = f"""
import sys
from pathlib import Path
from everfit.serving.app import create_app
from everfit.serving.model import open_model
model = open_model(Path(sys.argv[1]))
answer = model.one(model.manifest.example)
assert model.compiled is not None and model.answer([model.manifest.example] * 3)
print(sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    folder = bundle("Churn", "", RULES, family)
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def copied(to: Path, **changes: Any) -> tuple[Path, Any]:
    """A bundle's copy, with a changed manifest."""
    import shutil

    shutil.copytree(bundle(), to / "bundle")
    return to / "bundle", seal(to / "bundle", replace(open_manifest(to / "bundle"), **changes))


def open_manifest(folder: Path) -> Any:
    from everfit.records import codec
    from everfit.records.model import Manifest

    return codec.decode(Manifest, (folder / "bundle.json").read_bytes())
