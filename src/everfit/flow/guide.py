"""README.md of a new project: the commands to use with this very table."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from everfit.flow.survey import Survey
from everfit.records.table import Row, Task

_WIDTH = 110


def guide(name: str, source: str, found: Survey) -> str:
    """The text, with a request made from a row of the table."""
    target = _inline(found.target)
    whom = f" for each {_inline(found.entity)}" if found.entity else ""
    return _GUIDE.format(
        name=name,
        what=f"Predicts {target} ({_answers(found)}){whom} from {_inline(source)}",
        size=f"{found.rows:,} rows, {len(found.columns.columns)} columns",
        source=shlex.quote(source),
        request=curl(found.example),
        alone=_alone(found),
        truth=json.dumps(found.classes[-1] if found.classes else _typical(found), ensure_ascii=False),
        by_entity=f" or {_inline(found.entity)} (the newest)" if found.entity else "",
        target=target,
    )


def curl(row: Row) -> str:
    """The request for one row, to be pasted into a shell.

    >>> print(curl({"age": 31.0, "plan": "Ann's"}))
    curl -s http://127.0.0.1:8000/predict -H 'Content-Type: application/json' -d '{
      "age": 31, "plan": "Ann'"'"'s"
    }'
    """
    body = "{\n" + "\n".join(_packed(row)) + "\n}"
    return f"curl -s http://127.0.0.1:8000/predict -H 'Content-Type: application/json' -d {shlex.quote(body)}"


def _packed(row: Row) -> Iterator[str]:
    line = " "
    pairs = [f"{json.dumps(key, ensure_ascii=False)}: {_number(value)}" for key, value in row.items()]
    for pair in [*(f"{pair}," for pair in pairs[:-1]), *pairs[-1:]]:
        if len(line) > 1 and len(line) + len(pair) > _WIDTH:
            yield line
            line = " "
        line += f" {pair}"
    yield line


def _number(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def _answers(found: Survey) -> str:
    if found.task is Task.REGRESSION:
        return "a number"
    names = [_inline(name) for name in found.classes[:6]]
    return ", ".join(names) + ", ..." if len(found.classes) > 6 else f"{', '.join(names[:-1])} or {names[-1]}"


def _typical(found: Survey) -> float:
    column = found.kept[found.target]
    middle = ((column.minimum or 0.0) + (column.maximum or 0.0)) / 2
    return float(f"{middle:.3g}")


def _alone(found: Survey) -> str:
    if found.entity is None:
        return ""
    body = shlex.quote(json.dumps({found.entity: found.example[found.entity]}, ensure_ascii=False))
    return (
        "\nThe entity alone is enough for a row that was in the table when the model was trained:\n\n```bash\n"
        f"curl -s http://127.0.0.1:8000/predict -H 'Content-Type: application/json' -d {body}\n```\n"
    )


def _inline(text: str) -> str:
    """Inline code of Markdown."""
    plain = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
    fence = "``" if "`" in plain else "`"
    return f"{fence}{plain}{fence}"


_GUIDE = """\
# {name}

{what} ({size}).

| File | What it is |
|---|---|
| `everfit.yaml` | the table, its checks, the gates, the release: read the checks once, they are proposals |
| `features.py` | features of your own, if you want any |
| `.env.example` | copy to `.env` for secrets and for what differs on this machine |
| `MLproject` | for `mlflow run . --env-manager local`, the same as `everfit run` |
| `.everfit/` | all that everfit stores: runs, models, predictions, labels; not to be committed |

## Train, release, serve

```bash
everfit run        # check the table, train, compare, gate, register; what did not change comes from the cache
everfit release    # bring the version in front of traffic
everfit serve      # http://127.0.0.1:8000, with its documentation on /docs
```

From another terminal, with a row of the table:

```bash
{request}
```
{alone}
A whole file at once:

```bash
everfit predict {source} -o scores.parquet
```

## Say what turned out to be true, and watch

Every answer has an `id`. A file of labels says which answer it is about by `prediction_id`{by_entity},
and the truth by {target} or `value`:

```bash
everfit labels labels.csv
curl -s http://127.0.0.1:8000/feedback -H 'Content-Type: application/json' \\
  -d '{{"prediction_id": "THE-ID", "value": {truth}}}'
```

```bash
everfit monitor    # drift, performance, and whether to train again
everfit status     # who answers, what is under way
everfit up         # server, monitor and retraining in one process
```
"""
