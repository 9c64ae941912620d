"""The files of a new project, as text, from a first look at its table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from everfit.flow.guide import guide
from everfit.flow.settings_text import item, one_line
from everfit.flow.survey import Survey
from everfit.flow.worked_example import features
from everfit.project.sections.data import Check
from everfit.records.table import Kind, Task

# The project file comes last: a folder that has it has the others.
FILES = ("features.py", ".env.example", ".gitignore", "MLproject", "README.md", "everfit.yaml")
_LEAST = {Task.BINARY: {"roc_auc": 0.70}, Task.MULTICLASS: {"roc_auc": 0.70}, Task.REGRESSION: {"r2": 0.20}}
_MEANING = {
    "roc_auc": "0.5 is guessing, 1 is perfect",
    "r2": "0 is as good as always the mean, 1 is perfect",
}


def scaffold(name: str, source: str, found: Survey) -> dict[str, str]:
    """The text of each of `FILES`. `source` is the table's address relative to the project's folder.

    >>> import polars as pl
    >>> from everfit.flow.survey import survey
    >>> found = survey(pl.DataFrame({"age": [31, 44, 52], "left": ["yes", "no", "no"]}), "left")
    >>> print(scaffold("churn", "../customers.csv", found)["everfit.yaml"].split("\\n\\n")[1])
    project: churn
    """
    texts: dict[str, Callable[[], str]] = {
        "features.py": lambda: features(found.kept, {found.target, found.entity, found.time}),
        ".env.example": lambda: _ENVIRONMENT,
        ".gitignore": lambda: _IGNORED,
        "MLproject": lambda: _MLPROJECT.format(name=name),
        "README.md": lambda: guide(name, source, found),
        "everfit.yaml": lambda: _settings(name, source, found),
    }
    return {file: texts[file]() for file in FILES}


def _settings(name: str, source: str, found: Survey) -> str:
    sections = [_head(source, found), f"project: {name}", _data(source, found), _checks(found.proposed)]
    return "\n\n".join([*sections, _gates(found.task), _RELEASE, _more(found)]) + "\n"


def said(text: str) -> str:
    """A text that may stand in a comment or a sentence: one line, nothing unprintable.

    >>> said("a\\nb")
    'a b'
    """
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())


def _head(source: str, found: Survey) -> str:
    return (
        f"# Predicts {said(found.target)} from {said(source)} of {found.rows:,} rows, "
        f"{len(found.columns.columns)} columns.\n"
        "# `everfit init` wrote this file from what the table holds; it is yours to change.\n"
        "# Whatever is not here has a default: `everfit config` shows every value and where it comes from.\n"
        "# A line that begins with # and no space is a setting to switch on: take the # away."
    )


def _data(source: str, found: Survey) -> str:
    target: dict[str, Any] = {"column": found.target}
    if found.positive is not None:
        target["positive"] = _positive(found.positive)
    lines = [
        f"source: {one_line(source)}  # relative to this file",
        f"target: {one_line(target)}  # {_about(found)}",
        *_entity(found),
        *_time(found),
        *_columns(found),
        *_personal(found),
    ]
    return "data:\n" + "\n".join(f"  {line}" for line in lines)


def _positive(name: str) -> str | int:
    return int(name) if re.fullmatch(r"0|[1-9]\d{0,8}", name) else name


def _about(found: Survey) -> str:
    column = found.kept[found.target]
    if found.task is Task.REGRESSION:
        return f"a number, from {column.minimum:g} to {column.maximum:g}: regression"
    if found.task is Task.MULTICLASS:
        names = ", ".join(found.classes[:6]) + (", ..." if len(found.classes) > 6 else "")
        several = f"one of {len(found.classes)} classes: {said(names)}"
        number = "; add `task: regression` if it is a quantity" if column.kind is Kind.NUMERIC else ""
        return several + number
    count = dict(zip(column.levels, column.counts, strict=True)).get(found.positive or "")
    share = f"{count:,} of {found.rows:,} rows are {said(str(found.positive))}" if count else "two classes"
    return f"{share}; labels that come later: add `delay: 30d`"


def _entity(found: Survey) -> list[str]:
    if found.entity is None:
        return ["# no column identifies whom a row is about; if there is one, write `entity: COLUMN`"]
    lines = [f"entity: {one_line(found.entity)}  # whom a row is about: requests may give it alone"]
    if found.grouped:
        split = {"test": "20%", "by": "group", "group": found.entity}
        lines.append(f"split: {one_line(split)}  # its rows stay together: none is in both training and test")
    return lines


def _time(found: Survey) -> list[str]:
    if found.time is None:
        return []
    lines = [f"time: {one_line(found.time)}  # when a row was true"]
    if not found.grouped:
        lines.append("#split: {test: 20%, by: time}  # test on the newest rows, as production will")
    return lines


def _columns(found: Survey) -> list[str]:
    lines = []
    if found.kinds:
        kinds = {name: kind.value for name, kind in found.kinds.items()}
        lines.append(f"columns: {one_line(kinds)}  # what these are, where it would be guessed otherwise")
    if found.revealing:
        names = one_line(list(found.revealing))
        lines.append(f"#exclude: {names}  # tells the target exactly; switch on if it is known only afterwards")
    return lines


def _personal(found: Survey) -> list[str]:
    if found.exposed and found.entity is not None:
        both = one_line({found.entity: "hash"} | dict.fromkeys(found.personal, "drop"))
        hashed = [
            f"#personal: {both}  # stores a hash of the entity",
            '#key: "${EVERFIT_HASH_KEY}"  # a secret, in .env',
        ]
    else:
        hashed = []
    if not found.personal:
        return hashed or ["#personal: {COLUMN: drop}  # drop, redact or hash a column with personal data"]
    dropped = one_line(dict.fromkeys(found.personal, "drop"))
    return [f"personal: {dropped}  # dropped before anything is stored; never a feature"]


def _checks(proposed: Sequence[Check]) -> str:
    lines = [item(_plain(check.model_dump(mode="json", exclude_defaults=True))) for check in proposed]
    return "\n".join([_CHECKS, "checks:", *lines])


def _plain(check: Mapping[str, Any]) -> dict[str, Any]:
    """The check as people write it: shares in percent."""
    return {key: _percent(value) if key in _SHARES else value for key, value in check.items()}


_SHARES = frozenset({"nulls", "duplicates", "class_share"})


def _percent(share: Any) -> Any:
    return f"{100 * share:g}%" if isinstance(share, float) else share


def _gates(task: Task) -> str:
    least = _LEAST[task]
    (metric,) = least
    comment = (
        "# What a model must reach on rows it never saw, or it is not registered. It must always beat a constant\n"
        f"# answer. The bound is a first one, set it with your team ({metric}: {_MEANING[metric]})."
    )
    return f"{comment}\ngates: {one_line({**least, 'not_worse_than': 'production'})}"


def _more(found: Survey) -> str:
    name = "_".join(re.findall(r"\w+", found.target)).lower() or "target"
    response: dict[str, Any] = {"score": f"{name}_score"}
    if found.positive is not None:
        negative = next(each for each in found.classes if each != found.positive)
        response = {"score": f"{name}_probability", "labels": {found.positive: "High Risk", negative: "Low Risk"}}
    return _MORE.format(serving=one_line({"port": 8000, "response": response}))


_CHECKS = """\
# What the data must be like, proposed from what this table is like, with room to move: only you know what must hold.
# A broken check stops the run; with `severity: warning` it is only reported. Ranges and allowed values also hold for
# requests."""

