"""Columns that the project file names."""

from __future__ import annotations

from collections.abc import Collection

from everfit.errors import ProjectError
from everfit.project.problems import near


def demand_column(name: str, columns: Collection[str], setting: str) -> None:
    """Raises ProjectError, with the nearest column, when the table has none of the name that the setting gives.

    >>> demand_column("tenur", ["tenure", "plan"], "data.entity")
    Traceback (most recent call last):
    everfit.errors.ProjectError: data.entity: the table has no column 'tenur'; did you mean 'tenure'?
      fix: name one of the table's columns: tenure, plan
    """
    if name not in columns:
        raise ProjectError(
            f"the table has no column {name!r}{near(name, columns)}",
            where=setting,
            fix=f"name one of the table's columns: {', '.join(columns)}",
        )
