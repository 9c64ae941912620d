"""features.py of a new project: what a feature is, and an example in the table's own columns, switched off."""

from __future__ import annotations

import keyword
from collections.abc import Collection

from everfit.records.table import Column, Kind, Schema


def features(columns: Schema, barred: Collection[str | None]) -> str:
    """The text; its example reads none of the `barred` columns.

    >>> columns = Column("tenure", Kind.NUMERIC, minimum=0, whole=True), Column("charges", Kind.NUMERIC, minimum=0)
    >>> print(features(Schema(columns), ()).rpartition("#\\n")[2], end="")
    # def charges_per_tenure(charges, tenure):
    #     return charges / np.maximum(tenure, 1)
    """
    usable = [c for c in columns.columns if c.name not in barred and is_parameter(c.name) and c.distinct != 1]
    code = f"import numpy as np\n\n\n{_example(usable)}"
    return f'"""{_ABOUT}"""\n\n# For example, in the columns of this table (take the "# " away):\n#\n{_commented(code)}'


def is_parameter(name: str) -> bool:
    """Whether a function can have the column as a parameter.

    >>> is_parameter("tenure"), is_parameter("od280/od315"), is_parameter("class")
    (True, False, False)
    """
    return name.isidentifier() and not keyword.iskeyword(name)


def _commented(code: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in code.splitlines())


def _example(columns: list[Column]) -> str:
    numbers = [c for c in columns if c.kind is Kind.NUMERIC]
    amounts = [c for c in numbers if c.minimum is not None and c.minimum >= 0]
    counts = [c for c in amounts if c.whole]
    sums = [c for c in amounts if not c.whole]
    if counts and sums:
        return _RATIO.format(top=sums[-1].name, bottom=counts[0].name)
    if numbers:
        return _SQUARE.format(name=numbers[0].name)
    word = next((c.name for c in columns if c.kind is Kind.CATEGORICAL), "column")
    return _LENGTH.format(name=word)


_RATIO = """\
def {top}_per_{bottom}({top}, {bottom}):
    return {top} / np.maximum({bottom}, 1)
"""
_SQUARE = """\
def {name}_squared({name}):
    return np.square({name})
"""
_LENGTH = """\
def has_{name}({name}):
    return np.array([value is not None for value in {name}])
"""

_ABOUT = """Features of your own: every function here is one, its name is the feature's name.

Its parameters are columns of the table or other features. It gets whole columns as numpy arrays, the very same in
training and for a single request: numbers, and yes or no as 1 and 0, as float64 with NaN where missing; words as
str with None where missing; dates as datetime64 with NaT. It returns a number or a text for each row, and what it
returns for a row must not depend on the other rows. Functions whose names start with _ are helpers. Only columns whose
names are Python names can be parameters.
"""