_RELEASE = """\
# The first version answers at once; a later one begins with a share of the traffic and is judged by its errors.
release:
  strategy: canary
  #steps: [10%, 50%]
  #verdict: {errors: 0.5pp, requests: 500, deadline: 24h}"""

_MORE = """\
#training: {{models: [spline_logistic, random_forest, lightgbm, xgboost], budget: {{trials: 8, folds: 5}}}}
#serving: {serving}
#monitoring: {{every: 1h, rows: 500, alarms: 1/month}}  # alarms: how many false ones the team accepts
#retraining: {{on: [performance, drift, schedule], schedule: 30d, cooldown: 24h}}
#alerts: [console, {{webhook: "${{ALERT_WEBHOOK}}"}}]  # the address stands in .env
#environments: {{production: {{release: {{steps: [1%, 10%, 50%]}}}}}}  # chosen by --env or EVERFIT_ENV"""

_IGNORED = """\
.everfit/
.env
mlflow.db
mlruns/
__pycache__/
"""

_MLPROJECT = """\
# `mlflow run . --env-manager local` does what `everfit run` does; `-P NAME=VALUE` becomes its option `--NAME VALUE`.
name: {name}
entry_points:
  main:
    command: everfit run
"""

_ENVIRONMENT = """\
# Copy this file to .env and fill it in; everfit reads .env beside everfit.yaml. Never commit .env.
# Only what everfit.yaml names as ${NAME} is used. A secret is accepted from here or from the environment, nowhere else.

# Which of the file's `environments:` applies, unless --env says it.
EVERFIT_ENV=dev

# alerts: [console, {webhook: "${ALERT_WEBHOOK}"}]
ALERT_WEBHOOK=

# data: {personal: {email: hash}, key: "${EVERFIT_HASH_KEY}"}
EVERFIT_HASH_KEY=
"""
